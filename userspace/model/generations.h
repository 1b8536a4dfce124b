/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a site has made under a budget, by when it was made, and what is known of it now. What a
 * leak made is there in every generation, however old; what a cache, a queue or a request made is
 * gone in those that are older than it lives; what a program sets up once is of old ones only.
 *
 * Within a generation, what was made and what is still there are seen by the same windows. So how
 * much of it is there does not depend on how well they are estimated. Pure data and arithmetic.
 */
#ifndef MW_MODEL_GENERATIONS_H
#define MW_MODEL_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/decline.h"

enum { MW_GENERATIONS = 32, MW_DEATH_AGES = 40 };

/* Estimates; floats because each stack has all of them. */
struct mw_generation {
	float born, born_bytes;
	float freed; /* of BORN: by a probe, or by a walk of the heap */
	float kept, kept_bytes;
	float squares;	 /* of the bytes that each block behind KEPT_BYTES stands for */
	float survivors; /* blocks behind KEPT */
};

/* How many blocks died, by their age then. */
struct mw_deaths {
	float at[MW_DEATH_AGES];
};

/* One died at AGE seconds. */
void mw_deaths__add(struct mw_deaths *deaths, double age);

struct mw_generations {
	double width; /* seconds of each from the begin of the watch on; 0: nothing is known */
	struct mw_generation list[MW_GENERATIONS]; /* oldest first */
	struct mw_deaths died;			   /* once a walk had found them alive */
};

/* The generation of what was made TIME seconds after the watch began. */
struct mw_generation *mw_generations__at(struct mw_generations *g, double time);

/* Make each twice as wide. */
void mw_generations__widen(struct mw_generations *g);

/* Those that walks FOUND, and those that windows have SEEN, each of which stands for SCALE. */
void mw_generations__set_deaths(struct mw_generations *g, const struct mw_deaths *found,
				const struct mw_deaths *seen, double scale);

/* Nothing is kept; what was made and freed stays. */
void mw_generations__forget_kept(struct mw_generations *g);

void mw_generations__add(struct mw_generations *sum, const struct mw_generations *other);

/* Growth as generations show it. */
struct mw_lasting {
	bool lasts;		       /* what is there is of all times up to now, and stays */
	struct mw_decline made, stays; /* of what is made, and of what of it stays */
	double slope;		       /* bytes a second that are made and stay */
	double slope_error;	       /* one standard error of it */
	double confidence;  /* 0 to 1: that it is no cache of a shorter life than what was seen */
	double born, freed; /* of the oldest third */
	double age;	    /* seconds since the youngest of that was made */
	double seconds;	    /* that the site has lived; 0: nothing of it was seen */
	double survivors;   /* blocks that are known to be there */
	/* Until it can be said, seconds, if it goes on as it did. 0: it is said; INFINITY: it does
	 * not look like growth that goes on. */
	double wait;
};

/* Seconds until anything can be said of a site, by its life alone; INFINITY: nothing was made. */
double mw_generations__early(const struct mw_generations *g, double now);

/* NOW: seconds since the watch began. */
void mw_generations__judge(const struct mw_generations *g, double now, struct mw_lasting *out);

#endif

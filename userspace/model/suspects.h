/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sites look like leaks: their memory grows and goes on growing, unlike that of caches, which
 * level off, of work that comes and goes in periods, and of what a program sets up once. Pure logic
 * on the histories of model/sites.h. Live tracing can't know that memory is unreachable, so the
 * word is "suspect", never "leak".
 */
#ifndef MW_MODEL_SUSPECTS_H
#define MW_MODEL_SUSPECTS_H

#include "model/label_groups.h"
#include "model/labels.h"
#include "model/resident.h"
#include "model/sites.h"
#include "model/suspicions.h"

enum mw_verdict {
	MW_VERDICT_EARLY,    /* too few points or samples to say anything */
	MW_VERDICT_STEADY,   /* no growth that stands out from its noise */
	MW_VERDICT_LEVELS,   /* it grew and has levelled off: a cache */
	MW_VERDICT_PERIODIC, /* comes and goes */
	MW_VERDICT_STARTUP,  /* grew once, early, and not since */
	MW_VERDICT_SUSPECT,  /* grows on, and what is old stays */
};

enum { MW_SENTENCE_SIZE = MW_LABEL_SIZE + 256 };

struct mw_suspect {
	const struct mw_site_stats *site;   /* or the sums of GROUP */
	const struct mw_label_group *group; /* NULL: a site was judged by itself */
	enum mw_verdict verdict;
	bool by_growth;	    /* judged by brk, mmap and faults, since no blocks of it were seen */
	bool by_resizing;   /* it resizes blocks: none is old, so growth was judged without age */
	double slope;	    /* bytes a second */
	double slope_error; /* one standard error of it */
	double confidence;  /* 0 to 1: that the slope is above 0 and goes on */
	double born, freed; /* objects of the oldest cohort, and how many of them are gone */
	double age;	    /* seconds since the youngest of them was made */
	/* Judged by generations (model/generations.h): its life, and what is known by now. */
	double seconds, survivors, wait;
	char label[MW_LABEL_SIZE];
	char sentence[MW_SENTENCE_SIZE]; /* in words, beginning with the label; clean */
};

/* Judge one site by itself, at NOW seconds since the watch began. */
void mw_suspect__judge(const struct mw_site_stats *site, double now, struct mw_suspect *out);

/*
 * The up to MAX suspects among the groups of one target, the fastest growing first. Returns how
 * many. Each is one by its own blocks: who trips a mapping is not who keeps what lies in it.
 * RESIDENT (may be NULL): under a budget, a site that grows faster than its process is none. NAMED
 * (may be NULL): who was a suspect before, which takes more than a lack of evidence to end.
 */
size_t mw_suspects__find(const struct mw_label_groups *groups, const struct mw_resident *resident,
			 double now, struct mw_suspicions *named, struct mw_suspect *out,
			 size_t max);

/*
 * The same for sites that only what the kernel gave speaks of, by_growth: they ask for ever more.
 * That is growth, no suspicion.
 */
size_t mw_suspects__find_growing(const struct mw_label_groups *groups, double now,
				 struct mw_suspect *out, size_t max);

/* What can be said of suspects by now. */
enum mw_outlook_state {
	MW_OUTLOOK_NOTHING, /* no block was seen yet */
	MW_OUTLOOK_EARLY,   /* none lived for long enough to say anything */
	MW_OUTLOOK_FEW,	    /* something may grow, but too few of its blocks were seen */
	MW_OUTLOOK_KNOWN,   /* what stands out by now is named */
};

struct mw_outlook {
	enum mw_outlook_state state;
	double seconds;	  /* until there is an answer, about; 0: it is there; INFINITY: nobody knows
			   */
	double survivors; /* blocks that are known to be there */
};

void mw_suspects__outlook(const struct mw_label_groups *groups, double now, struct mw_outlook *out);

/* Why there may be no suspect, in words. */
const char *mw_outlook_name(enum mw_outlook_state state);

const char *mw_verdict_name(enum mw_verdict verdict);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state behind model/tracked.h: tracked.c follows windows, tracked_same.c says whether a block
 * is still the one that was made, tracked_settle.c makes numbers of it.
 */
#ifndef MW_MODEL_TRACKED_IMPL_H
#define MW_MODEL_TRACKED_IMPL_H

#include "model/tracked.h"
#include "util/u64map.h"

enum {
	MW_TRACKED_HAD_WORDS = 8, /* of 64 bits */
	MW_TRACKED_AGES = 60, /* classes of age, each reaches 1.19 times as far as the one before */
	MW_TRACKED_SIZES = 8, /* of which a site keeps blocks, at most so many count */
};

/* Counters of a site in one window, or in all. */
struct tracked_sums {
	double allocs, alloc_bytes, frees, freed_bytes, temporaries, resized;
};

/* In windows, of blocks that were there when they began, by age: how many died, and seconds. */
struct tracked_deaths {
	float died[MW_TRACKED_AGES], watched[MW_TRACKED_AGES];
	double all, seconds; /* sums of them */
};

/* Bytes of blocks by the class of their size. */
struct tracked_sizes {
	double made[MW_LIVE_CLASSES]; /* of all that were tracked */
	double met[MW_LIVE_CLASSES];  /* of those that looks have met alive; once for each look */
};

struct tracked_site {
	struct mw_tracked_site now;
	struct mw_site_counts last; /* the kernel's, as last read */
	struct tracked_sums sums;   /* of all windows, each by what it stands for */
	struct tracked_sums marked; /* the same when the interval began */
	struct mw_amount dead;	    /* tracked blocks that went after their window */
	struct mw_amount new_dead;  /* of those that the interval has made */
	uint64_t blocks;
	double squares; /* sum over blocks that were tracked of the squares of their bytes */
	/* Variance of alloc_bytes, by what one window says more or less than the one before. */
	double variance, rate;
	double by_chance; /* and the least that it can be, with as many samples */
	uint32_t window;  /* number of the last window that it was counted in */
	/* Of all, and of those that the last walk took for the same by their content. */
	struct tracked_deaths deaths, same_deaths;
	/* Blocks that were the same at one walk, and those that still were at the next one. */
	double were_same, stayed_same;
	float spans[MW_TRACKED_AGES],
		seconds[MW_TRACKED_AGES]; /* from one to the other, by the block's age: how many */
	bool steady, is_steady_known;
	/* Of blocks that a walk had found alive: deaths that walks found, or a window saw. */
	struct mw_deaths found_dead, seen_dying;
	/* Words that one block's print has in common with the next one's, summed over so many. */
	double alike, prints;
	uint64_t print;
	/* Prints that it had, by a hash; how many blocks had one that was there already, and how
	 * many would by chance. */
	uint64_t had[MW_TRACKED_HAD_WORDS];
	double repeats, by_accident;
	/* Classes of sizes that it keeps blocks of, as of the last settling. */
	uint16_t classes[MW_TRACKED_SIZES];
	uint8_t class_count;
	struct tracked_sizes *sizes; /* of a site that resizes; or NULL */
};

struct mw_tracked {
	struct mw_sampling sampling;
	uint64_t random;
	struct mw_u64map sites; /* by id, struct tracked_site */
	struct mw_tracked_block *blocks;
	size_t count, capacity,
		old; /* OLD: from windows before the present one, in order of keys */
	double scales[MW_SLOTS], began[MW_SLOTS], own[MW_SLOTS], gap[MW_SLOTS];
	/* Seconds in which the target usually does what it did in the window. */
	double exposed[MW_SLOTS];
	double seconds, marked_at;
	double began_at, last_at, now; /* the watch; the window before the present one, that */
	double watched;		       /* seconds of all windows */
	double width;		       /* seconds of a generation */
	uint32_t window;
	struct mw_live_parts *live[MW_SLOTS];  /* NULL: not known */
	struct tracked_sizes *sizes[MW_SLOTS]; /* NULL: no block yet */
};

/* CALLS of SIZE bytes each. */
static inline void mw_amount__add(struct mw_amount *to, double calls, double size)
{
	to->calls += calls;
	to->bytes += calls * size;
}

/* Was it made in the interval? */
static inline bool mw_tracked_is_new(const struct mw_tracked *t,
				     const struct mw_tracked_block *block)
{
	return (double)block->time / 1e9 >= t->marked_at;
}

/* ---- tracked.c ---- */

/* The site ID, made where it is new; NULL: no memory. */
struct tracked_site *mw_tracked_site_of(struct mw_tracked *t, uint64_t id);

/* ---- tracked_resized.c ---- */

/* BLOCK of SITE was made, or a look has met it alive, with its room. */
void mw_tracked_count_size(struct mw_tracked *t, struct tracked_site *site,
			   const struct mw_tracked_block *block);

/* What sites that resize blocks swell by, into each of them. */
void mw_tracked_settle_resized(struct mw_tracked *t);

/* ---- tracked_same.c ---- */

/* The class of AGE seconds. */
int mw_tracked_age_class(double age);

/* A block of AGE seconds was watched for SECONDS, and DIED or not. */
void mw_tracked_deaths__add(struct tracked_deaths *deaths, double age, double seconds, bool died);

/* Are the contents of this site's blocks different enough to know one by it? */
bool mw_tracked_is_telling(const struct tracked_site *site);
/* Do this site's blocks keep their content as long as they live? */
bool mw_tracked_is_steady(struct tracked_site *site);

/* For how many deaths one stands that is seen, in a window or by a walk. */
double mw_tracked_deaths_seen(const struct mw_tracked *t, struct tracked_site *site);

/* How sure it is that BLOCK, which was found, is the one that was made, 0 to 1. */
double mw_tracked_sure_same(const struct mw_tracked *t, const struct mw_tracked_block *block,
			    double now);
/* How likely it is, where it is not sure; windows have seen few deaths, or many. */
double mw_tracked_likely_same(const struct mw_tracked *t, const struct mw_tracked_block *block,
			      double now);

#endif

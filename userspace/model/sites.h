/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites: where memory was asked for, each a stack of Python lines and native frames interned to
 * one number, with what was counted there and how that went on over time. Pure data.
 *
 * Numbers are doubles because most are estimates: sums of samples by weight. An exact watch gives
 * whole numbers and variances of 0.
 */
#ifndef MW_MODEL_SITES_H
#define MW_MODEL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/generations.h"
#include "model/series.h"
#include "model/type_counts.h"

enum mw_frame_kind {
	MW_FRAME_PYTHON,
	MW_FRAME_NATIVE,
	MW_FRAME_NOTE, /* no frame: `function` says why the stack is not whole here, or what begins
			*/
};

struct mw_frame {
	enum mw_frame_kind kind;
	uint32_t line;	      /* Python and, where DWARF is at hand, native; 0: not known */
	const char *function; /* qualified name, symbol or note; clean, never NULL */
	const char *file; /* Python: the file; native: the module's base name; clean, never NULL */
	uint64_t offset;  /* native: bytes from the symbol, or from the module when it has none */
};

/* Why a stack may be less than the whole. */
enum {
	MW_SITE_TRUNCATED = 1,	 /* deeper than the cap */
	MW_SITE_PARTIAL = 2,	 /* a frame could not be read */
	MW_SITE_FREED_CODE = 4,	 /* a code object was freed before it was read */
	MW_SITE_NATIVE_CUT = 8,	 /* native frames end early: no unwind rule for a place */
	MW_SITE_TRACKED = 64,	 /* every allocation, or sample of them, is followed to its free */
	MW_SITE_RATES_ONLY = 32, /* of allocations only the rate is known: frees were not seen */
	MW_SITE_WINDOWS = 128,	 /* followed by windows: a free between two is not always seen */
	MW_SITE_STAY = 256,	 /* followed by probes that stay in, since they fit the budget */
	MW_SITE_PYTHON =
		512, /* what is asked for here are Python's small objects, in its own pools */
	MW_SITE_UNSCALED = 2048,   /* for how much windows stand is not known */
	MW_SITE_LIVE_KNOWN = 1024, /* looks say how blocks of these sizes grow */
	MW_SITE_UNMATCHED = 16,	   /* where native frames belong among Python's is not known */
};

/* Since the watch began. */
struct mw_site_totals {
	double allocs, alloc_bytes; /* allocations, by sampling or all of them */
	/* Of those: seen freed or found dead, found alive, neither yet. They sum to them. */
	double frees, freed_bytes, kept, kept_bytes, unknown, unknown_bytes;
	/* Bytes squared; 0: exact. LIVE_VARIANCE: of kept_bytes. */
	double alloc_variance, freed_variance, live_variance, unknown_variance;
	double temporaries;		 /* frees with nothing in between on the same thread */
	double lifetime_seconds;	 /* summed over frees */
	double grown_calls, grown_bytes; /* brk and mmap: what the kernel was asked for */
	double returned_bytes;		 /* munmap of what a mapping here brought */
	double malloc_bytes; /* of what was grown and not returned: by the C library's allocator */
	double fault_bytes;  /* pages first touched here (estimate by sampling) */
	double watched_seconds; /* MW_SITE_WINDOWS: in which a death was seen, summed over blocks */
	uint64_t samples;	/* stacks taken: events behind the numbers above */
	/*
	 * MW_SITE_LIVE_KNOWN: bytes a second by which all blocks of the sizes that are kept here
	 * grow, by looks: its part of them, and the most that it can be.
	 */
	double grows, grows_most, goes_on, ends; /* as in struct mw_tracked_site */
	double resized;				 /* of ALLOCS: they resized another block */
	double swells, swells_most;		 /* as in struct mw_tracked_site */
};

/* One moment of a site's history. */
struct mw_site_point {
	double elapsed; /* seconds since the watch began */
	double allocs, alloc_bytes, frees, freed_bytes, grown_bytes, returned_bytes, fault_bytes;
	double held_bytes; /* mw_site_held() */
	double malloc_bytes;
};

/* Survivors: of what was allocated up to `before`, how much is still there. */
struct mw_site_cohort {
	double before;		   /* seconds since the watch began; 0: not scanned yet */
	double born, born_bytes;   /* allocated up to then */
	double alive, alive_bytes; /* of those */
};

enum { MW_SITE_COHORTS = 3 };

struct mw_site_stats {
	uint32_t id;	 /* its number, from 1 on, never reused */
	uint32_t target; /* number of the process named on the command line */
	uint32_t flags;	 /* MW_SITE_… */
	uint32_t frame_count;
	const struct mw_frame *frames; /* innermost first; owned by the sites */
	struct mw_site_totals totals;
	struct mw_site_totals
		interval; /* of what was allocated, mapped and faulted in since the mark */
	struct mw_site_totals mark;   /* what the totals were when the interval began */
	double first_seen, last_seen; /* seconds since the watch began; -1 until they are set */
	struct mw_site_cohort cohorts[MW_SITE_COHORTS]; /* of all, half and a quarter of the time */
	struct mw_generations generations; /* MW_SITE_WINDOWS, unless probes stay in by now */
	struct mw_type_counts types;	   /* MW_SITE_PYTHON: of what is kept, as looked last */
	size_t point_count;
	struct mw_site_point points[MW_SERIES_HISTORY]; /* oldest first; coarser as time goes on */
};

/* What a site holds now. */
static inline double mw_site_outstanding(const struct mw_site_stats *site)
{
	return site->totals.kept_bytes > 0 ? site->totals.kept_bytes : 0;
}

/* The same with what is unknown yet, as much of it as of what is known by now is kept. */
static inline double mw_site_held(const struct mw_site_totals *t)
{
	double known = t->kept_bytes + t->freed_bytes;

	return t->kept_bytes + (known > 0 ? t->unknown_bytes * t->kept_bytes / known : 0);
}

static inline struct mw_site_point mw_site_point_at(const struct mw_site_stats *site,
						    double elapsed)
{
	const struct mw_site_totals *t = &site->totals;

	return (struct mw_site_point){
		.elapsed = elapsed,
		.allocs = t->allocs,
		.alloc_bytes = t->alloc_bytes,
		.frees = t->frees,
		.freed_bytes = t->freed_bytes,
		.held_bytes = mw_site_held(t),
		.grown_bytes = t->grown_bytes,
		.returned_bytes = t->returned_bytes,
		.fault_bytes = t->fault_bytes,
		.malloc_bytes = t->malloc_bytes,
	};
}

/* What the kernel was asked for there and did not get back. */
static inline double mw_site_growth(const struct mw_site_stats *site)
{
	double bytes = site->totals.grown_bytes - site->totals.returned_bytes;

	return bytes > 0 ? bytes : 0;
}

/* One standard deviation of mw_site_outstanding(), bytes. */
double mw_site_error(const struct mw_site_stats *site);

struct mw_sites; /* opaque */

struct mw_sites *mw_sites__new(void);
void mw_sites__free(struct mw_sites *sites);

/*
 * The site of TARGET with these frames (copied, innermost first), made when it is new. Two stacks
 * are the same site when kind, function, file, line and offset of all frames agree, and
 * MW_SITE_PYTHON of FLAGS. NULL: no
 * memory. Pointers to sites stay valid until the sites are freed.
 */
struct mw_site_stats *mw_sites__intern(struct mw_sites *sites, uint32_t target,
				       const struct mw_frame *frames, size_t count, uint32_t flags);

size_t mw_sites__count(const struct mw_sites *sites);
const struct mw_site_stats *mw_sites__at(const struct mw_sites *sites, size_t i);
/* For those who read counters into it, or know better. */
struct mw_site_stats *mw_sites__edit(struct mw_sites *sites, size_t i);

/*
 * Append a point to the history of every site: call it at an even pace, after the totals are set.
 */
void mw_sites__tick(struct mw_sites *sites, double elapsed);

enum mw_site_order {
	MW_SITES_BY_OUTSTANDING,
	MW_SITES_BY_GROWTH, /* brk and mmap */
	MW_SITES_BY_ALLOCS, /* allocations, by number */
	MW_SITES_BY_BYTES,  /* allocated */
	MW_SITES_BY_FAULTS,
	MW_SITES_ORDERS,
};

/* What ORDER ranks by. */
double mw_site_key(const struct mw_site_stats *site, enum mw_site_order order);

/*
 * The up to MAX sites of TARGET with the largest keys (above 0), largest first, into OUT. Returns
 * how many there are in OUT.
 */
size_t mw_sites__top(const struct mw_sites *sites, uint32_t target, enum mw_site_order order,
		     const struct mw_site_stats **out, size_t max);

/* "app.py:88 load_user" or "libfoo.so parse+0x1c" into BUF of SIZE bytes; returns BUF. */
char *mw_frame_format(const struct mw_frame *frame, char *buf, size_t size);

#endif

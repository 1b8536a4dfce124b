/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of blocks that were sampled when they were made: kept, freed, or unknown. Pure
 * arithmetic over what windows of probes and walks of the heap have seen.
 *
 *  - kept: a walk of the heap found the block allocated (or probes that stay in would have seen it
 *    go), and nothing speaks for another block in its place;
 *  - freed: a probe saw it freed, or a walk found its place free or given out again;
 *  - unknown: neither yet, or no longer.
 *
 * Each block is in exactly one of the three, so they sum to what was allocated, and none is made by
 * subtraction of the others. A block of a window stands for the blocks of the time around it.
 */
#ifndef MW_MODEL_TRACKED_H
#define MW_MODEL_TRACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "model/generations.h"
#include "model/live_parts.h"
#include "model/weight.h"

struct mw_amount {
	double calls, bytes;
	double variance; /* of BYTES */
};

/* One site, as of the last mw_tracked__settle(). */
struct mw_tracked_site {
	struct mw_amount allocated, kept, freed, unknown;
	/* The same of what was allocated since mw_tracked__mark(). */
	struct mw_amount new_allocated, new_kept, new_freed, new_unknown;
	double temporaries;
	double watched; /* seconds in windows, summed over its blocks */
	struct mw_generations generations;
	/*
	 * By looks at all blocks of the sizes that it keeps: bytes a second that it has a part in,
	 * by its part of what is known to be kept, and the most that it can be. < 0: not known.
	 */
	double grows, grows_most;
	/* Of GROWS: in sizes of which there are ever more; and in those where that ends. */
	double goes_on, ends;
	bool scaled; /* else only what is kept is known, and how it grows */
	/*
	 * Of ALLOCATED's calls: those that resized another block. Such a block is never old,
	 * however long the program keeps it. So where they are nearly all, its part of what all
	 * blocks grow by, bytes a second, of sizes that only such sites keep; and all of that, or
	 * the most that it can be.
	 */
	double resized, swells, swells_most;
};

/* Are nearly all of a site's ALLOCS blocks that it RESIZED, so that none is ever old? */
static inline bool mw_only_resizes(double resized, double allocs)
{
	return allocs > 0 && resized >= 0.9 * allocs;
}

enum mw_liveness_state { MW_LIVENESS_UNKNOWN, MW_LIVENESS_ALIVE, MW_LIVENESS_FREED };

struct mw_tracked_block {
	uint64_t key, time, size; /* mw_block_key(); CLOCK_MONOTONIC ns; bytes asked for */
	uint64_t site;
	double weight;	     /* allocations that it stands for */
	double made;	     /* seconds since the watch began: its generation's */
	uint32_t slot, kind; /* KIND: MW_KIND_ALLOC or MW_KIND_PYTHON */
	uint32_t windows;    /* that it was seen in */
	uint64_t room;	     /* bytes that it has, as a walk found it; 0: not known */
	uint64_t print;	     /* of its content soon after its window; 0: not taken */
	double watched;	     /* seconds in windows */
	/* Seconds of CLOCK_MONOTONIC: when a walk found it alive last, or first found another
	 * content in its place; 0: never. */
	double seen_at;
	bool seen; /* in this window */
	/* As of the last mw_tracked__settle(), 0 to 1: kept; dead, since more than there is can't
	 * be kept; and how likely it is where that is not sure. */
	double kept, dead, likely;
	double scale; /* of WEIGHT, for what is kept */
	bool same,
		other; /* by its content as last looked at: it is the one that was made, or not */
};

struct mw_tracked; /* opaque */

/* PERIOD: bytes between two samples, 0: all. NULL: no memory. */
struct mw_tracked *mw_tracked__new(uint64_t period);
void mw_tracked__free(struct mw_tracked *tracked);

/* How blocks of the windows from the next one on are drawn. */
void mw_tracked__set_sampling(struct mw_tracked *tracked, const struct mw_sampling *sampling);
/* How many allocations a block of SIZE bytes stands for that is drawn so. */
double mw_tracked__weight(const struct mw_tracked *tracked, uint64_t size);

/* The watch begins NOW (seconds of CLOCK_MONOTONIC), the targets having used OWN seconds of CPU. */
void mw_tracked__begin(struct mw_tracked *tracked, double now, const double *own, uint32_t slots);

/*
 * A window has ended: first _begin_window(), then each site's counters with _add_counts(), then
 * each block that is in the kernel's map with _add_block(), then _end_window().
 *
 * A second of the window stands for SCALES[slot] seconds of the target, of which it has used
 * OWN[slot] seconds of CPU for itself so far. SECONDS: how long the window lasted; 0: probes were
 * in since the last one. NOW: seconds of CLOCK_MONOTONIC.
 */
void mw_tracked__begin_window(struct mw_tracked *tracked, double now, double seconds,
			      const double *scales, const double *own, uint32_t slots);
void mw_tracked__add_counts(struct mw_tracked *tracked, uint64_t site,
			    const struct mw_site_counts *counts);
void mw_tracked__add_block(struct mw_tracked *tracked, uint64_t key,
			   const struct mw_alloc_record *record);
void mw_tracked__end_window(struct mw_tracked *tracked);

/* Probes stayed in for SECONDS more: what blocks did meanwhile was seen. */
void mw_tracked__watched(struct mw_tracked *tracked, double seconds);

/* Every block, for the walk of the heap and to go back into the kernel's map. */
struct mw_tracked_block *mw_tracked__blocks(const struct mw_tracked *tracked, size_t *count);
struct mw_tracked_block *mw_tracked__find(struct mw_tracked *tracked, uint64_t key, uint64_t time);

/*
 * A print of a block's content: eight words from all over it, each hashed to a byte. Not 0. What
 * changes in a part of itself keeps most of its print; another block in its place has another one.
 */
enum { MW_PRINT_WORDS = 8 };
uint64_t mw_print_of(const uint64_t words[MW_PRINT_WORDS]);

/* The content of BLOCK, soon after its window. */
void mw_tracked__print(struct mw_tracked *tracked, struct mw_tracked_block *block, uint64_t print);

/*
 * What a walk found of BLOCK at NOW. ROOM: bytes that the program may use of it, when it is alive;
 * PRINT: of its content, 0: not read.
 */
void mw_tracked__found(struct mw_tracked *tracked, struct mw_tracked_block *block,
		       enum mw_liveness_state liveness, uint64_t room, uint64_t print, double now);

/* Blocks that are known to be freed NOW leave the list: DROPPED (may be NULL) is called for each.
 */
void mw_tracked__sweep(struct mw_tracked *tracked, double now,
		       void (*dropped)(void *arg, const struct mw_tracked_block *block), void *arg);

/* What looks at target SLOT have shown, by CLOCK_MONOTONIC; FINE as for mw_live_class(). */
void mw_tracked__set_live_bytes(struct mw_tracked *tracked, uint32_t slot, unsigned int fine,
				const struct mw_live_growth *live);

/*
 * Set the sites' numbers to NOW, when target SLOT has used OWN[slot] seconds of CPU for itself:
 * what it has done since the last window (OWN NULL: nothing that probes didn't see) is unknown, and
 * estimated by what it did before. BIAS: relative error that all windows have in common;
 * INFINITY: for how much they stand is not known, and what is kept only by looks at all blocks.
 */
void mw_tracked__settle(struct mw_tracked *tracked, double now, const double *own, uint32_t slots,
			double bias);

/* An interval begins at NOW: what is new from here on. */
void mw_tracked__mark(struct mw_tracked *tracked, double now);

/* As of the last mw_tracked__settle(); NULL: nothing is known of it. */
const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *tracked, uint64_t id);

#endif

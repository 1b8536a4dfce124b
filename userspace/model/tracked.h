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
};

enum mw_liveness_state { MW_LIVENESS_UNKNOWN, MW_LIVENESS_ALIVE, MW_LIVENESS_FREED };

struct mw_tracked_block {
	uint64_t key, time, size; /* mw_block_key(); CLOCK_MONOTONIC ns; bytes asked for */
	uint64_t site;
	double weight; /* allocations that it stands for */
	uint32_t slot;
	uint32_t windows; /* that it was seen in */
	uint64_t print;	  /* of its content soon after its window; 0: not taken */
	double watched;	  /* seconds in windows */
	double seen_at; /* seconds of CLOCK_MONOTONIC: when a walk found it alive last; 0: never */
	bool seen;	/* in this window */
	bool same,
		other; /* by its content as last looked at: it is the one that was made, or not */
};

struct mw_tracked; /* opaque */

/* PERIOD: bytes between two samples, 0: all. NULL: no memory. */
struct mw_tracked *mw_tracked__new(uint64_t period);
void mw_tracked__free(struct mw_tracked *tracked);

/* The watch begins, the targets having used OWN seconds of CPU. */
void mw_tracked__begin(struct mw_tracked *tracked, const double *own, uint32_t slots);

/*
 * A window has ended: first _begin_window(), then each site's counters with _add_counts(), then
 * each block that is in the kernel's map with _add_block(), then _end_window().
 *
 * A second of the window stands for SCALES[slot] seconds of the target, of which it has used
 * OWN[slot] seconds of CPU for itself so far. SECONDS: how long the window lasted; 0: probes stay
 * in. NOW: seconds of CLOCK_MONOTONIC.
 */
void mw_tracked__begin_window(struct mw_tracked *tracked, double seconds, const double *scales,
			      const double *own, uint32_t slots);
void mw_tracked__add_counts(struct mw_tracked *tracked, uint64_t site,
			    const struct mw_site_counts *counts);
void mw_tracked__add_block(struct mw_tracked *tracked, uint64_t key,
			   const struct mw_alloc_record *record);
void mw_tracked__end_window(struct mw_tracked *tracked, double now);

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

/* What a walk found of BLOCK at NOW. PRINT: of its content, 0: not read. */
void mw_tracked__found(struct mw_tracked *tracked, struct mw_tracked_block *block,
		       enum mw_liveness_state liveness, uint64_t print, double now);

/* Blocks that are known to be freed leave the list: DROPPED (may be NULL) is called for each. */
void mw_tracked__sweep(struct mw_tracked *tracked,
		       void (*dropped)(void *arg, const struct mw_tracked_block *block), void *arg);

/*
 * Set the sites' numbers to NOW, when target SLOT has used OWN[slot] seconds of CPU for itself:
 * what it has done since the last window (OWN NULL: nothing that probes didn't see) is unknown, and
 * estimated by what it did before. BIAS: relative error that all windows have in common.
 */
void mw_tracked__settle(struct mw_tracked *tracked, double now, const double *own, uint32_t slots,
			double bias);

/* An interval begins at NOW: what is new from here on. */
void mw_tracked__mark(struct mw_tracked *tracked, double now);

/* As of the last mw_tracked__settle(); NULL: nothing is known of it. */
const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *tracked, uint64_t id);

/* How sure it is that a block that was found is the one that was made, 0 to 1; NOW as above. */
double mw_tracked__is_same(const struct mw_tracked *tracked, const struct mw_tracked_block *block,
			   double now);

#endif

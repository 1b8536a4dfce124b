/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks that were sampled while probes were in for a window, tracked while they are not. A later
 * window sees them freed, or their address reused; between windows a heap walk checks them. What
 * neither shows is estimated: a site whose blocks are seen to die in windows loses some outside of
 * them, too. Pure: the caller has the clock, reads the programs' maps and walks the heaps.
 *
 * Times are seconds or, where a name says so, nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef MW_MODEL_TRACKED_H
#define MW_MODEL_TRACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"

/* Is a block still allocated? */
enum mw_liveness_state { MW_LIVENESS_UNKNOWN, MW_LIVENESS_ALIVE, MW_LIVENESS_FREED };

/* Estimates for one site. */
struct mw_tracked_site {
	double allocs, alloc_bytes, temporaries;
	double alive, alive_bytes, alive_variance; /* of them; bytes squared */
	double watched; /* seconds in windows, summed over the blocks that were there */
};

struct mw_tracked_block {
	uint64_t key; /* mw_block_key() */
	struct mw_alloc_record record;
	double weight;	      /* how many blocks it stands for */
	double watched;	      /* seconds in windows */
	unsigned int windows; /* that it was seen in */
	bool seen;	      /* in the present window, or by the last heap walk */
	bool was_alive;	      /* a heap walk has found it */
	bool blind;	      /* whether it is allocated can't be known from its heap */
	struct mw_tracked_counts *site;
};

struct mw_tracked; /* opaque */

/* PERIOD: bytes between two samples, 0: every allocation is one. NULL: no memory. */
struct mw_tracked *mw_tracked__new(uint64_t period);
void mw_tracked__free(struct mw_tracked *tracked);

/* Forget all blocks and estimates; what sites have counted up to now is left out. */
void mw_tracked__reset(struct mw_tracked *tracked);

/*
 * A window has closed: begin_window, then add_counts for every site and add_block for every block
 * that the programs still know, then end_window. SCALES, by target: for how much of the target's
 * time one second of the window stands. With SCALES NULL counts are left out as what was before.
 */
void mw_tracked__begin_window(struct mw_tracked *tracked);
void mw_tracked__add_counts(struct mw_tracked *tracked, uint64_t site,
			    const struct mw_site_counts *now, const double *scales);
void mw_tracked__add_block(struct mw_tracked *tracked, uint64_t key,
			   const struct mw_alloc_record *record, const double *scales);

/*
 * The window was open for SECONDS. Blocks that it has not met are gone; of too many, every second
 * one, at random, stands for two.
 */
void mw_tracked__end_window(struct mw_tracked *tracked, double seconds);

/* Blocks tracked now, in no particular order; valid until the next call that changes them. */
const struct mw_tracked_block *mw_tracked__blocks(const struct mw_tracked *tracked, size_t *count);

/* Drop the blocks of which KEEP says false; KEEP may set `blind`. */
typedef bool (*mw_tracked_keep_fn)(struct mw_tracked_block *block, void *arg);
void mw_tracked__filter(struct mw_tracked *tracked, mw_tracked_keep_fn keep, void *arg);

/*
 * A heap walk's results: begin_walk, then one `learn` for each block asked for, then
 * mw_tracked__filter() by `seen`. A block is the same when key and time are.
 */
void mw_tracked__begin_walk(struct mw_tracked *tracked);
void mw_tracked__learn(struct mw_tracked *tracked, uint64_t key, uint64_t time_ns,
		       enum mw_liveness_state state);

/* Set the sites' `alive` estimates as of NOW. */
void mw_tracked__settle(struct mw_tracked *tracked, double now);

/* As of the last mw_tracked__settle(); NULL: windows have not met the site. */
const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *tracked, uint64_t site);

/*
 * How many blocks BLOCK stands for at NOW, as it can have died unseen as often as its site's blocks
 * die in windows. 0 before it was met again.
 */
double mw_tracked_block__weight(const struct mw_tracked_block *block, double now);

#endif

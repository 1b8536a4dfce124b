/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds model/tracked.h with one layer's blocks under a budget: reads the programs' maps when a
 * window has closed, and has the heaps walked, or the pools read, in which tracked blocks lie.
 */
#ifndef MW_TRACE_BLOCK_TRACKER_H
#define MW_TRACE_BLOCK_TRACKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/sample.h"
#include "model/tracked.h"
#include "trace/blocks.h"
#include "trace/pymalloc_blocks.h"
#include "trace/survivors.h"

struct mw_block_tracker;

/* Whose an address space is: 0: its heap can't be walked, -1: it is gone. */
typedef pid_t (*mw_pid_of_space_fn)(void *arg, uint32_t space);

/*
 * SITES is the descriptor of the map of sites, of all layers, which stays the caller's, as do SEEN,
 * the blocks that LAYER's programs know; PERIOD as in mw_tracked__new(). PID_OF and POOLS_OF are
 * called with ARG. NULL: no memory.
 */
struct mw_block_tracker *mw_block_tracker__new(enum mw_layer layer, int sites,
					       const struct mw_blocks *seen, uint64_t period,
					       mw_pid_of_space_fn pid_of,
					       mw_pools_of_space_fn pools_of, void *arg);
void mw_block_tracker__free(struct mw_block_tracker *tracker);

/* The watch begins; CPU as below. */
void mw_block_tracker__begin(struct mw_block_tracker *tracker, const double *cpu, uint32_t slots);

/* How blocks of the windows from the next one on are drawn. */
void mw_block_tracker__set_sampling(struct mw_block_tracker *tracker,
				    const struct mw_sampling *sampling);

/* A window is going to open. */
void mw_block_tracker__prepare(struct mw_block_tracker *tracker);

/*
 * A window is about to close, in a few milliseconds: take prints of the blocks that were made since
 * SINCE (CLOCK_MONOTONIC, ns). As probes still see frees, what is left of these blocks when it has
 * closed is what the prints were taken of; later, something else may lie in their place.
 */
void mw_block_tracker__take_prints(struct mw_block_tracker *tracker, uint64_t since);

/*
 * Counting began, or ended, just now. What Python asked for at the very end of a window is mostly
 * in use for a moment only, and its block is the first that is handed out again: maybe to an object
 * that stays, for which it would be taken. So such blocks are not tracked.
 */
void mw_block_tracker__count(struct mw_block_tracker *tracker, bool on);

/*
 * A window has closed that was open for SECONDS, and its probes are out. SCALES, by target: for how
 * much of the target's time one second of it stands; CPU: seconds of it that the target has used.
 * In the map of blocks only those stay that are tracked, so that the next window sees their end.
 */
void mw_block_tracker__window(struct mw_block_tracker *tracker, double seconds,
			      const double *scales, const double *cpu);

/*
 * Probes stay in from now on, so that all frees are seen, or no longer: then what was allocated
 * meanwhile is tracked like what windows have seen. CPU as above.
 */
void mw_block_tracker__stay(struct mw_block_tracker *tracker, bool stays, const double *cpu);

/*
 * Walk the heaps when that is due, or NOW. The first walk begins within 3 s, the next ones every 5
 * s or, in large heaps, as seldom as keeps them within a tenth of one processor. Not while a window
 * is open.
 */
void mw_block_tracker__check(struct mw_block_tracker *tracker, bool now);

/* What looks have shown of target SLOT's blocks by size, as for mw_tracked__set_live_bytes(). */
void mw_block_tracker__set_live_bytes(struct mw_block_tracker *tracker, uint32_t slot,
				      const struct mw_live_growth *live);

/* A new interval begins. */
void mw_block_tracker__mark(struct mw_block_tracker *tracker);

/* When walks had last met every block that can be read, seconds of CLOCK_MONOTONIC; 0: never. */
double mw_block_tracker__walked_at(const struct mw_block_tracker *tracker);

/* What walks have cost so far. */
const struct mw_heap_looks *mw_block_tracker__looks(const struct mw_block_tracker *tracker);

/* Add the blocks of Python's layer that are known to be there to OUT. 0 or -ENOMEM. */
int mw_block_tracker__survivors(const struct mw_block_tracker *tracker, struct mw_survivors *out);

/*
 * Set the sites' numbers to now, when the SLOTS targets have used CPU seconds, and read them. BIAS
 * as for mw_tracked__settle().
 */
const struct mw_tracked *mw_block_tracker__settle(struct mw_block_tracker *tracker,
						  const double *cpu, uint32_t slots, double bias);

#endif

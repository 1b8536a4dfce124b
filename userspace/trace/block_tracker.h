/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds model/tracked.h under a budget: reads the programs' maps when a window has closed, and has
 * the heaps walked in which tracked blocks lie.
 */
#ifndef MW_TRACE_BLOCK_TRACKER_H
#define MW_TRACE_BLOCK_TRACKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/tracked.h"

struct mw_block_tracker;

/* Whose an address space is: 0: its heap can't be walked, -1: it is gone. */
typedef pid_t (*mw_pid_of_space_fn)(void *arg, uint32_t space);

/*
 * SITES and OUTSTANDING are the descriptors of the maps of sites and of blocks, which stay the
 * caller's; PERIOD as in mw_tracked__new(). PID_OF is called with ARG. NULL: no memory.
 */
struct mw_block_tracker *mw_block_tracker__new(int sites, int outstanding, uint64_t period,
					       mw_pid_of_space_fn pid_of, void *arg);
void mw_block_tracker__free(struct mw_block_tracker *tracker);

/* The watch begins; CPU as below. */
void mw_block_tracker__begin(struct mw_block_tracker *tracker, const double *cpu, uint32_t slots);

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

/* A new interval begins. */
void mw_block_tracker__mark(struct mw_block_tracker *tracker);

/* When a walk was over last, seconds of CLOCK_MONOTONIC; 0: never. */
double mw_block_tracker__walked_at(const struct mw_block_tracker *tracker);

/*
 * Set the sites' numbers to now, when the SLOTS targets have used CPU seconds, and read them. BIAS
 * as for mw_tracked__settle().
 */
const struct mw_tracked *mw_block_tracker__settle(struct mw_block_tracker *tracker,
						  const double *cpu, uint32_t slots, double bias);

#endif

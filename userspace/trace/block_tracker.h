/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds model/tracked.h while probes are in for windows only: reads the programs' maps when a
 * window has closed, and between windows has the heaps walked in which tracked blocks lie.
 */
#ifndef MW_TRACE_BLOCK_TRACKER_H
#define MW_TRACE_BLOCK_TRACKER_H

#include <stdint.h>
#include <sys/types.h>

#include "model/tracked.h"

struct mw_block_tracker;

/*
 * SITES and OUTSTANDING are the descriptors of the maps of sites and of blocks, which stay the
 * caller's; PERIOD as in mw_tracked__new(). NULL: no memory.
 */
struct mw_block_tracker *mw_block_tracker__new(int sites, int outstanding, uint64_t period);
void mw_block_tracker__free(struct mw_block_tracker *tracker);

/* Forget all blocks, and leave out what sites have counted up to now. */
void mw_block_tracker__reset(struct mw_block_tracker *tracker);

/*
 * A window has closed that was open for SECONDS, and its probes are out. SCALES, by target: for how
 * much of the target's time one second of it stands. In the map of blocks only those stay that are
 * tracked, so that the next window sees their end.
 */
void mw_block_tracker__window(struct mw_block_tracker *tracker, double seconds,
			      const double *scales);

/*
 * Go on finding out which blocks are still allocated, with at most 1 % of a CPU: call it after each
 * window. PID_OF: whose address space it is; 0: its heap can't be walked, -1: it is gone.
 */
void mw_block_tracker__check(struct mw_block_tracker *tracker,
			     pid_t (*pid_of)(void *arg, uint32_t space), void *arg);

/* Set the sites' estimates to now, and read them. */
const struct mw_tracked *mw_block_tracker__settle(struct mw_block_tracker *tracker);

#endif

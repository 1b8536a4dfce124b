/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks that were sampled while the probes were in for a window, followed on while they are not. A
 * later window sees them freed, or their place given out again; between windows the allocator's own
 * marks in the target's memory are looked at. What neither shows is estimated: a site whose blocks
 * are seen to die in windows loses some outside of them, too.
 */
#ifndef MW_TRACE_TRACKED_H
#define MW_TRACE_TRACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct memwhere_bpf;
struct mw_tracked;

/* PERIOD: bytes between two samples, 0: every allocation is one. NULL: no memory. */
struct mw_tracked *mw_tracked__new(struct memwhere_bpf *bpf, uint64_t period);
void mw_tracked__free(struct mw_tracked *tracked);

/* From here on: forget all blocks, and leave out what sites have counted. */
void mw_tracked__begin(struct mw_tracked *tracked);

/*
 * A window has closed that was open for SECONDS, and its probes are out. SCALES, by target: for how
 * much of the target's time one second of it stands. Empties the map of outstanding blocks but for
 * those followed.
 */
void mw_tracked__window(struct mw_tracked *tracked, double seconds, const double *scales);

/*
 * Go on looking for the blocks in the heaps of their processes, which takes no more than 1 % of a
 * CPU: call it after each window. PID_OF tells whose address space one is: 0: can't be looked at,
 * -1: is gone.
 */
void mw_tracked__look(struct mw_tracked *tracked, pid_t (*pid_of)(void *arg, uint32_t space),
		      void *arg);

/* Estimates for one site, by its id in the kernel. */
struct mw_tracked_site {
	double allocs, alloc_bytes, temporaries;
	double alive, alive_bytes, alive_variance; /* of them; bytes squared */
	double watched; /* seconds in windows, summed over blocks there: what did not die in so long
			 */
};

/* Set the sites' estimates to now. */
void mw_tracked__settle(struct mw_tracked *tracked);

/* As of the last mw_tracked__settle(); NULL: windows have not met it. */
const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *tracked, uint64_t id);

/*
 * Every block that is followed: its site, when it was made (CLOCK_MONOTONIC ns), and for how many
 * it stands.
 */
typedef void (*mw_tracked_fn)(uint64_t site, uint64_t time, uint64_t size, double weight,
			      void *arg);
void mw_tracked__each(const struct mw_tracked *tracked, mw_tracked_fn fn, void *arg);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Under a budget: the windows of each layer of allocators that the targets have, and the blocks
 * that they saw made. Layers share what the programs that are always there leave of the budget, and
 * their windows don't overlap.
 */
#ifndef MW_TRACE_LAYERS_H
#define MW_TRACE_LAYERS_H

#include <stdint.h>

#include "model/sample.h"
#include "model/live_bytes.h"
#include "trace/survivors.h"
#include "trace/windowed.h"

struct mw_lengths;
struct mw_layers; /* opaque */

/*
 * Begin to watch: WITH has what windows work with; layer and blocks of it are not looked at. What
 * it points to outlives the layers. LENGTHS and SYSCALL_NS as in trace/standing.h. NULL: no memory.
 */
struct mw_layers *mw_layers__begin(const struct mw_windowed *with, const struct mw_lengths *lengths,
				   uint32_t syscall_ns);
void mw_layers__free(struct mw_layers *layers);

/* The watch is over: no window opens any more. */
void mw_layers__end(struct mw_layers *layers);

/* Do what is due; when next, at most UNTIL: seconds of CLOCK_MONOTONIC. */
double mw_layers__step(struct mw_layers *layers, double until);

/* Are probes in that mw_layers__step() must soon take out again? */
bool mw_layers__are_open(const struct mw_layers *layers);
/* Are some in for good that it may have to take out again at any moment? */
bool mw_layers__may_close(const struct mw_layers *layers);

/* Did some system calls go unseen, among them those that map new code? */
bool mw_layers__miss_system_calls(const struct mw_layers *layers);

/* The programs have told that LAYER's quota is used up. */
void mw_layers__quota_reached(struct mw_layers *layers, uint32_t layer);

/* Look at once which blocks are alive, not when it is due; from any thread. */
void mw_layers__look(struct mw_layers *layers);

/* What looks have shown of SLOT's blocks by size; times are those of CLOCK_MONOTONIC. */
void mw_layers__set_live_bytes(struct mw_layers *layers, uint32_t slot,
			       const struct mw_live_growth live[MW_LAYERS]);

/*
 * Replace what SLOT's probes have counted in SAMPLE by what they say of the whole time, and say
 * what looks at the heap came to. STARTED: when the watch began.
 */
void mw_layers__estimate(struct mw_layers *layers, uint32_t slot, double started,
			 struct mw_sample *sample);

/* What is known of each layer's blocks now, as mw_stacks__read() wants it. */
void mw_layers__settle(struct mw_layers *layers, const struct mw_tracked *tracked[MW_LAYERS]);

/* The sampled small objects of Python that are known to be there, into OUT. 0 or -ENOMEM. */
int mw_layers__survivors(struct mw_layers *layers, struct mw_survivors *out);

/* A new interval begins. */
void mw_layers__mark(struct mw_layers *layers);

#endif

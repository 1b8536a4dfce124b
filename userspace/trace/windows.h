/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's probes under a budget: in for short windows, when the governor says so, or all
 * the time where the target calls the allocator so seldom that it costs less than the budget.
 *
 * This is the state machine only. Putting probes in and out, counting and the clock are its
 * caller's, behind callbacks, so that a simulated target can stand in for them.
 */
#ifndef MW_TRACE_WINDOWS_H
#define MW_TRACE_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "model/rates.h"
#include "model/sample.h"

struct mw_windows; /* opaque */

/* TARGET is a target's number. Times are seconds. */
struct mw_windows_ops {
	double (*now)(void *arg); /* CLOCK_MONOTONIC */

	/* Put in the probes of KIND; they don't count yet. STAY: not for one window only. 0 or
	 * -errno. */
	int (*attach)(void *arg, enum mw_window_kind kind, bool stay);
	/* Stop counting and begin to take them out; is that still going on? */
	void (*detach)(void *arg);
	bool (*is_detaching)(void *arg);
	/* Count from now on, or not. */
	void (*count)(void *arg, bool on);
	/* Count frees of blocks made since SINCE_NS only; take STACKS of allocations, or not. */
	void (*track)(void *arg, uint64_t since_ns, bool stacks);

	void (*read)(void *arg, unsigned int target, struct mw_counts *counts);
	/* Hits of entry probes while they did not count. */
	uint64_t (*idle_hits)(void *arg);
	/* What the calls between BEFORE and AFTER cost besides the programs, in windows of KIND. */
	double (*hit_seconds)(void *arg, unsigned int target, const struct mw_counts *before,
			      const struct mw_counts *after, enum mw_window_kind kind);
	/* Let the kernel time the programs, or not; how long they have run, by that. */
	void (*time_programs)(void *arg, bool on);
	double (*program_seconds)(void *arg);
	double (*cpu_seconds)(void *arg); /* of all targets together */

	/*
	 * A window that takes stacks was open for SECONDS; one of its seconds stands for SCALES of
	 * each target's. After every window: check which blocks are still allocated. When probes
	 * come to STAY, or have gone after they had: what windows knew of blocks is void.
	 */
	void (*blocks_seen)(void *arg, double seconds, const double *scales);
	void (*check_blocks)(void *arg);
	void (*reset_blocks)(void *arg, bool stay);
};

/* BUDGET: share of the targets' time that probes may cost. NULL: no memory. */
struct mw_windows *mw_windows__new(const struct mw_windows_ops *ops, void *arg, enum mw_mode mode,
				   double budget);
void mw_windows__free(struct mw_windows *windows);

/* The watch of TARGETS targets begins. */
void mw_windows__begin(struct mw_windows *windows, unsigned int targets);

/* Do what is due; when to be called again, at most UNTIL. */
double mw_windows__step(struct mw_windows *windows, double until);

/* Carry the estimates on to now: the last time to do so is just before counting ends. */
void mw_windows__integrate(struct mw_windows *windows);

/* Replace what windows saw in SAMPLE by estimates for the whole time. */
void mw_windows__estimate(struct mw_windows *windows, unsigned int target,
			  struct mw_sample *sample);

/* Are the probes in all the time now? */
bool mw_windows__stay(const struct mw_windows *windows);

#endif

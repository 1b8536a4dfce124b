/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's probes under a budget: in for short windows, when the governor allows one, or for
 * good where the busiest second of the targets stays within the budget. From what the windows
 * count, estimates for the whole time.
 *
 * Knows neither kernel nor clock: who opens it says what time it is, and gives functions that put
 * probes in and out and read counters, be they BPF's or a simulated target's.
 */
#ifndef MW_MODEL_WINDOWS_H
#define MW_MODEL_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "model/rates.h"
#include "model/sample.h"
#include "model/weight.h"

/* SLOT is a target's number; all targets share the windows. Seconds are doubles. */
struct mw_windows_ops {
	/* CPU time of the target's processes so far, ended ones included. */
	double (*cpu)(void *arg, uint32_t slot);
	/* The same, for less work: as of a moment ago. It may never be ahead of cpu(). */
	double (*cpu_about)(void *arg, uint32_t slot);
	/* How often its threads went to sleep, as of the last cpu(); 0 where nobody knows. */
	double (*sleeps)(void *arg, uint32_t slot);
	/* So many seconds ago may be what it says, where it moves in steps; 0: it says all. */
	double (*cpu_lags)(void *arg);
	/* Put the probes of KIND in; nothing is counted yet. 0 or -errno: none is in. */
	int (*attach)(void *arg, enum mw_window_kind kind);
	void (*detach)(void *arg);
	bool (*is_detached)(void *arg);
	/* How stacks are drawn in the next window; a period of 0: as it is usual. */
	void (*sample)(void *arg, const struct mw_sampling *sampling);
	/* It is about to end; what is to be seen while probes still count. */
	void (*ends)(void *arg);
	/* Begin and end to count. Hits beyond QUOTA make the watch call
	 * mw_windows__quota_reached(). */
	void (*count)(void *arg, bool on);
	void (*set_quota)(void *arg, uint64_t hits);
	/* Counters of the target since the watch began, and hits that nobody counted. */
	void (*read)(void *arg, uint32_t slot, struct mw_counts *counts);
	uint64_t (*idle_hits)(void *arg);
	/* What the hits from BEFORE to AFTER cost as calibrated, without what the programs ran. */
	double (*cost)(void *arg, uint32_t slot, const struct mw_counts *before,
		       const struct mw_counts *after, enum mw_window_kind kind);
	/* Have the kernel time the programs; how long they ran while it did (0: it doesn't say). */
	void (*time_programs)(void *arg, bool on);
	double (*ran)(void *arg);
	/* Have the kernel take probes out at once when they are to go, or no longer. */
	void (*be_ready)(void *arg, bool on);
	/* What one hit costs at most, before any was seen. */
	double (*hit)(void *arg, enum mw_window_kind kind);
	/*
	 * A window that took stacks is over, and its probes are out: a block in it stands for
	 * SCALES[slot] blocks, of all that was made until the target had used CPU[slot] seconds. It
	 * lasted SECONDS.
	 */
	void (*sampled)(void *arg, double seconds, const double *scales, const double *cpu);
	/* From now on all blocks are seen (STAYS), or no longer. */
	void (*stays)(void *arg, bool stays);
};

struct mw_windows; /* opaque */

/* BUDGET: a share of the targets' CPU time. MODE: which probes. OPS must outlive it. NULL: no
 * memory. */
struct mw_windows *mw_windows__new(const struct mw_windows_ops *ops, void *arg, enum mw_mode mode,
				   double budget);
void mw_windows__free(struct mw_windows *windows);

/* The watch of SLOTS targets begins NOW; they used BUSY CPUs on average before. 0 or -ENOMEM. */
int mw_windows__begin(struct mw_windows *windows, uint32_t slots, double now, double busy);

/* Do what is due; when to call again, at most UNTIL. */
double mw_windows__step(struct mw_windows *windows, double now, double until);

/* The programs have told that the quota is used up; the next step acts on it. */
void mw_windows__quota_reached(struct mw_windows *windows);

/* Are all probes in for good? */
bool mw_windows__stay(const struct mw_windows *windows);

/* Of which classes of sizes there are ever more blocks: windows take more stacks of those. */
void mw_windows__set_growing(struct mw_windows *windows, const bool growing[MW_CLASSES]);

/* From now on BUDGET is what may be spent. */
void mw_windows__set_budget(struct mw_windows *windows, double budget);

/*
 * What probes that stay in take at NOW, as a share of what the budget is a share of; 1 while they
 * don't stay, or that is still being found out: then all that is allowed is used.
 */
double mw_windows__needs(const struct mw_windows *windows, double now);

/* Are probes in that must soon go out again? */
bool mw_windows__are_open(const struct mw_windows *windows);

/* Are probes in for good of which it is not known yet whether they can stay? */
bool mw_windows__may_close(const struct mw_windows *windows);

/* Of what the budget is a share: seconds since the watch began. */
double mw_windows__base(const struct mw_windows *windows);

/* Is no probe in, and none on its way out? */
bool mw_windows__out(const struct mw_windows *windows);

/*
 * Relative error that all windows of SLOT have in common: what a hit costs. INFINITY: for how much
 * a window stands is not known.
 */
double mw_windows__bias(const struct mw_windows *windows, uint32_t slot);

/* The watch is over: no window opens any more. Probes that are in go with the watch's own. */
void mw_windows__end(struct mw_windows *windows, double now);

/* Replace what windows saw in SAMPLE's counters by estimates for the whole time, up to NOW. */
void mw_windows__estimate(struct mw_windows *windows, uint32_t slot, double now,
			  struct mw_sample *sample);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs that are there all the time take of the targets: at system calls, page faults,
 * ends of threads and changes of watched lengths. The budget is for these, too.
 */
#ifndef MW_TRACE_STANDING_H
#define MW_TRACE_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/calibrate.h"
#include "trace/counters.h"
#include "trace/lengths.h"
#include "trace/processes.h"

struct memwhere_bpf;
struct mw_standing; /* opaque */

/*
 * What each system call of the machine takes longer (SYSCALL_NS) was measured when the programs
 * were attached, COST with the probes. LENGTHS may be NULL. BPF, PROCESSES, COUNTERS and LENGTHS
 * must outlive it. NULL: no memory.
 */
struct mw_standing *mw_standing__new(struct memwhere_bpf *bpf, struct mw_processes *processes,
				     struct mw_counters *counters, const struct mw_lengths *lengths,
				     const struct mw_cost *cost, uint32_t syscall_ns);
void mw_standing__free(struct mw_standing *standing);

/* Seconds of CLOCK_MONOTONIC, unless it says otherwise. */
struct mw_standing_now {
	double time, until;
	double budget, base; /* a share of BASE, which are seconds since the watch began; 0: none */
	bool may_switch;     /* no probe waits to be taken out */
};

/*
 * Do what is due; when next, at most UNTIL. Where system calls alone would take more than half of
 * the budget, the program that sees them is out for a part of the time.
 */
double mw_standing__step(struct mw_standing *standing, const struct mw_standing_now *now);

/* Of the targets' CPU time, the share in which system calls were seen: 1 unless they are many. */
double mw_standing__seen(const struct mw_standing *standing);

/*
 * Seconds that they have taken of all targets since the watch began, as of the last step; negative
 * before there was anything to tell by.
 */
double mw_standing__seconds(const struct mw_standing *standing);

#endif

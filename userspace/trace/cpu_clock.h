/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU time of a process to the microsecond, whether it runs or not. The kernel's clock of another
 * process (clock_getcpuclockid()) and /proc say what the scheduler accounted at its last tick: up
 * to 4 ms ago where CONFIG_HZ is 250 (kernel/sched/cputime.c, thread_group_cputime(): "skip account
 * those pending times"). Windows are hardly longer than that, and end when that clock moves.
 */
#ifndef MW_TRACE_CPU_CLOCK_H
#define MW_TRACE_CPU_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct memwhere_bpf;
struct mw_cpu_clock; /* opaque */

/* Before BPF is loaded: its program is left out where the kernel lacks what it needs. */
void mw_cpu_clock__configure(struct memwhere_bpf *bpf);

/*
 * Of the process PID, which the programs know as TGID; afterwards. NULL: this kernel can't say it
 * (before Linux 6.1, or without CONFIG_FAIR_GROUP_SCHED), or not of more processes.
 */
struct mw_cpu_clock *mw_cpu_clock__open(const struct memwhere_bpf *bpf, pid_t pid, uint32_t tgid);
void mw_cpu_clock__close(struct mw_cpu_clock *clock);

/* Of all threads of a process, ended ones included. */
struct mw_cpu_use {
	double seconds;
	double sleeps; /* how often they gave up their CPUs to wait for something */
};

/* False: it has ended, or can't be told. */
bool mw_cpu_clock__read(const struct mw_cpu_clock *clock, struct mw_cpu_use *use);

#endif

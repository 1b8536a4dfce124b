/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hardware watchpoint takes of a thread that does not touch what is watched: whenever the
 * thread gets a processor and gives it up, the kernel sets the processor's debug registers, which
 * in a virtual machine takes microseconds.
 */
#ifndef MW_TRACE_WATCHPOINT_H
#define MW_TRACE_WATCHPOINT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * A perf event for writes to the eight bytes at ADDRESS by thread TID (0: the caller), disabled.
 * Returns it, or -errno.
 */
int mw_watchpoint__open(pid_t tid, uint64_t address);

/* Seconds of CPU that each switch to a thread with a watchpoint takes longer, measured in 10 ms. */
double mw_watchpoint__switch_seconds(void);

/* How often the thread TID of PID has got a processor; 0: the kernel doesn't say. */
uint64_t mw_watchpoint__switches(pid_t pid, pid_t tid);

#endif

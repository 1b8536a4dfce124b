/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel itself counts for a process: page faults, RSS (proc(5)). */
#ifndef MW_IMAGE_PROCSTAT_H
#define MW_IMAGE_PROCSTAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mw_procstat {
	uint64_t min_flt, maj_flt; /* all threads, ended ones too, since the process began */
	uint64_t rss;		   /* bytes */
	uint64_t start_brk;	   /* address where the brk heap begins, 0 when hidden from us */
	uint64_t start_time;	   /* clock ticks since boot: with the PID it names a process */
	uint64_t utime, stime;	   /* clock ticks */
	pid_t parent;
	char state; /* 'R', 'S', …, 'Z' */
	bool kernel_thread;
};

/* 0, or -errno (-ENOENT or -ESRCH when there is no such process). */
int mw_procstat__read(struct mw_procstat *stat, pid_t pid);

/*
 * The processes below PID: its children, theirs, and so on, as they are now. Their number, with
 * *LIST to be freed; or -errno.
 */
ssize_t mw_procstat_descendants(pid_t pid, pid_t **list);

/* User and system time, in nanoseconds (as coarse as the clock tick, 10 ms). */
uint64_t mw_procstat__cpu_ns(const struct mw_procstat *stat);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own counts of a process: page faults, RSS, CPU time (proc(5)). */
#ifndef MW_IMAGE_PROCSTAT_H
#define MW_IMAGE_PROCSTAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mw_procstat {
	uint64_t min_flt, maj_flt; /* all threads, ended ones too, since the process began */
	uint64_t rss;		   /* bytes */
	uint64_t start_brk;	   /* address where the brk heap begins, 0 without permission */
	uint64_t start_time;   /* clock ticks since boot; with the PID it identifies a process */
	uint64_t utime, stime; /* clock ticks */
	pid_t parent;
	char state; /* 'R', 'S', …, 'Z' */
	bool kernel_thread;
};

/* 0, or -errno (-ENOENT or -ESRCH when there is no such process). */
int mw_procstat__read(struct mw_procstat *stat, pid_t pid);

/*
 * All descendants of PID, as they are now. Returns how many, or -errno; the caller frees *LIST.
 */
ssize_t mw_procstat_descendants(pid_t pid, pid_t **list);

/* User and system time in nanoseconds, with the resolution of the clock tick, 10 ms. */
uint64_t mw_procstat__cpu_ns(const struct mw_procstat *stat);

/* Seconds since the process began. */
double mw_procstat__age(const struct mw_procstat *stat);

#endif

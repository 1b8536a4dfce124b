// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/procstat.h"
#include "util/cleanup.h"
#include "util/file.h"

int mw_procstat__read(struct mw_procstat *stat, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	unsigned int flags;
	const char *rest;
	long rss;
	size_t len;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	ret = mw_file_read(path, 1 << 16, &text, &len);
	if (ret)
		return ret;
	/* The name, in brackets, may hold anything, brackets included. */
	rest = strrchr(text, ')');
	memset(stat, 0, sizeof(*stat));
	/* Fields 3, 9, 10, 12, 14, 15, 22, 24 and 47. */
	if (!rest ||
	    sscanf(rest + 1,
		   " %c %*d %*d %*d %*d %*d %u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64
		   " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64 " %*u %ld"
		   " %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u %*u %*u"
		   " %*u %*d %*u %*u %" SCNu64,
		   &stat->state, &flags, &stat->min_flt, &stat->maj_flt, &stat->utime, &stat->stime,
		   &stat->start_time, &rss, &stat->start_brk) < 8)
		return -EINVAL;
	stat->kernel_thread = flags & 0x00200000; /* PF_KTHREAD, include/linux/sched.h */
	stat->rss = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return 0;
}

uint64_t mw_procstat__cpu_ns(const struct mw_procstat *stat)
{
	return (stat->utime + stat->stime) * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image/procstat.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

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
	/* Fields 3, 4, 9, 10, 12, 14, 15, 22, 24 and 47. */
	if (!rest ||
	    sscanf(rest + 1,
		   " %c %d %*d %*d %*d %*d %u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %" SCNu64
		   " %*d %*d %*d %*d %*d %*d %" SCNu64 " %*u %ld"
		   " %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u %*u %*u"
		   " %*u %*d %*u %*u %" SCNu64,
		   &stat->state, &stat->parent, &flags, &stat->min_flt, &stat->maj_flt,
		   &stat->utime, &stat->stime, &stat->start_time, &rss, &stat->start_brk) < 9)
		return -EINVAL;
	stat->kernel_thread = flags & 0x00200000; /* PF_KTHREAD, include/linux/sched.h */
	stat->rss = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return 0;
}

uint64_t mw_procstat__cpu_ns(const struct mw_procstat *stat)
{
	return (stat->utime + stat->stime) * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

struct kin {
	pid_t pid, parent;
	bool below;
};

static int read_kin(struct kin **list, size_t *count)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t capacity = 0;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		struct mw_procstat stat;
		uint64_t pid;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &pid) ||
		    mw_procstat__read(&stat, (pid_t)pid))
			continue;
		if (mw_array_reserve(list, &capacity, *count + 1, sizeof(**list)))
			return -ENOMEM;
		(*list)[(*count)++] = (struct kin){(pid_t)pid, stat.parent, false};
	}
	return 0;
}

static bool is_below(const struct kin *all, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++) {
		if (all[i].pid == pid)
			return all[i].below;
	}
	return false;
}

ssize_t mw_procstat_descendants(pid_t pid, pid_t **list)
{
	_cleanup_free_ struct kin *all = NULL;
	size_t count = 0, found = 0, before;
	int ret;

	*list = NULL;
	ret = read_kin(&all, &count);
	if (ret)
		return ret;
	/* A child may come before its parent, since PIDs wrap. */
	do {
		before = found;
		for (size_t i = 0; i < count; i++) {
			if (all[i].below ||
			    (all[i].parent != pid && !is_below(all, count, all[i].parent)))
				continue;
			all[i].below = true;
			found++;
		}
	} while (found > before);
	*list = calloc(found + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	for (size_t i = 0, n = 0; i < count; i++) {
		if (all[i].below)
			(*list)[n++] = all[i].pid;
	}
	return (ssize_t)found;
}

double mw_procstat__age(const struct mw_procstat *stat)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
	       (double)stat->start_time / (double)sysconf(_SC_CLK_TCK);
}

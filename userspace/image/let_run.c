// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting for the threads of a process, as RCU waits for processors: whoever was in the middle of
 * something has run on since, or sleeps. Sleeping threads hold nothing half done, except where they
 * wait for the kernel (state D).
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/image_impl.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/units.h"

enum { THREADS_MAX = 512, STEP_NS = 500000, RUN_ON_NS = 50000 };

#define WAIT_MAX 0.25 /* seconds */

struct runner {
	pid_t tid;
	uint64_t ran; /* ns of CPU time so far */
};

/* Does thread TID run, or wait for a processor or the kernel? RAN gets its CPU time in ns. */
static bool runs(pid_t pid, pid_t tid, uint64_t *ran)
{
	_cleanup_free_ char *stat = NULL, *times = NULL;
	char path[80], *state;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (mw_file_read(path, 4096, &stat, &len))
		return false;
	state = strrchr(stat, ')');
	if (!state || !state[1] || (state[2] != 'R' && state[2] != 'D'))
		return false;
	/* Documentation/scheduler/sched-stats.rst: time spent on the CPU is the first number. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	*ran = mw_file_read(path, 4096, &times, &len) ? 0 : strtoull(times, NULL, 10);
	return true;
}

static size_t list_runners(pid_t pid, struct runner *runners)
{
	struct dirent *entry;
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	_cleanup_closedir_ DIR *dir = opendir(path);

	while (dir && n < THREADS_MAX && (entry = readdir(dir))) {
		uint64_t tid;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &tid))
			continue;
		runners[n].tid = (pid_t)tid;
		n += runs(pid, (pid_t)tid, &runners[n].ran);
	}
	return n;
}

void mw_process_let_run(pid_t pid)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	struct runner runners[THREADS_MAX];
	double end = mw_monotonic() + WAIT_MAX;
	size_t left = list_runners(pid, runners);

	while (left && mw_monotonic() < end) {
		size_t out = 0;

		nanosleep(&step, NULL);
		for (size_t i = 0; i < left; i++) {
			uint64_t ran;

			if (runs(pid, runners[i].tid, &ran) && ran < runners[i].ran + RUN_ON_NS)
				runners[out++] = runners[i];
		}
		left = out;
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "trace/watchpoint.h"
#include "util/cleanup.h"

enum { SWITCHES = 32, ROUNDS = 3, SLEEP_NS = 1000 };

int mw_watchpoint__open(pid_t tid, uint64_t address)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = address,
		.bp_len = HW_BREAKPOINT_LEN_8,
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int event = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return event < 0 ? -errno : event;
}

static double thread_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What one short sleep takes; the best of a few rounds: others were interrupted. */
static double sleep_seconds(void)
{
	const struct timespec moment = {.tv_nsec = SLEEP_NS};
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double took = thread_seconds();

		for (int i = 0; i < SWITCHES; i++)
			nanosleep(&moment, NULL);
		took = thread_seconds() - took;
		if (!round || took < best)
			best = took;
	}
	return best / SWITCHES;
}

double mw_watchpoint__switch_seconds(void)
{
	static uint64_t nobody_writes_here;
	_cleanup_close_ int event = mw_watchpoint__open(0, (uintptr_t)&nobody_writes_here);
	double without = sleep_seconds(), with;

	if (event < 0)
		return 0;
	ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
	with = sleep_seconds();
	return with > without ? with - without : 0;
}

static FILE *open_schedstat(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	return fopen(path, "re");
}

uint64_t mw_watchpoint__switches(pid_t pid, pid_t tid)
{
	_cleanup_fclose_ FILE *file = open_schedstat(pid, tid);
	uint64_t count = 0;

	/* Nanoseconds that it ran and that it waited; how often it was given a processor. */
	if (!file || fscanf(file, "%*s %*s %" SCNu64, &count) != 1)
		return 0;
	return count;
}

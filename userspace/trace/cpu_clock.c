// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/cpu_clock.h"
#include "trace/pids.h"
#include "util/cleanup.h"

/* Threads may end while they are read: then read again. */
enum { READS = 4 };
/* Nanoseconds: no tick is further away; a CPU that the host had stopped may seem so. */
static const int64_t PENDING_MAX = 20 * 1000 * 1000;

struct mw_cpu_clock {
	struct bpf_link *threads;
	uint32_t tgid;
};

void mw_cpu_clock__configure(struct memwhere_bpf *bpf)
{
	bpf_program__set_autoload(bpf->progs.cpu_of_thread,
				  libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER) >= 0);
}

struct mw_cpu_clock *mw_cpu_clock__open(const struct memwhere_bpf *bpf, pid_t pid, uint32_t tgid)
{
	struct mw_cpu_clock *clock = calloc(1, sizeof(*clock));
	struct mw_cpu_use use;

	if (!clock)
		return NULL;
	clock->tgid = tgid;
	if (bpf_program__autoload(bpf->progs.cpu_of_thread))
		clock->threads = mw_pids__threads(bpf->progs.cpu_of_thread, pid);
	if (clock->threads && mw_cpu_clock__read(clock, &use))
		return clock;
	mw_cpu_clock__close(clock);
	return NULL;
}

void mw_cpu_clock__close(struct mw_cpu_clock *clock)
{
	if (clock)
		bpf_link__destroy(clock->threads);
	free(clock);
}

/* The reader's own clock is that of all CPUs, but for interrupts. AHEAD: of CLOCK_MONOTONIC. */
static uint64_t used_by(const struct mw_thread_cpu *thread, uint64_t ahead)
{
	int64_t pending = (int64_t)(thread->at + ahead - thread->behind - thread->since);

	if (!thread->running || pending < 0)
		return thread->ns;
	return thread->ns + (uint64_t)(pending < PENDING_MAX ? pending : PENDING_MAX);
}

/* Threads and those that have ended, once; -EAGAIN: one ended meanwhile. */
static int read_threads(const struct mw_cpu_clock *clock, uint64_t *ns, uint64_t *sleeps)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(clock->threads));
	struct mw_thread_cpu records[64];
	uint64_t ahead = 0, ended = 0;
	struct timespec own;
	bool any = false;

	if (fd < 0)
		return -errno;
	*ns = *sleeps = 0;
	/* Brings the clock of this CPU up to date (kernel/sched/core.c, task_sched_runtime()). */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	for (;;) {
		ssize_t n = read(fd, records, sizeof(records));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(*records); i++) {
			const struct mw_thread_cpu *thread = &records[i];

			/* Before Linux 6.1 the kernel goes through all tasks. */
			if (thread->tgid != clock->tgid)
				return -ENOTSUP;
			if (!any) {
				*sleeps = thread->ended_sleeps;
				ahead = thread->reader_clock - thread->at;
				ended = thread->ended_ns;
			}
			any = true;
			if (thread->ended_ns != ended)
				return -EAGAIN;
			*ns += used_by(thread, ahead);
			*sleeps += thread->sleeps;
		}
	}
	*ns += ended;
	return any ? 0 : -ESRCH;
}

bool mw_cpu_clock__read(const struct mw_cpu_clock *clock, struct mw_cpu_use *use)
{
	uint64_t ns = 0, sleeps = 0;
	int ret = -EAGAIN;

	for (int i = 0; i < READS && ret == -EAGAIN; i++)
		ret = read_threads(clock, &ns, &sleeps);
	if (ret)
		return false;
	use->seconds = (double)ns / 1e9;
	use->sleeps = (double)sleeps;
	return true;
}

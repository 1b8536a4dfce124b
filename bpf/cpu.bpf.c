// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPU time of threads that may be running. What the scheduler has accounted of one is as old as its
 * last tick; what it did since is the time that has passed on that CPU's clock.
 * trace/cpu_clock.h puts them together.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/kernel.bpf.h"
#include "bpf/memwhere.h"

/* update_curr() of another CPU may run meanwhile: then read again. */
enum { READS = 3 };

SEC("iter/task")
int cpu_of_thread(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *reader = (void *)bpf_get_current_task();
	struct mw_thread_cpu record = {};
	struct rq *rq;

	if (!task || !bpf_core_field_exists(task->se.cfs_rq) ||
	    !bpf_core_field_exists(task->on_cpu))
		return 0;
	record.tgid = task->tgid;
	record.ended_ns = BPF_CORE_READ(task, signal, sum_sched_runtime);
	record.ended_sleeps = BPF_CORE_READ(task, signal, nvcsw);
	record.sleeps = task->nvcsw;
	for (int i = 0; i < READS; i++) {
		record.since = task->se.exec_start;
		barrier();
		record.ns = task->se.sum_exec_runtime;
		barrier();
		if (task->se.exec_start == record.since)
			break;
	}
	rq = BPF_CORE_READ(task, se.cfs_rq, rq);
	record.running = task->on_cpu;
	record.behind = BPF_CORE_READ(rq, clock) - BPF_CORE_READ(rq, clock_task);
	record.reader_clock = BPF_CORE_READ(reader, se.cfs_rq, rq, clock);
	record.at = bpf_ktime_get_ns();
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

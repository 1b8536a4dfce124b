// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes with their numbers in both PID namespaces: the outermost and the reader's. */
#include "bpf/pids.bpf.h"
#include "bpf/memwhere.h"

volatile __u32 mw_pid_level;

/* The kernel offers the tasks of the reader's namespace, and of those inside it. */
SEC("iter/task")
int pids_of_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *reader = (void *)bpf_get_current_task();
	struct mw_pid record = {};

	if (!task || task->pid != task->tgid)
		return 0;
	record.level = BPF_CORE_READ(reader, thread_pid, level);
	record.tgid = task->tgid;
	record.pid = mw_pid_at(task, record.level);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Births, new programs and deaths of the processes watched. */
#include "bpf/pids.bpf.h"
#include "bpf/site.bpf.h"

SEC("raw_tp/sched_process_fork")
int proc_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_FORK};
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid), child_tgid = BPF_CORE_READ(child, tgid);
	struct mw_proc *proc;

	if (!mw_with_children || !mw_active || parent_tgid == child_tgid)
		return 0;
	proc = bpf_map_lookup_elem(&procs, &parent_tgid);
	if (!proc)
		return 0;
	event.fork.space = __sync_fetch_and_add(&mw_next_space, 1) % MW_SPACES;
	event.tgid = parent_tgid;
	event.fork.child = child_tgid;
	event.fork.pid = mw_pid_at(child, mw_pid_level);
	event.time = bpf_ktime_get_ns();
	bpf_map_update_elem(&procs, &child_tgid, proc, BPF_ANY);
	proc = bpf_map_lookup_elem(&procs, &child_tgid);
	if (!proc)
		return 0;
	proc->space = event.fork.space;
	proc->exited_known = 0;
	mw_send(mw_counts_of(proc->slot), &event);
	return 0;
}

static __always_inline void forget_call(__u32 tid)
{
	__u32 index = tid % MW_CALLS;
	struct mw_call *call = bpf_map_lookup_elem(&calls, &index);

	if (call && call->tid == tid)
		__builtin_memset(call, 0, sizeof(*call));
	else
		bpf_map_delete_elem(&more_calls, &tid);
}

SEC("raw_tp/sched_process_exec")
int proc_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_EXEC};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (!proc)
		return 0;
	/* The old program's break, thresholds and code are gone with its address space. */
	proc->brk = BPF_CORE_READ(task, mm, brk);
	proc->mp_addr = 0;
	proc->ranges_count = 0;
	proc->python = proc->maps_count = 0;
	forget_call(tid);
	event.tgid = tgid;
	event.time = bpf_ktime_get_ns();
	mw_send(mw_counts_of(proc->slot), &event);
	return 0;
}

/* By BTF, which lets the kernel's memory be read without calls: some servers end a thread for each
 * request. */
SEC("tp_btf/sched_process_exit")
int proc_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_EXIT};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);
	__u64 began;

	if (!proc)
		return 0;
	began = bpf_ktime_get_ns();
	forget_call(tid);
	mw_site_forget_thread(tid);
	/*
	 * signal->min_flt holds the threads that were released, which lags behind; from the first
	 * exit seen on, add them up here.
	 */
	if (!proc->exited_known) {
		proc->exited_known = 1;
		proc->exited_min_flt = task->signal->min_flt;
		proc->exited_maj_flt = task->signal->maj_flt;
	}
	MW_ADD(proc->exited_min_flt, task->min_flt);
	MW_ADD(proc->exited_maj_flt, task->maj_flt);
	mw_took(mw_counts_of(proc->slot), began);
	if (task->signal->live.counter)
		return 0;
	event.tgid = tgid;
	event.time = bpf_ktime_get_ns();
	event.exit.min_flt = proc->exited_min_flt;
	event.exit.maj_flt = proc->exited_maj_flt;
	event.exit.status = task->exit_code;
	event.exit.cpu_ns = task->signal->sum_sched_runtime + task->se.sum_exec_runtime;
	mw_send(mw_counts_of(proc->slot), &event);
	return 0;
}

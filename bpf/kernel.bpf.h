/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kernel types that the programs read. Only the members used are declared; CO-RE
 * finds their real offsets when the object is loaded (include/linux/sched.h, sched/signal.h,
 * mm_types.h, pid.h, bpf.h, uprobes.h; kernel/events/uprobes.c,
 * kernel/sched/sched.h).
 */
#ifndef MW_KERNEL_BPF_H
#define MW_KERNEL_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t___mw;

struct xol_area {
	unsigned long vaddr;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

struct mm_struct {
	unsigned long start_brk, brk;
	struct uprobes_state uprobes_state;
};

struct signal_struct {
	atomic_t___mw live;
	unsigned long min_flt, maj_flt;
	unsigned long long sum_sched_runtime; /* of threads that have ended, ns */
	unsigned long nvcsw;		      /* of the same: how often they went to sleep */
};

/* A CPU's clock, and the same without interrupts and what the host took. */
struct rq {
	unsigned long long clock, clock_task;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	unsigned long long exec_start, sum_exec_runtime;
	struct cfs_rq *cfs_rq;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct task_struct {
	int pid, tgid;
	struct pid *thread_pid;
	unsigned int exit_code;
	int on_cpu;
	unsigned long nvcsw;
	unsigned long min_flt, maj_flt;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct sched_entity se;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif

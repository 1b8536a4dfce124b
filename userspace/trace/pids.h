/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process has one number in each PID namespace around it. People, /proc and system calls use the
 * one in memwhere's own (pid); BPF programs get the one in the initial namespace (tgid) and key
 * their maps by it. Here, and nowhere else, a pid becomes a tgid.
 */
#ifndef MW_TRACE_PIDS_H
#define MW_TRACE_PIDS_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct bpf_link;
struct bpf_program;
struct memwhere_bpf;

struct mw_pids {
	const struct bpf_program *tasks; /* NULL: we are in the initial namespace */
};

/*
 * Before BPF is loaded. Outside of the initial namespace this needs the kernel's BTF and task
 * iterators (Linux 5.8): -ENOTSUP ("pid-namespace") with ERR set where there are none.
 */
int mw_pids__configure(struct mw_pids *pids, struct memwhere_bpf *bpf, struct mw_err *err);

/* After it: sets which numbers of a child the programs report. 0 or -errno with ERR set. */
int mw_pids__begin(const struct mw_pids *pids, struct memwhere_bpf *bpf, struct mw_err *err);

/* The tgid of the process PID. 0, -ESRCH when there is none, or another -errno. */
int mw_pids__tgid(const struct mw_pids *pids, pid_t pid, uint32_t *tgid);

/*
 * Go through the threads of process PID by the iterator TASKS (Linux 6.1; through all tasks
 * before). NULL with errno; the caller frees it with bpf_link__destroy().
 */
struct bpf_link *mw_pids__threads(const struct bpf_program *tasks, pid_t pid);

#endif

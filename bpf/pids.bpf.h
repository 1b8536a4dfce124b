/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task has a number in its own PID namespace and in each around it (include/linux/pid.h). The
 * programs know tasks by the outermost, which bpf_get_current_pid_tgid() gives; userspace by that
 * of the namespace it runs in.
 */
#ifndef MW_PIDS_BPF_H
#define MW_PIDS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/kernel.bpf.h"

/* How many PID namespaces are around that of userspace. */
extern volatile __u32 mw_pid_level;

/* The number of TASK in that namespace of its own that has LEVEL others around it, or 0. */
static __always_inline __u32 mw_pid_at(struct task_struct *task, __u32 level)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 number = 0;

	if (BPF_CORE_READ(pid, level) < level)
		return 0;
	/* An index that is no constant is beyond CO-RE's relocations. */
	bpf_probe_read_kernel(&number, sizeof(number),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return number;
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "image/pidns.h"
#include "trace/pids.h"
#include "util/cleanup.h"

/* union bpf_iter_link_info of linux/bpf.h, its part of task iterators (Linux 6.1, f0d74c4da1f0). */
struct task_filter {
	uint32_t tid, pid, pid_fd;
};

static struct bpf_link *iterate(const struct bpf_program *tasks, struct task_filter filter)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = (void *)&filter,
		    .link_info_len = sizeof(filter));

	return bpf_program__attach_iter(tasks, &opts);
}

struct bpf_link *mw_pids__threads(const struct bpf_program *tasks, pid_t pid)
{
	return iterate(tasks, (struct task_filter){.pid = (uint32_t)pid});
}

/*
 * What the kernel knows of PID. It goes through all tasks before Linux 6.1, which ignores the
 * filter: about 1 us each.
 */
static int find(const struct mw_pids *pids, pid_t pid, struct mw_pid *found)
{
	struct bpf_link *link = iterate(pids->tasks, (struct task_filter){.tid = (uint32_t)pid});
	struct mw_pid records[64];
	int ret = -ESRCH;

	if (!link)
		return -errno;
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));

	if (fd < 0)
		ret = -errno;
	while (ret == -ESRCH) {
		ssize_t n = read(fd, records, sizeof(records));

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			ret = -errno;
		if (!n)
			break;
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(*records); i++) {
			if (records[i].pid != (uint32_t)pid)
				continue;
			*found = records[i];
			ret = 0;
		}
	}
	bpf_link__destroy(link);
	return ret;
}

int mw_pids__configure(struct mw_pids *pids, struct memwhere_bpf *bpf, struct mw_err *err)
{
	pids->tasks = mw_pidns_is_initial() ? NULL : bpf->progs.pids_of_task;
	bpf_program__set_autoload(bpf->progs.pids_of_task, pids->tasks);
	if (pids->tasks && libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER) < 0)
		return mw_err_set(
			err, -ENOTSUP, "pid-namespace", NULL,
			"memwhere runs in a PID namespace of its own, and this kernel can't say which "
			"process a PID of it is (it has no BTF in /sys/kernel/btf/vmlinux, or no task "
			"iterators): run memwhere outside of the container");
	return 0;
}

int mw_pids__begin(const struct mw_pids *pids, struct memwhere_bpf *bpf, struct mw_err *err)
{
	struct mw_pid own = {0};
	int ret = pids->tasks ? find(pids, getpid(), &own) : 0;

	if (ret)
		return mw_err_set(
			err, ret, "pid-namespace", NULL,
			"memwhere runs in a PID namespace of its own and can't find itself among the "
			"kernel's tasks: %s; run memwhere outside of the container",
			strerror(-ret));
	bpf->bss->mw_pid_level = own.level;
	return 0;
}

int mw_pids__tgid(const struct mw_pids *pids, pid_t pid, uint32_t *tgid)
{
	struct mw_pid found = {.tgid = (uint32_t)pid};
	int ret = pids->tasks ? find(pids, pid, &found) : 0;

	*tgid = ret ? 0 : found.tgid;
	return ret;
}

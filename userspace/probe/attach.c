// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/attach.h"
#include "util/array.h"

/* include/uapi/linux/bpf.h of Linux 6.6: not in Debian 12's kernel headers. */
#define TRACE_UPROBE_MULTI ((enum bpf_attach_type)48)
enum { F_UPROBE_MULTI_RETURN = 1 };

struct link_create_uprobe_multi {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid;
} __attribute__((packed));

static int link_create(struct link_create_uprobe_multi *attr)
{
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, attr, sizeof(*attr));

	return fd < 0 ? -errno : fd;
}

bool mw_probes_have_multi(void)
{
	/* r0 = 0; exit */
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = TRACE_UPROBE_MULTI);
	uint64_t offset = 0;
	/*
	 * "/" can't be probed: EBADF says that the kernel got as far as checking the file. PID -1
	 * is checked before the file since the filter is by process (Linux 6.10, 46ba0e49b642), and
	 * refused with EINVAL; before, all threads but the first were missed.
	 */
	struct link_create_uprobe_multi attr = {
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t) "/",
		.offsets = (uintptr_t)&offset,
		.cnt = 1,
	};
	int prog, by_file, by_pid;

	prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", insns, MW_ARRAY_SIZE(insns), &load);
	if (prog < 0)
		return false;
	attr.prog_fd = (uint32_t)prog;
	by_file = link_create(&attr);
	attr.pid = (uint32_t)-1;
	by_pid = link_create(&attr);
	if (by_file >= 0)
		close(by_file);
	if (by_pid >= 0)
		close(by_pid);
	close(prog);
	return by_file == -EBADF && by_pid == -EINVAL;
}

int mw_probes_attach_type(bool multi)
{
	return multi ? TRACE_UPROBE_MULTI : 0;
}

static int attach_multi(struct mw_probes *probes, struct bpf_program *prog, pid_t pid,
			const char *file, bool at_return, const struct mw_probe_place *places,
			size_t count)
{
	uint64_t *offsets = calloc(2 * count, sizeof(*offsets));
	uint64_t *cookies = offsets + count;
	struct link_create_uprobe_multi attr = {
		.prog_fd = (uint32_t)bpf_program__fd(prog),
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t)file,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.cnt = (uint32_t)count,
		.multi_flags = at_return ? F_UPROBE_MULTI_RETURN : 0,
		.pid = (uint32_t)pid,
	};

	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		offsets[i] = places[i].offset;
		cookies[i] = places[i].cookie;
	}
	probes->fd = link_create(&attr);
	free(offsets);
	return probes->fd < 0 ? probes->fd : 0;
}

static int attach_perf(struct mw_probes *probes, struct bpf_program *prog, pid_t pid,
		       const char *file, bool at_return, const struct mw_probe_place *places,
		       size_t count)
{
	probes->links = calloc(count, sizeof(struct bpf_link *));
	if (!probes->links)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = places[i].cookie,
			    .retprobe = at_return);

		probes->links[i] = bpf_program__attach_uprobe_opts(prog, pid ? pid : -1, file,
								   places[i].offset, &opts);
		if (!probes->links[i])
			return -errno;
		probes->count++;
	}
	return 0;
}

int mw_probes__attach(struct mw_probes *probes, struct bpf_program *prog, bool multi, pid_t pid,
		      const char *file, bool at_return, const struct mw_probe_place *places,
		      size_t count)
{
	int ret;

	*probes = (struct mw_probes){.fd = -1};
	if (!count)
		return 0;
	ret = multi ? attach_multi(probes, prog, pid, file, at_return, places, count)
		    : attach_perf(probes, prog, pid, file, at_return, places, count);
	if (ret)
		mw_probes__detach(probes);
	return ret;
}

void mw_probes__detach(struct mw_probes *probes)
{
	if (probes->fd >= 0)
		close(probes->fd);
	for (size_t i = 0; i < probes->count; i++)
		bpf_link__destroy(probes->links[i]);
	free(probes->links);
	*probes = (struct mw_probes){.fd = -1};
}

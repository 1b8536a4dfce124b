// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/privilege.h"
#include "util/cleanup.h"
#include "util/file.h"

static uint64_t effective_capabilities(void)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	size_t len;

	if (mw_file_read("/proc/self/status", 1 << 16, &text, &len))
		return 0;
	line = strstr(text, "\nCapEff:");
	return line ? strtoull(line + 8, NULL, 16) : 0;
}

int mw_privilege_check(bool uprobes, struct mw_err *err)
{
	uint64_t caps = effective_capabilities();
	char missing[128] = "";
	size_t used = 0;
	/* CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON (Linux 5.8), not for CAP_SYS_PTRACE. */
	bool admin = caps & 1ULL << CAP_SYS_ADMIN;
	const struct {
		unsigned int bit;
		const char *name;
		bool implied;
	} needed[] = {
		{CAP_BPF, "CAP_BPF", admin},
		{CAP_PERFMON, "CAP_PERFMON", admin},
		{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false},
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!needed[i].implied && !(caps & 1ULL << needed[i].bit))
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, "%s%s",
						 used ? ", " : "", needed[i].name);
	}
	if (used)
		return mw_err_set(err, -EPERM, "no-privilege", NULL,
				  "tracing needs root or these capabilities, which are missing: %s",
				  missing);
	if (syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0) < 0 && errno == ENOSYS)
		return mw_err_set(err, -ENOSYS, "no-bpf", NULL,
				  "this kernel has no bpf system call (CONFIG_BPF_SYSCALL)");
	if (uprobes && access("/sys/bus/event_source/devices/uprobe/type", F_OK))
		return mw_err_set(
			err, -ENOSYS, "no-uprobes", NULL,
			"this kernel has no uprobes (CONFIG_UPROBE_EVENTS); --mode growth needs none");
	return 0;
}

int mw_privilege_explain(struct mw_err *err, int code)
{
	return mw_err_set(
		err, code, "no-privilege", NULL,
		"the kernel refuses to load BPF programs (%s): lockdown, a security module "
		"or a container's seccomp filter may be in the way",
		strerror(-code));
}

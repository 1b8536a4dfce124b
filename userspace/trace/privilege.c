// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/privilege.h"

/* By the system call (capget(2)): /proc may be another PID namespace's, which has no entry for us.
 */
static uint64_t effective_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data))
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
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
		return mw_err_set(
			err, -EPERM, "no-privilege", NULL,
			"tracing needs root or these capabilities, which are missing: %s; "
			"`memwhere why PID --for 0` needs none for your own process",
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

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/pidns.h"
#include "util/cleanup.h"
#include "util/file.h"

/* PROC_PID_INIT_INO of include/linux/proc_ns.h (Linux 3.8), now in linux/nsfs.h. */
enum { INITIAL_INODE = 0xeffffffc };

/* A process's numbers, from /proc's namespace inwards to its own (Linux 4.1, e4bc33245124). */
struct numbers {
	pid_t innermost;
	unsigned int count; /* 0: a kernel without PID namespaces */
};

static int read_numbers(struct numbers *numbers, const char *path)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	size_t len;
	int ret;

	*numbers = (struct numbers){0};
	ret = mw_file_read(path, 1 << 16, &text, &len);
	if (ret)
		return ret;
	line = strstr(text, "\nNSpid:");
	for (line = line ? line + strlen("\nNSpid:") : NULL; line && *line == '\t';) {
		char *end;

		numbers->innermost = (pid_t)strtol(line + 1, &end, 10);
		numbers->count++;
		line = end;
	}
	return 0;
}

pid_t mw_pidns_innermost(pid_t pid)
{
	struct numbers numbers;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return read_numbers(&numbers, path) || !numbers.count ? pid : numbers.innermost;
}

bool mw_pidns_is_initial(void)
{
	struct stat st;

	/* Without a namespace to look at the kernel has none but that one. */
	return stat("/proc/self/ns/pid", &st) || (unsigned int)st.st_ino == INITIAL_INODE;
}

int mw_pidns_check_proc(struct mw_err *err)
{
	struct numbers self;

	if (read_numbers(&self, "/proc/self/status"))
		return mw_err_set(err, -ESRCH, "pid-namespace", "/proc",
				  "is not mounted, or of a PID namespace that memwhere is not in: "
				  "mount -t proc proc /proc in memwhere's own");
	if (self.count > 1)
		return mw_err_set(err, -ESRCH, "pid-namespace", "/proc",
				  "numbers processes as an outer PID namespace does, but memwhere "
				  "runs in an inner one: enter its mounts, too (nsenter -p -m), or "
				  "mount -t proc proc /proc");
	return 0;
}

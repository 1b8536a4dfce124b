// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/snapshot_child.h"

/* Writes the file's name, then whatever the command has to say. */
static int write_snapshot(int fd, void *arg)
{
	const pid_t target = *(const pid_t *)arg;
	char pid[16], path[64], when[32] = "now";
	char *args[] = {"memwhere", "snapshot", "--quiet", pid, "-o", path, NULL};
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	snprintf(pid, sizeof(pid), "%d", target);
	snprintf(path, sizeof(path), "memwhere-%d-%s.core", target, when);
	dprintf(fd, "%s\n", path);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv("/proc/self/exe", args);
	return 1;
}

int mw_snapshot_child__start(struct mw_cmd_child *child, pid_t pid)
{
	return mw_cmd_child__start(child, write_snapshot, &pid);
}

char *mw_snapshot_child__result(const struct mw_cmd_child *child, char *buf, size_t size)
{
	const char *text = child->out ? child->out : "";
	int name = (int)strcspn(text, "\n");
	const char *said = text[name] ? text + name + 1 : "";

	if (!WIFEXITED(child->status) || WEXITSTATUS(child->status))
		snprintf(buf, size, "no snapshot: %.*s", (int)strcspn(said, "\n"), said);
	else
		snprintf(buf, size, "wrote the snapshot %.*s", name, text);
	return buf;
}

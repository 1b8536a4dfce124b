// SPDX-License-Identifier: GPL-2.0-or-later
/* From the words of the command line to a process or a core. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "image/pidns.h"
#include "image/procstat.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"
#include "util/units.h"

enum { CANDIDATES_SHOWN = 8, CANDIDATE_LINE = 90, COMMAND_SHOWN = 48 };

static int check_process(pid_t pid, struct mw_err *err)
{
	unsigned char ident[EI_NIDENT] = {0};
	char path[64], where[32];
	struct mw_procstat stat;

	snprintf(where, sizeof(where), "PID %d", pid);
	if (mw_procstat__read(&stat, pid))
		return mw_err_set(err, -ESRCH, "no-such-process", where, "no such process");
	if (stat.kernel_thread)
		return mw_err_set(err, -EINVAL, "kernel-thread", where,
				  "is a kernel thread: it has no user memory");
	if (stat.state == 'Z' || stat.state == 'X')
		return mw_err_set(err, -ESRCH, "zombie", where,
				  "is a zombie: it has ended and its memory is gone already");
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return mw_err_set(
			err, -errno, errno == EACCES ? "no-privilege" : "unreadable", where,
			errno == EACCES || errno == EPERM ? "not permitted to read it: %s"
							  : "its executable can't be read",
			mw_err_access_hint());
	if (read(fd, ident, sizeof(ident)) == (ssize_t)sizeof(ident) &&
	    !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32)
		return mw_err_set(err, -ENOTSUP, "32-bit", where,
				  "is a 32-bit process; only 64-bit ones are supported");
	return 0;
}

static bool has_name(pid_t pid, const char *name)
{
	_cleanup_free_ char *comm = NULL;
	char path[64], exe[4096];
	size_t len;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!mw_file_read(path, 4096, &comm, &len)) {
		comm[strcspn(comm, "\n")] = '\0';
		if (!strcmp(comm, name))
			return true;
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';

	const char *base = strrchr(exe, '/');

	return base && !strcmp(base + 1, name);
}

/* A line for the list of candidates: which of them is meant? Returns its length. */
static size_t describe(char *line, size_t size, pid_t pid)
{
	char path[64], command[COMMAND_SHOWN] = "", rss[MW_UNIT_BUF];
	_cleanup_free_ char *words = NULL;
	struct mw_procstat stat = {0};
	size_t len;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (!mw_file_read(path, 4096, &words, &len)) {
		for (size_t i = 0; i + 1 < len; i++)
			words[i] = words[i] ? words[i] : ' ';
		mw_text_clean(command, sizeof(command), words, strnlen(words, len));
	}
	mw_procstat__read(&stat, pid);
	n = snprintf(line, size, "\n%9d %9d %11s  %s", pid, stat.parent,
		     mw_format_size(rss, stat.rss), command);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static int find_by_name(const char *name, pid_t *pid, struct mw_err *err)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	char clean[64], list[CANDIDATES_SHOWN * CANDIDATE_LINE] = "";
	size_t found = 0, used = 0;
	struct dirent *entry;

	mw_text_clean(clean, sizeof(clean), name, strlen(name));
	while (proc && (entry = readdir(proc))) {
		uint64_t n;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &n) || (pid_t)n == getpid() ||
		    !has_name((pid_t)n, name))
			continue;
		if (!found)
			*pid = (pid_t)n;
		if (found < CANDIDATES_SHOWN)
			used += describe(list + used, sizeof(list) - used, (pid_t)n);
		found++;
	}
	if (!found)
		return mw_err_set(err, -ESRCH, "no-such-process", clean,
				  "is not a PID; no process has this name, and no such file");
	if (found > 1)
		return mw_err_set(err, -EINVAL, "ambiguous", clean,
				  "%zu processes have this name; give one of their PIDs:\n"
				  "%9s %9s %11s  %s%s%s",
				  found, "PID", "parent", "RSS", "command", list,
				  found > CANDIDATES_SHOWN ? "\n      ..." : "");
	return 0;
}

bool mw_cmd_is_pid(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

bool mw_cmd_names_process(const char *word)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	bool found = mw_cmd_is_pid(word);
	struct dirent *entry;
	uint64_t n;

	while (!found && proc && (entry = readdir(proc)))
		found = !mw_parse_uint(entry->d_name, 1, INT32_MAX, &n) && (pid_t)n != getpid() &&
			has_name((pid_t)n, word);
	return found;
}

bool mw_cmd_is_core(const char *word)
{
	struct stat st;

	return strchr(word, '/') || (!mw_cmd_is_pid(word) && !stat(word, &st));
}

int mw_cmd_find_process(const char *text, pid_t *pid, struct mw_err *err)
{
	uint64_t n;
	int ret = mw_pidns_check_proc(err);

	if (ret)
		return ret;
	if (mw_cmd_is_pid(text)) {
		if (mw_parse_uint(text, 1, INT32_MAX, &n))
			return mw_err_set(err, -ESRCH, "no-such-process", NULL,
					  "'%.40s' is not a PID", text);
		*pid = (pid_t)n;
	} else {
		ret = find_by_name(text, pid, err);
		if (ret)
			return ret;
	}
	return check_process(*pid, err);
}

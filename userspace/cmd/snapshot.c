// SPDX-License-Identifier: GPL-2.0-or-later
/* `snapshot`: a core with its residency, at once or when the process has grown. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/cmd.h"
#include "image/snapshot.h"
#include "report/json.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

static bool zstd, force;
static uint64_t at_rss, at_growth; /* bytes, bytes a second; 0: at once */

static const struct mw_option rows[] = {
	{"zstd", 'z', MW_OPT_FLAG, MW_VALUE(flag, zstd), NULL, "compress the snapshot", NULL},
	{"force", 'f', MW_OPT_FLAG, MW_VALUE(flag, force), NULL, "overwrite a file that exists",
	 NULL},
	{"at-rss", 0, MW_OPT_SIZE, MW_VALUE(number, at_rss), "SIZE",
	 "wait until it has SIZE in memory, then take it", NULL},
	{"at-growth", 0, MW_OPT_RATE, MW_VALUE(number, at_growth), "SIZE/S",
	 "wait until it grows by SIZE within a second (then take it)", NULL},
	{0},
};

static const struct mw_option_group group = {.rows = rows};

enum { POLL_NS = 50000000, POLLS_A_SECOND = 20 };

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
	stop_signal = sig;
}

/* Resident bytes by /proc/PID/statm, cheap enough to poll. 0: the process has ended. */
static uint64_t resident_now(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	uint64_t pages;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (mw_file_read(path, 4096, &text, &len) || sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return 0;
	return pages * 4096;
}

/* Until the process is as large, or grows as fast, as the options say. */
static int wait_until_grown(pid_t pid, struct mw_err *err)
{
	const struct timespec pause = {0, POLL_NS};
	uint64_t history[POLLS_A_SECOND] = {0};
	struct sigaction action = {.sa_handler = on_signal};
	char where[32];

	if (!at_rss && !at_growth)
		return 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	snprintf(where, sizeof(where), "PID %d", pid);
	for (size_t i = 0; !stop_signal; i++) {
		uint64_t now = resident_now(pid), before = history[i % POLLS_A_SECOND];

		if (!now)
			return mw_err_set(err, -ESRCH, "no-such-process", where,
					  "ended before it had grown that far");
		if (at_rss && now >= at_rss)
			return 0;
		if (at_growth && before && now >= before && now - before >= at_growth)
			return 0;
		history[i % POLLS_A_SECOND] = now;
		nanosleep(&pause, NULL);
	}
	return mw_err_set(err, -EINTR, "interrupted", where, "interrupted; no snapshot was taken");
}

static int report(const struct mw_options *opt, const struct mw_snapshot *s, const char *path)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF], d[MW_UNIT_BUF], e[MW_UNIT_BUF];

	if (opt->json) {
		mw_json_line(stdout,
			     json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:f}", "file", path, "file_bytes",
				       mw_json_u64(s->file_size), "resident_bytes",
				       mw_json_u64(s->resident), "copied_bytes",
				       mw_json_u64(s->copied), "file_data_bytes",
				       mw_json_u64(s->file_data), "files", mw_json_u64(s->files),
				       "pause_seconds", (double)s->pause_ns / 1e9));
	} else if (!opt->quiet) {
		printf("%s: %s on disk, %s of %s resident copied and %s of %" PRIu64
		       " files; the process was stopped for %s\n",
		       path, mw_format_size(a, s->file_size), mw_format_size(b, s->copied),
		       mw_format_size(c, s->resident), mw_format_size(e, s->file_data), s->files,
		       mw_format_duration(d, s->pause_ns));
	}
	return mw_cmd_end_stdout(opt);
}

/* Somebody's only core of last night must not go by a mistake. */
static int check_output(const char *path, struct mw_err *err)
{
	struct stat st;

	if (force || stat(path, &st) || !S_ISREG(st.st_mode))
		return 0;
	return mw_err_set(err, -EEXIST, "exists", path, "exists already; -f overwrites it");
}

static int run_snapshot(const struct mw_options *opt)
{
	struct mw_snapshot snapshot;
	struct mw_err err = {0};
	char path[64];
	const char *output = opt->output ? opt->output : path;
	pid_t pid;
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_usage(&err, "snapshot", "give one PID or process name");
		return mw_cmd_fail(opt, &err);
	}
	ret = mw_cmd_find_process(opt->argv[0], &pid, &err);
	snprintf(path, sizeof(path), "memwhere.%d.core%s", ret ? 0 : pid, zstd ? ".zst" : "");
	if (!ret)
		ret = check_output(output, &err);
	if (!ret)
		ret = wait_until_grown(pid, &err);
	if (!ret)
		ret = mw_snapshot_write(&snapshot, pid, output, zstd, &err);
	return ret ? mw_cmd_fail(opt, &err) : report(opt, &snapshot, output);
}

const struct mw_command mw_cmd_snapshot = {
	.name = "snapshot",
	.args = "PID|NAME -o FILE [options]",
	.summary = "Write a core of a running process that can be read anywhere",
	.about =
		"The core is an ordinary one that gdb opens. The process is stopped while its memory is copied; "
		"memwhere prints for how long.",
	.takes = MW_TAKES_PROCESS,
	.groups = {&group},
	.run = run_snapshot,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `snapshot`: a core with its residency, at once or when the process has grown. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "image/snapshot.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

enum { POLL_NS = 50000000, POLLS_A_SECOND = 20 };

static volatile sig_atomic_t told_to_stop;

static void on_signal(int sig)
{
	told_to_stop = sig;
}

/* Resident bytes by /proc/PID/statm: cheap, and good enough to wait by. 0: it is gone. */
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

static int wait_for_it(const struct mw_options *opt, pid_t pid, struct mw_err *err)
{
	const struct timespec pause = {0, POLL_NS};
	uint64_t history[POLLS_A_SECOND] = {0};
	struct sigaction action = {.sa_handler = on_signal};
	char where[32];

	if (!opt->at_rss && !opt->at_growth)
		return 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	snprintf(where, sizeof(where), "PID %d", pid);
	for (size_t i = 0; !told_to_stop; i++) {
		uint64_t now = resident_now(pid), before = history[i % POLLS_A_SECOND];

		if (!now)
			return mw_err_set(err, -ESRCH, "no-such-process", where,
					  "ended before it had grown that far");
		if (opt->at_rss && now >= opt->at_rss)
			return 0;
		if (opt->at_growth && before && now >= before && now - before >= opt->at_growth)
			return 0;
		history[i % POLLS_A_SECOND] = now;
		nanosleep(&pause, NULL);
	}
	return mw_err_set(err, -EINTR, "interrupted", where, "interrupted; no snapshot was taken");
}

static void report(const struct mw_options *opt, const struct mw_snapshot *s, const char *path)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF], d[MW_UNIT_BUF];

	if (opt->json) {
		json_t *doc =
			json_pack("{s:s,s:I,s:I,s:I,s:f}", "file", path, "file_bytes",
				  (json_int_t)s->file_size, "resident_bytes",
				  (json_int_t)s->resident, "copied_bytes", (json_int_t)s->copied,
				  "pause_seconds", (double)s->pause_ns / 1e9);

		json_dumpf(doc, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(doc);
		return;
	}
	if (!opt->quiet)
		printf("%s: %s on disk, %s of %s resident copied; the process was stopped for %s\n",
		       path, mw_format_size(a, s->file_size), mw_format_size(b, s->copied),
		       mw_format_size(c, s->resident), mw_format_duration(d, s->pause_ns));
}

int mw_cmd_snapshot(const struct mw_options *opt)
{
	struct mw_snapshot snapshot;
	struct mw_err err = {0};
	char path[64];
	pid_t pid;
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_set(&err, -EINVAL, "usage", "snapshot", "give one PID or process name");
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	ret = mw_cmd_find_process(opt->argv[0], &pid, &err);
	if (!ret)
		ret = wait_for_it(opt, pid, &err);
	snprintf(path, sizeof(path), "memwhere.%d.core%s", ret ? 0 : pid, opt->zstd ? ".zst" : "");
	if (!ret)
		ret = mw_snapshot_write(&snapshot, pid, opt->output ? opt->output : path, opt->zstd,
					&err);
	if (ret)
		return mw_cmd_fail(opt, MW_EXIT_FAILURE, &err);
	report(opt, &snapshot, opt->output ? opt->output : path);
	return MW_EXIT_OK;
}

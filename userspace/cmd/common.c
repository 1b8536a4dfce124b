// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "util/log.h"

const struct mw_command *mw_command_find(const char *name)
{
	for (const struct mw_command *c = mw_commands; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

int mw_cmd_fail(const struct mw_options *opt, enum mw_exit status, const struct mw_err *err)
{
	if (opt && opt->json) {
		json_t *doc = json_pack("{s:{s:s,s:s,s:s}}", "error", "code", err->name, "message",
					err->message, "where", err->where);

		if (doc) {
			json_dumpf(doc, stdout, JSON_COMPACT);
			putchar('\n');
			json_decref(doc);
		}
		return status;
	}
	fprintf(stderr, "memwhere: %s%s%s\n", err->where, err->where[0] ? ": " : "", err->message);
	return status;
}

static void log_to_stderr(enum mw_log_level level, const char *line, void *arg)
{
	const struct mw_options *opt = arg;

	if (opt->quiet || (level == MW_LOG_DETAIL && !opt->verbose))
		return;
	fprintf(stderr, "%s%s\n", level == MW_LOG_WARN ? "memwhere: warning: " : "", line);
}

void mw_cmd_log_to_stderr(const struct mw_options *opt)
{
	mw_log_set_sink(log_to_stderr, (void *)opt);
}

FILE *mw_cmd_output_open(const struct mw_options *opt, struct mw_err *err)
{
	FILE *out = opt->output ? fopen(opt->output, "we") : stdout;

	if (!out)
		mw_err_set(err, -errno, "unwritable", opt->output, "can't write it: %s",
			   strerror(errno));
	return out;
}

int mw_cmd_output_close(const struct mw_options *opt, FILE *out, struct mw_err *err)
{
	int failed = ferror(out) | fflush(out);

	if (out != stdout)
		failed |= fclose(out);
	if (failed)
		return mw_err_set(err, -EIO, "unwritable", opt->output ? opt->output : "stdout",
				  "could not write all of the output");
	return 0;
}

bool mw_cmd_wants_color(const struct mw_options *opt, FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (opt->color != MW_COLOR_AUTO)
		return opt->color == MW_COLOR_ALWAYS;
	if ((no_color && *no_color) || (term && !strcmp(term, "dumb")))
		return false;
	return isatty(fileno(out));
}

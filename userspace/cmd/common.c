// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "report/json.h"
#include "util/log.h"

static int print_json_error(const struct mw_err *err)
{
	json_t *doc = json_pack("{s:{s:s,s:s,s:s}}", "error", "code", err->name, "message",
				err->message, "where", err->where);

	return mw_json_line(stdout, doc) || fflush(stdout);
}

static bool is_option(const struct mw_command *command, const char *name)
{
	const struct mw_option *row;

	for (size_t i = 0; command && (row = mw_command_option(command, i)); i++) {
		if (row->name && !strcmp(row->name, name))
			return true;
	}
	return false;
}

int mw_cmd_fail(const struct mw_options *opt, const struct mw_err *err)
{
	bool option = err->usage && is_option(opt->command, err->where);

	if (err->code == -EPIPE)
		return MW_EXIT_OK;
	/* Output that can't be written may be stdout itself: then stderr says so, too. */
	if (!opt->json || print_json_error(err) || err->code == -EIO)
		fprintf(stderr, "memwhere: %s%s%s%s\n", option ? "--" : "", err->where,
			!err->where[0]			   ? ""
			: !strncmp(err->message, "is ", 3) ? " "
							   : ": ",
			err->message);
	return err->usage ? MW_EXIT_USAGE : MW_EXIT_FAILURE;
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

int mw_cmd_out_open(const struct mw_options *opt, struct mw_out *out, struct mw_err *err)
{
	out->file = mw_cmd_output_open(opt, err);
	if (!out->file)
		return err->code;
	out->color = mw_cmd_wants_color(opt, out->file);
	out->utf8 = mw_cmd_wants_utf8();
	return 0;
}

/* Whether OUT is a pipe whose reader has closed it; the errno of the failed write is lost. */
static bool lost_its_reader(FILE *out)
{
	struct pollfd fd = {.fd = fileno(out), .events = POLLOUT};

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR);
}

int mw_cmd_output_close(const struct mw_options *opt, FILE *out, struct mw_err *err)
{
	int failed = ferror(out) | fflush(out);
	bool closed = failed && lost_its_reader(out);

	if (out != stdout)
		failed |= fclose(out);
	if (!failed)
		return 0;
	return mw_err_set(err, closed ? -EPIPE : -EIO, closed ? "output-closed" : "unwritable",
			  opt->output ? opt->output : "stdout",
			  closed ? "the reader has closed it"
				 : "could not write all of the output");
}

int mw_cmd_end_stdout(const struct mw_options *opt)
{
	const struct mw_options to_stdout = {.json = opt->json};
	struct mw_err err = {0};

	return mw_cmd_output_close(&to_stdout, stdout, &err) ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

bool mw_cmd_wants_color(const struct mw_options *opt, FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (strcmp(opt->color, "auto"))
		return !strcmp(opt->color, "always");
	if ((no_color && *no_color) || (term && !strcmp(term, "dumb")))
		return false;
	return isatty(fileno(out));
}

bool mw_cmd_wants_utf8(void)
{
	setlocale(LC_CTYPE, "");
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

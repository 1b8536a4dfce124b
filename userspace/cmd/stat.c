// SPDX-License-Identifier: GPL-2.0-or-later
/* `stat`: watch processes, print every interval. */
#include <errno.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/watch.h"
#include "report/stat_report.h"
#include "watch/signals.h"

enum { TOP_IN_BRIEF = 3, TOP_LISTED = 5 };

static const char *by = "auto";
static uint64_t top; /* 0: not given */
static bool stacks, sizes, all;

static const struct mw_option rows[] = {
	{"by",
	 0,
	 MW_OPT_WORD,
	 {.text = &by},
	 "WHAT",
	 "rank sites by WHAT (outstanding, growth, allocs, bytes or faults; default: the first known)",
	 "auto outstanding growth allocs bytes faults"},
	{"top",
	 't',
	 MW_OPT_UINT,
	 {.number = &top},
	 "N",
	 "show N sites, one a line (default: 3 in one line)",
	 NULL},
	{"stacks",
	 0,
	 MW_OPT_FLAG,
	 {.flag = &stacks},
	 NULL,
	 "show the whole stack of each site",
	 NULL},
	{0},
};

static int check(struct mw_err *err)
{
	return top > 1000 ? mw_err_usage(err, "top", "at most 1000") : 0;
}

const struct mw_option_group mw_cmd_stat_group = {rows, check};

/* The screen has views instead. */
static const struct mw_option text_rows[] = {
	{"sizes",
	 0,
	 MW_OPT_FLAG,
	 {.flag = &sizes},
	 NULL,
	 "show requests by size, and what the kernel gave",
	 NULL},
	{"all",
	 0,
	 MW_OPT_FLAG,
	 {.flag = &all},
	 NULL,
	 "show all that is known: sizes, sites one a line, events",
	 NULL},
	{0},
};

static const struct mw_option_group text_group = {.rows = text_rows};

/* By default what the mode can know: what is not freed yet, what was allocated, what grew. */
static enum mw_site_order parse_order(const char *word, enum mw_mode mode)
{
	for (enum mw_site_order order = 0; order < MW_SITES_ORDERS; order++) {
		if (!strcmp(word, mw_site_order_name(order)))
			return order;
	}
	return mode == MW_MODE_EXACT   ? MW_SITES_BY_OUTSTANDING
	       : mode == MW_MODE_SIZES ? MW_SITES_BY_BYTES
				       : MW_SITES_BY_GROWTH;
}

static int print_watch(const struct mw_options *opt, struct mw_watch *watch, enum mw_mode mode,
		       FILE *out, struct mw_err *err)
{
	bool list = top || stacks || strcmp(by, "auto") != 0;
	struct mw_stat_report report = {
		.out = out,
		.mode = mode,
		.order = parse_order(by, mode),
		.top = top			  ? top
		       : list || all || opt->json ? TOP_LISTED
						  : TOP_IN_BRIEF,
		.stacks = stacks,
		.sizes = sizes,
		.sites = list,
		.all = all || opt->verbose,
		.color = mw_cmd_wants_color(opt, out),
		.utf8 = mw_cmd_wants_utf8(),
		.verbose = opt->verbose,
	};
	const struct mw_watch_sink sink =
		opt->json ? mw_stat_report__json(&report) : mw_stat_report__text(&report);
	int ret = mw_watch__run(watch, &sink, 1, err);

	/* All probes are out. Closing tells a closed pipe from a full disk. */
	return !ret || (ret == -EIO && !err->code) ? mw_cmd_output_close(opt, out, err) : ret;
}

static int watch_and_print(const struct mw_options *opt, struct mw_err *err)
{
	struct mw_watch_options options;
	struct mw_watch *watch;
	FILE *out;
	int ret;

	ret = mw_cmd_watch_options(&options, err);
	if (ret)
		return ret;
	mw_cmd_log_to_stderr(opt);
	watch = mw_cmd_watch_open(opt, &options, err);
	if (!watch)
		return err->code;
	mw_signals_catch(false);
	out = mw_cmd_output_open(opt, err);
	ret = out ? print_watch(opt, watch, options.tracer.mode, out, err) : err->code;
	mw_watch__close(watch);
	return ret;
}

static int run_stat(const struct mw_options *opt)
{
	struct mw_err err = {0};
	int ret;

	if (opt->argc)
		ret = watch_and_print(opt, &err);
	else
		ret = mw_err_usage(&err, opt->command->name, "which process? usage: memwhere %s %s",
				   opt->command->name, opt->command->args);
	return ret ? mw_cmd_watch_fail(opt, ret, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_stat = {
	.name = "stat",
	.args = "PID|NAME [PID|NAME ...] [options]",
	.summary = "Print what a running process allocates, and where",
	.about =
		"Attaches to the running process without stopping or restarting it. Each block covers one "
		"interval in five lines: memory, what grows, the three largest sites, who is under suspicion, "
		"and what watching costs. --sizes and --all show more: requests by size, the split into brk "
		"heap, thread arenas and mmap, what the kernel gave and took back, events. The last block covers "
		"the whole time. Ctrl-C ends it; no probe stays behind.",
	.takes = MW_TAKES_PROCESS,
	.groups = {&mw_cmd_watch_group, &mw_cmd_stat_group, &text_group},
	.run = run_stat,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `ledger`: every resident byte's owner. */
#include <errno.h>

#include "cmd/heap.h"

static uint64_t depth;

static const struct mw_option rows[] = {
	{"depth",
	 0,
	 MW_OPT_UINT,
	 {.number = &depth},
	 "N",
	 "levels of the tree of owners (default 3)",
	 NULL},
	{0},
};

static const struct mw_option_group group = {.rows = rows};

static int show(struct mw_cmd_heap *heap, const struct mw_options *opt,
		const struct mw_ledger *ledger, struct mw_err *err)
{
	FILE *out = mw_cmd_heap__output(heap, opt, err);

	heap->show.depth = (unsigned int)depth;
	if (!out)
		return err->code;
	return mw_cmd_heap__done(opt, out,
				 mw_show_ledger(out, &heap->survey, ledger, &heap->show, err), err);
}

static int run_ledger(const struct mw_options *opt)
{
	struct mw_cmd_heap heap;
	struct mw_ledger ledger;
	struct mw_err err = {0};
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_usage(&err, "ledger", "give one PID, process name or core");
		return mw_cmd_fail(opt, &err);
	}
	ret = mw_cmd_heap__open(&heap, opt, &err);
	if (ret)
		return mw_cmd_fail(opt, &err);
	ret = mw_survey__ledger(&heap.survey, &ledger, &err);
	mw_cmd_heap__release(&heap);
	if (!ret)
		ret = show(&heap, opt, &ledger, &err);
	mw_ledger__free(&ledger);
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_ledger = {
	.name = "ledger",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show who owns every resident byte of a process or a core",
	.about =
		"Every page in memory gets an owner: glibc's live and free chunks, stacks, files, and what\n"
		"nobody claims as anon/unknown. The entries sum to the resident size.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_heap_group, &group},
	.run = run_ledger,
};

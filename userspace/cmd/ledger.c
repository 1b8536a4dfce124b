// SPDX-License-Identifier: GPL-2.0-or-later
/* `ledger`: every resident byte's owner. */
#include "cmd/document.h"

static uint64_t depth;

static const struct mw_option rows[] = {
	{"depth", 0, MW_OPT_UINT, MW_VALUE(number, depth), "N",
	 "levels of the tree of owners (default 3)", NULL},
	{0},
};

static const struct mw_option_group group = {.rows = rows};

static int run_ledger(const struct mw_options *opt)
{
	const struct mw_request request = {.depth = (unsigned int)depth};
	struct mw_err err = {0};

	if (opt->argc != 1) {
		mw_err_usage(&err, "ledger", "give one PID, process name or core");
		return mw_cmd_fail(opt, &err);
	}
	return mw_cmd_print_document(opt, &request, 1);
}

const struct mw_command mw_cmd_ledger = {
	.name = "ledger",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show who owns every resident byte of a process or a core",
	.about =
		"Every resident byte has one owner: Python objects, glibc's live and free chunks, stacks, files. "
		"What nobody claims is anon/unknown. The owners sum to the resident size.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group, &group},
	.run = run_ledger,
};

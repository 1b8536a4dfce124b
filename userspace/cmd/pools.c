// SPDX-License-Identifier: GPL-2.0-or-later
/* `pools`: pymalloc's pools, those of a size class or all. */
#include "cmd/document.h"
#include "util/units.h"

static int run_pools(const struct mw_options *opt)
{
	struct mw_request request = {0};
	struct mw_err err = {0};

	if (opt->argc < 1 || opt->argc > 2)
		mw_err_usage(
			&err, "pools",
			"give one PID, process name or core, and a size class if you want one");
	else if (opt->argc == 2 && mw_parse_uint(opt->argv[1], 1, UINT32_MAX, &request.size_class))
		mw_err_usage(&err, "pools", "'%.40s' is not a size class, such as 64",
			     opt->argv[1]);
	else
		return mw_cmd_print_document(opt, &request, 1);
	return mw_cmd_fail(opt, &err);
}

const struct mw_command mw_cmd_pools = {
	.name = "pools",
	.args = "PID|NAME|CORE [CLASS] [options]",
	.summary = "List pymalloc's pools, or those with blocks of one size",
	.about =
		"CLASS is the size of the blocks in bytes, such as 64. For each pool: its address, the size of its "
		"blocks, its state (used, full, free, unused), how many blocks are used and free, its arena.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = run_pools,
};

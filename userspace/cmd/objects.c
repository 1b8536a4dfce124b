// SPDX-License-Identifier: GPL-2.0-or-later
/* `objects`: the live objects of a Python type. */
#include "cmd/document.h"

static bool all;

static const struct mw_option rows[] = {
	{"all", 0, MW_OPT_FLAG, MW_VALUE(flag, all), NULL, "list every object, not the first 100",
	 NULL},
	{0},
};

static const struct mw_option_group group = {.rows = rows};

static int run_objects(const struct mw_options *opt)
{
	struct mw_request request = {0};
	struct mw_err err = {0};

	if (opt->argc != 2) {
		mw_err_usage(&err, "objects",
			     "give one PID, process name or core, and the name of a type");
		return mw_cmd_fail(opt, &err);
	}
	request.type = opt->argv[1];
	request.all = all;
	return mw_cmd_print_document(opt, &request, 1);
}

const struct mw_command mw_cmd_objects = {
	.name = "objects",
	.args = "PID|NAME|CORE TYPE [options]",
	.summary = "List the live objects of a Python type: addresses and values",
	.about =
		"TYPE is a type's name, with or without its module: dict, collections.deque. `memwhere census` "
		"lists the types.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&group, &mw_cmd_document_group},
	.run = run_objects,
};

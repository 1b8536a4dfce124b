// SPDX-License-Identifier: GPL-2.0-or-later
/* `arenas`: pymalloc's arenas, pools and size classes. */
#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	return mw_survey__python(survey, err) ? 0 : err->code;
}

static int run_arenas(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_arenas);
}

const struct mw_command mw_cmd_arenas = {
	.name = "arenas",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show pymalloc's arenas, pools and size classes, and how empty they are",
	.about =
		"Python's allocator for blocks of up to 512 bytes. An arena goes back to the system only when\n"
		"its last block is freed: the second table says how much memory that keeps.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_heap_group},
	.run = run_arenas,
};

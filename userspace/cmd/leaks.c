// SPDX-License-Identifier: GPL-2.0-or-later
/* `leaks`: what nothing reaches. */
#include "cmd/document.h"
#include "cmd/index.h"

const struct mw_command mw_cmd_leaks = {
	.name = "leaks",
	.args = "PID|NAME|CORE [options]",
	.summary = "Count what nothing reaches: Python's cycles, and blocks of C's",
	.about =
		"Cycles are what gc.collect() would count, by the collector's own method. A block of C's is "
		"leaked when no register and no word of the program's memory leads to it, free memory aside.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_index_group, &mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

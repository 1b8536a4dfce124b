// SPDX-License-Identifier: GPL-2.0-or-later
/* `arenas`: pymalloc's arenas, pools and size classes. */
#include "cmd/document.h"

const struct mw_command mw_cmd_arenas = {
	.name = "arenas",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show pymalloc's arenas and pools, and how empty they are",
	.about =
		"Python's allocator for blocks of up to 512 bytes. An arena goes back to the system only when "
		"its last block is freed: the second table says how much memory that keeps.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `freelists`: dead Python objects that are kept for reuse. */
#include "cmd/document.h"

const struct mw_command mw_cmd_freelists = {
	.name = "freelists",
	.args = "PID|NAME|CORE [options]",
	.summary = "Count the dead objects that Python keeps for reuse",
	.about =
		"A free list keeps a dead object so that making the next one of its type is cheap. Its memory stays "
		"resident and can't be used for other types.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

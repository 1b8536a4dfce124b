// SPDX-License-Identifier: GPL-2.0-or-later
/* `pins`: which blocks keep memory from going back. */
#include "cmd/document.h"
#include "cmd/index.h"

const struct mw_command mw_cmd_pins = {
	.name = "pins",
	.args = "PID|NAME|CORE [options]",
	.summary = "Say which objects keep memory from going back, and who holds them",
	.about =
		"An arena of Python's goes back as a whole, and the heap of C only from its end: a few live "
		"blocks keep all the free memory around or below them. Lists what goes back if they go.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_index_group, &mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `census`: Python's objects by type. */
#include "cmd/document.h"

const struct mw_command mw_cmd_census = {
	.name = "census",
	.args = "PID|NAME|CORE [options]",
	.summary = "Count Python's objects by type, and dead ones kept for reuse",
	.about =
		"Visits every block of pymalloc's pools and of the other heaps once. Bytes are what "
		"sys.getsizeof() gives, with the buffers that objects own.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

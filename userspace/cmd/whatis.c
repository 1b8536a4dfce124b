// SPDX-License-Identifier: GPL-2.0-or-later
/* `whatis`: what an address is, from its region down to its chunk. */
#include "cmd/document.h"

static int run_whatis(const struct mw_options *opt)
{
	const struct mw_request request = {0};

	return mw_cmd_print_addresses(opt, &request, false);
}

const struct mw_command mw_cmd_whatis = {
	.name = "whatis",
	.args = "PID|NAME|CORE ADDRESS [...] [options]",
	.summary = "Say what an address is: region, chunk, its state, size and owner",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = run_whatis,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `refs`: who refers to an address, what it refers to, and the way to it from a root. */
#include "cmd/document.h"
#include "cmd/index.h"

static int run_refs(const struct mw_options *opt)
{
	const struct mw_request request = {0};

	return mw_cmd_print_addresses(opt, &request, false);
}

const struct mw_command mw_cmd_refs = {
	.name = "refs",
	.args = "PID|NAME|CORE ADDRESS [...] [options]",
	.summary = "Say who refers to an object, and the way to it from a root",
	.about =
		"The way is the shortest one from a module, a frame, a thread or a static variable: "
		"app.cache['user:17'].props. Words of C's memory that look like references say maybe.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_index_group, &mw_cmd_document_group},
	.run = run_refs,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `retained`: where memory accumulates, and what would go with an object. */
#include "cmd/document.h"
#include "cmd/index.h"

static uint64_t top, min;
static const char *root;

static const struct mw_option rows[] = {
	{"top", 0, MW_OPT_UINT, MW_VALUE(number, top), "N", "list at most N objects (default 20)",
	 NULL},
	{"min", 0, MW_OPT_SIZE, MW_VALUE(number, min), "SIZE", "only what retains SIZE or more",
	 NULL},
	{"root", 0, MW_OPT_TEXT, MW_VALUE(text, root), "PATH",
	 "only what PATH leads to, such as app.cache", NULL},
	{0},
};

static const struct mw_option_group group = {.rows = rows};

static int run_retained(const struct mw_options *opt)
{
	const struct mw_request request = {.top = top, .min = min, .root = root};

	return mw_cmd_print_addresses(opt, &request, true);
}

const struct mw_command mw_cmd_retained = {
	.name = "retained",
	.args = "PID|NAME|CORE [ADDRESS ...] [options]",
	.summary = "Say what keeps most memory, or what would go with an object",
	.about =
		"What an object retains are the blocks that nothing else leads to: they go when it "
		"goes. Bytes are the allocators'. With an address, its largest parts are listed. Of a program "
		"without Python, what its blocks' words refer to is taken for references.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&group, &mw_cmd_index_group, &mw_cmd_document_group},
	.run = run_retained,
};

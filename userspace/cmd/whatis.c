// SPDX-License-Identifier: GPL-2.0-or-later
/* `whatis`: what an address is, from its region down to its chunk. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/document.h"
#include "util/cleanup.h"

static int parse_address(const char *text, uint64_t *addr)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*addr = strtoull(text, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

static int run_whatis(const struct mw_options *opt)
{
	_cleanup_free_ struct mw_request *requests = NULL;
	struct mw_err err = {0};

	if (opt->argc < 2) {
		mw_err_usage(&err, "whatis", "give a PID, process name or core, and an address");
		return mw_cmd_fail(opt, &err);
	}
	requests = calloc((size_t)opt->argc, sizeof(*requests));
	if (!requests) {
		mw_err_no_memory(&err, NULL);
		return mw_cmd_fail(opt, &err);
	}
	for (int i = 1; i < opt->argc; i++) {
		if (parse_address(opt->argv[i], &requests[i - 1].address)) {
			mw_err_usage(&err, "whatis",
				     "'%.40s' is not an address, such as 0x7f12345678",
				     opt->argv[i]);
			return mw_cmd_fail(opt, &err);
		}
	}
	return mw_cmd_print_document(opt, requests, (size_t)opt->argc - 1);
}

const struct mw_command mw_cmd_whatis = {
	.name = "whatis",
	.args = "PID|NAME|CORE ADDRESS [...] [options]",
	.summary = "Say what an address is: region, chunk, its state, size and owner",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = run_whatis,
};

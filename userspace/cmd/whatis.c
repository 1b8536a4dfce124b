// SPDX-License-Identifier: GPL-2.0-or-later
/* `whatis`: what an address is, from its region down to its chunk. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/heap.h"
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

static int show(struct mw_cmd_heap *heap, const struct mw_options *opt, const uint64_t *addrs,
		size_t count, struct mw_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len), *out;
	int ret = 0;

	/* Into memory first: a reader of the output may be slow, and the target be held. */
	if (!memory)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	for (size_t i = 0; i < count && !ret; i++)
		ret = mw_show_whatis(memory, &heap->survey, addrs[i], &heap->show, err);
	mw_cmd_heap__release(heap);
	if (fclose(memory) && !ret)
		ret = mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	out = ret ? NULL : mw_cmd_heap__output(heap, opt, err);
	if (!out)
		return err->code;
	fwrite(text, 1, len, out);
	return mw_cmd_heap__done(opt, out, ret, err);
}

static int run_whatis(const struct mw_options *opt)
{
	struct mw_cmd_heap heap = {0};
	struct mw_err err = {0};
	uint64_t *addrs;
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc < 2) {
		mw_err_usage(&err, "whatis", "give a PID, process name or core, and an address");
		return mw_cmd_fail(opt, &err);
	}
	addrs = calloc((size_t)opt->argc, sizeof(*addrs));
	for (int i = 1; addrs && i < opt->argc; i++) {
		if (parse_address(opt->argv[i], &addrs[i - 1])) {
			mw_err_usage(&err, "whatis",
				     "'%.40s' is not an address, such as 0x7f12345678",
				     opt->argv[i]);
			free(addrs);
			return mw_cmd_fail(opt, &err);
		}
	}
	ret = addrs ? mw_cmd_heap__open(&heap, opt, &err)
		    : mw_err_set(&err, -ENOMEM, "no-memory", NULL, "out of memory");
	if (!ret && addrs) {
		ret = show(&heap, opt, addrs, (size_t)opt->argc - 1, &err);
		mw_cmd_heap__close(&heap);
	}
	free(addrs);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_whatis = {
	.name = "whatis",
	.args = "PID|NAME|CORE ADDRESS [...] [options]",
	.summary = "Say what an address is: region, chunk, its state, size and owner",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_heap_group},
	.run = run_whatis,
};

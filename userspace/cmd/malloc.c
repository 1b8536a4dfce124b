// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include <errno.h>

#include "cmd/heap.h"

static int show(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err)
{
	FILE *out = mw_cmd_heap__output(heap, opt, err);

	if (!out)
		return err->code;
	return mw_cmd_heap__done(opt, out, mw_show_malloc(out, &heap->survey, &heap->show, err),
				 err);
}

int mw_cmd_malloc(const struct mw_options *opt)
{
	struct mw_cmd_heap heap;
	struct mw_err err = {0};
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_set(&err, -EINVAL, "usage", "malloc", "give one PID, process name or core");
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	ret = mw_cmd_heap__open(&heap, opt, &err);
	if (ret)
		return mw_cmd_fail(opt, MW_EXIT_FAILURE, &err);
	mw_cmd_heap__release(&heap);
	ret = show(&heap, opt, &err);
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, MW_EXIT_FAILURE, &err) : MW_EXIT_OK;
}

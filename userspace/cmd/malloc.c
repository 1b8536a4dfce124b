// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include <errno.h>

#include "cmd/heap.h"
#include "report/malloc.h"

static int show(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err)
{
	const struct mw_ptmalloc_info *info = mw_ptmalloc__info(heap->pt);
	const char *name = mw_image__name(heap->image);
	FILE *out;

	if (opt->json) {
		json_t *doc = mw_malloc_json(info, name);
		int ret;

		if (!doc)
			return mw_err_set(err, -ENOMEM, "no-memory", name, "out of memory");
		mw_cmd_heap__add_json(heap, doc);
		ret = mw_cmd_heap__dump(opt, doc, err);
		json_decref(doc);
		return ret;
	}
	out = mw_cmd_output_open(opt, err);
	if (!out)
		return err->code;
	mw_malloc_text(out, info, name, mw_cmd_wants_color(opt, out), opt->verbose);
	mw_cmd_heap__add_text(heap, out);
	return mw_cmd_output_close(opt, out, err);
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
	if (heap.pt) {
		ret = show(&heap, opt, &err);
	} else {
		err = heap.pt_err;
		mw_err_set(&err, -ENOENT, heap.pt_err.name, mw_image__name(heap.image), "%s",
			   heap.pt_err.message);
		ret = -ENOENT;
	}
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, MW_EXIT_FAILURE, &err) : MW_EXIT_OK;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* `ledger`: every resident byte's owner. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "cmd/heap.h"
#include "ledger/ledger.h"
#include "report/ledger.h"

static json_t *evidence(const struct mw_cmd_heap *heap)
{
	json_t *list = json_array();

	if (!heap->pt)
		json_array_append_new(list, json_string(heap->pt_err.message));
	for (size_t i = 0; heap->pt && mw_ptmalloc__info(heap->pt)->evidence[i]; i++)
		json_array_append_new(list, json_string(mw_ptmalloc__info(heap->pt)->evidence[i]));
	return list;
}

static int show(struct mw_cmd_heap *heap, const struct mw_ledger *ledger, struct mw_err *err)
{
	const struct mw_options *opt = heap->opt;
	const char *name = mw_image__name(heap->image);
	enum mw_residency residency = mw_image__residency(heap->image);
	FILE *out;

	if (opt->json) {
		json_t *doc = mw_ledger_json(ledger, name, residency, evidence(heap));
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
	setlocale(LC_CTYPE, "");
	mw_ledger_text(out, ledger, name, residency, mw_cmd_wants_color(opt, out),
		       !strcmp(nl_langinfo(CODESET), "UTF-8"), opt->verbose);
	if (!heap->pt)
		fprintf(out, "the heap is in anon/unknown: %s\n", heap->pt_err.message);
	else if (mw_ptmalloc__info(heap->pt)->problem_total)
		fprintf(out, "the heap has problems: `memwhere malloc` lists them\n");
	mw_cmd_heap__add_text(heap, out);
	return mw_cmd_output_close(opt, out, err);
}

int mw_cmd_ledger(const struct mw_options *opt)
{
	struct mw_blocks *sources[2] = {NULL, NULL};
	struct mw_cmd_heap heap;
	struct mw_ledger ledger = {0};
	struct mw_err err = {0};
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_set(&err, -EINVAL, "usage", "ledger", "give one PID, process name or core");
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	ret = mw_cmd_heap__open(&heap, opt, &err);
	if (ret)
		return mw_cmd_fail(opt, MW_EXIT_FAILURE, &err);
	sources[0] = mw_ledger_claims(heap.image);
	sources[1] = heap.pt ? mw_ptmalloc__blocks(heap.pt) : NULL;
	if (!sources[0] || (heap.pt && !sources[1]))
		ret = mw_err_set(&err, -ENOMEM, "no-memory", mw_image__name(heap.image),
				 "out of memory");
	else
		ret = mw_ledger__build(&ledger, heap.image, sources, 2, &err);
	mw_cmd_heap__release(&heap);
	if (!ret)
		ret = show(&heap, &ledger, &err);
	mw_ledger__free(&ledger);
	mw_blocks__close(sources[0]);
	mw_blocks__close(sources[1]);
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, MW_EXIT_FAILURE, &err) : MW_EXIT_OK;
}

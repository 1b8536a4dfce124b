// SPDX-License-Identifier: GPL-2.0-or-later
/* `ledger`: every resident byte's owner. */
#include <errno.h>

#include "cmd/heap.h"

static int show(struct mw_cmd_heap *heap, const struct mw_options *opt,
		const struct mw_ledger *ledger, struct mw_err *err)
{
	FILE *out = mw_cmd_heap__output(heap, opt, err);

	if (!out)
		return err->code;
	return mw_cmd_heap__done(opt, out,
				 mw_show_ledger(out, &heap->survey, ledger, &heap->show, err), err);
}

int mw_cmd_ledger(const struct mw_options *opt)
{
	struct mw_cmd_heap heap;
	struct mw_ledger ledger;
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
	ret = mw_survey__ledger(&heap.survey, &ledger, &err);
	mw_cmd_heap__release(&heap);
	if (!ret)
		ret = show(&heap, opt, &ledger, &err);
	mw_ledger__free(&ledger);
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, MW_EXIT_FAILURE, &err) : MW_EXIT_OK;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* `diff`: what changed from one target to another. */
#include "cmd/document.h"
#include "cmd/index.h"
#include "diagnosis/inventory.h"
#include "report/diff.h"

static int take(void *arg, struct mw_survey *survey, struct mw_err *err)
{
	return mw_inventory__take(arg, survey, err);
}

static int print(const struct mw_options *opt, const struct mw_diff *diff, struct mw_err *err)
{
	struct mw_out out = {.json = opt->json, .verbose = opt->verbose};
	int ret = mw_cmd_out_open(opt, &out, err);

	if (ret)
		return ret;
	ret = mw_diff__write(&out, diff, err);
	return ret ? ret : mw_cmd_output_close(opt, out.file, err);
}

static int run_diff(const struct mw_options *opt)
{
	struct mw_inventory before = {0}, after = {0};
	struct mw_diff diff = {0};
	struct mw_err err = {0};
	int ret;

	if (opt->argc != 2) {
		mw_err_usage(&err, opt->command->name,
			     "give two cores, PIDs or process names: before and after");
		return mw_cmd_fail(opt, &err);
	}
	mw_cmd_log_to_stderr(opt);
	ret = mw_cmd_survey(opt, opt->argv[0], take, &before, &err);
	if (!ret)
		ret = mw_cmd_survey(opt, opt->argv[1], take, &after, &err);
	if (!ret && mw_diff__make(&diff, &before, &after))
		ret = mw_err_no_memory(&err, NULL);
	if (!ret)
		ret = print(opt, &diff, &err);
	mw_diff__free(&diff);
	mw_inventory__free(&before);
	mw_inventory__free(&after);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_diff = {
	.name = "diff",
	.args = "BEFORE AFTER [options]",
	.summary = "Say what changed between two cores or processes of one program",
	.about =
		"BEFORE and AFTER are cores, PIDs or process names. Compares owners of resident memory, Python's "
		"types, containers by the way to them, and what each holder holds; largest changes first.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_index_group, &mw_cmd_document_group},
	.run = run_diff,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ledger, malloc, whatis and snapshot share: opening the target, holding it with --stop. */
#ifndef MW_CMD_HEAP_H
#define MW_CMD_HEAP_H

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "image/freeze.h"
#include "ledger/survey.h"
#include "report/documents.h"

/* --exe, --sysroot, --stop. */
extern const struct mw_option_group mw_cmd_heap_group;

struct mw_cmd_heap {
	struct mw_survey survey;
	struct mw_freeze *freeze;
	struct mw_cmd_progress *progress;
	struct mw_show show; /* as the options say */
};

/* Open the target named by opt->argv[0] and look at it. 0 or -errno with ERR set. */
int mw_cmd_heap__open(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err);
/* Let a stopped target go on: as soon as everything is read. */
void mw_cmd_heap__release(struct mw_cmd_heap *heap);
void mw_cmd_heap__close(struct mw_cmd_heap *heap);

/*
 * The whole of a command that takes one target: open it, MEASURE what the report needs (NULL:
 * opening does), let it go on, SHOW the report. Returns an enum mw_exit.
 */
typedef int (*mw_cmd_measure_fn)(struct mw_survey *survey, struct mw_err *err);
typedef int (*mw_cmd_show_fn)(FILE *out, struct mw_survey *survey, const struct mw_show *show,
			      struct mw_err *err);
int mw_cmd_heap__report(const struct mw_options *opt, mw_cmd_measure_fn measure,
			mw_cmd_show_fn show);

/* Open the place that the options name for the report, and close it; RET is the report's. */
FILE *mw_cmd_heap__output(struct mw_cmd_heap *heap, const struct mw_options *opt,
			  struct mw_err *err);
int mw_cmd_heap__done(const struct mw_options *opt, FILE *out, int ret, struct mw_err *err);

#endif

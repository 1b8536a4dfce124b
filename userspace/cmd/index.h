/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The index of a core: its graph, kept in the file CORE.mwindex next to it. */
#ifndef MW_CMD_INDEX_H
#define MW_CMD_INDEX_H

#include "cmd/cmd.h"
#include "ledger/survey.h"
#include "util/index_file.h"

/* --index. */
extern const struct mw_option_group mw_cmd_index_group;

/* Does the command ask for an index to be made? */
bool mw_cmd_wants_index(const struct mw_options *opt);

/*
 * Open SURVEY, of the core IMAGE that PATH names and that it takes over, with the core's index if
 * there is one that fits; WORDS is what else decides what is found in the core. Without HEAPS the
 * heaps are not looked for when there is. With --index one is made where none fits. An index that
 * does not fit or can't be made is told on stderr, and the survey is what it is without it. *INDEX,
 * NULL when there is none, is closed after the survey. 0, or -errno with ERR set; then IMAGE is
 * closed.
 */
int mw_cmd_open_indexed(const struct mw_options *opt, const char *path, const char *words,
			bool heaps, struct mw_image *image, struct mw_survey *survey,
			struct mw_index **index, struct mw_err *err);

#endif

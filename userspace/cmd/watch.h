/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that watch have in common: from the words of the command line to a session. */
#ifndef MW_CMD_WATCH_H
#define MW_CMD_WATCH_H

#include "cmd/cmd.h"
#include "watch/watch.h"

/* The options that say what is watched, and how. */
extern const struct mw_option_group mw_cmd_watch_group;

/* --by, --top, --stacks: which sites stat prints. */
extern const struct mw_option_group mw_cmd_stat_group;
extern const struct mw_option_group mw_cmd_budget_group; /* of them --max-overhead alone */

/* What live runs where it can't draw. */
extern const struct mw_command mw_cmd_stat;

/*
 * The options of a watch from mw_cmd_watch_group's values, without the targets. 0, or -EINVAL with
 * ERR set (a usage error).
 */
int mw_cmd_watch_options(struct mw_watch_options *options, struct mw_err *err);

/*
 * Find the processes that OPT names and open a watch of them with OPTIONS. NULL with ERR set: no
 * privilege, no such process.
 */
struct mw_watch *mw_cmd_watch_open(const struct mw_options *opt,
				   const struct mw_watch_options *options, struct mw_err *err);

/* A watch ended with RET: fail as mw_cmd_fail() does, with words for an ERR that has none. */
int mw_cmd_watch_fail(const struct mw_options *opt, int ret, struct mw_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that watch have in common: options for the tracer, names of processes. */
#ifndef MW_CMD_WATCH_H
#define MW_CMD_WATCH_H

#include "cmd/cmd.h"
#include "trace/tracer.h"

/* As OPT says. 0, or -EINVAL with ERR set (a usage error). */
int mw_cmd_tracer_options(const struct mw_options *opt, struct mw_tracer_options *options,
			  struct mw_err *err);

/* The process's present name, clean, into NAME of SIZE bytes, which stays when there is none. */
void mw_cmd_process_name(pid_t pid, char *name, size_t size);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot for the screen, written by `memwhere snapshot` in a child. */
#ifndef MW_CMD_SNAPSHOT_CHILD_H
#define MW_CMD_SNAPSHOT_CHILD_H

#include "cmd/child.h"

/* Into a new file in the current folder, named after PID and the time. 0 or -errno. */
int mw_snapshot_child__start(struct mw_cmd_child *child, pid_t pid);

/* What the child, which has ended, achieved: a sentence into BUF of SIZE bytes; returns BUF. */
char *mw_snapshot_child__result(const struct mw_cmd_child *child, char *buf, size_t size);

#endif

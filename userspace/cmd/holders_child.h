/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds what an owner of a process's ledger has, for the screen, found by a child. */
#ifndef MW_CMD_HOLDERS_CHILD_H
#define MW_CMD_HOLDERS_CHILD_H

#include "cmd/child.h"
#include "graph/owner_holders.h"

int mw_holders_child__start(struct mw_cmd_child *child, pid_t pid, const char *owner);

/* The result of a child that has ended. 0, or -errno with ERR set. */
int mw_holders_child__result(const struct mw_cmd_child *child, struct mw_owner_holders *out,
			     struct mw_err *err);

#endif

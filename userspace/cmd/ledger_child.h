/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A look into a process's memory for the screen: its ledger and split, made by a child. */
#ifndef MW_CMD_LEDGER_CHILD_H
#define MW_CMD_LEDGER_CHILD_H

#include "cmd/child.h"
#include "ledger/ledger.h"
#include "ledger/split.h"

int mw_ledger_child__start(struct mw_cmd_child *child, pid_t pid);

/*
 * What the child, which has ended, found; its ledger is the caller's to free. 0, or -errno with ERR
 * set.
 */
struct mw_ledger_child {
	struct mw_ledger ledger;
	uint64_t parts[MW_SPLIT_PARTS];
	double took;	/* seconds */
	char note[160]; /* why glibc's heap could not be told apart; "" */
};
int mw_ledger_child__result(const struct mw_cmd_child *child, struct mw_ledger_child *look,
			    struct mw_err *err);

#endif

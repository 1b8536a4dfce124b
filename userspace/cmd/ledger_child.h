/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process's ledger, split and facts for the screen, made by a child. */
#ifndef MW_CMD_LEDGER_CHILD_H
#define MW_CMD_LEDGER_CHILD_H

#include "cmd/child.h"
#include "diagnosis/facts.h"
#include "ledger/ledger.h"
#include "ledger/split.h"

int mw_ledger_child__start(struct mw_cmd_child *child, pid_t pid);

struct mw_ledger_child {
	struct mw_ledger ledger;
	uint64_t parts[MW_SPLIT_PARTS];
	double took;	/* seconds */
	char note[160]; /* why glibc's heap could not be read; "" */
	struct mw_facts facts;
};

/* Is all but what the references say there already, which take longest? */
bool mw_ledger_child__has_ledger(const struct mw_cmd_child *child);

/*
 * The result of a child that has ended, or has a ledger; its ledger is the caller's to free. 0, or
 * -errno with ERR set.
 */
int mw_ledger_child__result(const struct mw_cmd_child *child, struct mw_ledger_child *out,
			    struct mw_err *err);

#endif

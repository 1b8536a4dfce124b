/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way from a root to containers that grow, in words. Only the few that grow most are traced
 * back, and each once, because that takes a walk over all references. In a process that runs such a
 * walk may miss a reference; so where no module and no frame was found to lead to it, it is done
 * again.
 */
#ifndef MW_WATCH_HOLDERS_H
#define MW_WATCH_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/survey.h"
#include "model/looks.h"

struct mw_holder_name {
	uint64_t addr;
	bool sure; /* the way begins at a module or a frame */
	char path[MW_GROWN_PATH];
};

/*
 * A type of which many objects refer to one another, as in a linked list, and where they begin.
 * What is none is remembered, too, until the next search.
 */
struct mw_chain_name {
	char type[MW_GROWN_NAME], module[MW_GROWN_MODULE];
	uint64_t addr; /* of the first one; 0: no chain */
	char path[MW_GROWN_PATH];
};

enum { MW_CHAINS = 8 };

/* Those of one process that have been traced back, and are among its holders still. */
struct mw_holders {
	struct mw_holder_name names[MW_GROWN_HOLDERS];
	size_t count;
	struct mw_chain_name chains[MW_CHAINS]; /* that were looked for */
	size_t chain_count;
	double next; /* CLOCK_MONOTONIC, when new ones that are not suspect may be traced back */
};

/*
 * Name the holders of GROWTH, and add chains to them, whose addresses are of SURVEY's image at this
 * look. What can't be traced back keeps an empty path.
 */
void mw_holders__name(struct mw_holders *holders, struct mw_survey *survey, pid_t pid,
		      struct mw_look_growth *growth);

#endif

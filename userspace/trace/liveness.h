/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out whether sampled blocks are still allocated by walking the heaps of their processes in a
 * thread, without stopping them. Gigabytes take seconds.
 */
#ifndef MW_TRACE_LIVENESS_H
#define MW_TRACE_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/tracked.h"

struct mw_liveness_query {
	pid_t pid;
	uint64_t addr, size; /* as the program asked for it */
	uint64_t key, time;  /* the caller's */
	bool wants_print;
	uint64_t print; /* out: of its content (block_print.h), when it is alive; 0: none */
	/* Out. Freed: it is free, or another block is at its address. */
	enum mw_liveness_state state;
};

struct mw_liveness;

/*
 * Begin to judge COUNT blocks, in the order of their PIDs and addresses; takes LIST over. NULL:
 * no memory, or no thread.
 */
struct mw_liveness *mw_liveness__begin(struct mw_liveness_query *list, size_t count);

bool mw_liveness__are_known(struct mw_liveness *liveness);

/* When they are known: all of them, and the CPU time that it took. */
const struct mw_liveness_query *mw_liveness__list(const struct mw_liveness *liveness, size_t *count,
						  double *seconds);

/* At any time: an unfinished walk is given up. */
void mw_liveness__end(struct mw_liveness *liveness);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out whether sampled blocks are still allocated by looking at the heaps of their processes
 * in a thread, without stopping them. What is known of a process's heap is kept from one look to
 * the next.
 *
 * A look ends when it has used MW_LOOK_SECONDS of CPU time, and the next one goes on where it
 * ended, by process and address.
 */
#ifndef MW_TRACE_LIVENESS_H
#define MW_TRACE_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/sample.h"
#include "model/tracked.h"

#define MW_LOOK_SECONDS 0.5

struct mw_liveness_query {
	pid_t pid;
	uint64_t addr, size; /* as the program asked for it */
	uint64_t key, time;  /* the caller's */
	bool wants_print;
	uint64_t room;	/* out: bytes that the program may use of it, when it is alive */
	uint64_t print; /* out: of its content (block_print.h), when it is alive; 0: none */
	/* Out. Freed: it is free, or another block is at its address. */
	enum mw_liveness_state state;
	double looked_at; /* out: seconds of CLOCK_MONOTONIC; 0: not in this look */
};

struct mw_liveness;

/* NULL: no memory. */
struct mw_liveness *mw_liveness__new(void);
/* At any time: a look that is not over is given up. */
void mw_liveness__free(struct mw_liveness *liveness);

/*
 * Begin to judge COUNT blocks, in the order of their PIDs and addresses; takes LIST over. 0, or
 * -errno when there is no thread. The look before must be over.
 */
int mw_liveness__begin(struct mw_liveness *liveness, struct mw_liveness_query *list, size_t count);

/* Has a look begun that was not ended? */
bool mw_liveness__is_looking(const struct mw_liveness *liveness);
bool mw_liveness__are_known(const struct mw_liveness *liveness);

/* What one look came to. */
struct mw_look {
	double seconds; /* of CPU time */
	uint64_t bytes; /* read of the targets' memory */
	double whole;	/* this one met the last block: seconds since the first was met; else -1 */
	const char *note; /* why nothing is known of some blocks, "" */
};

/* When they are known: end the look. The list is good until the next one begins. */
const struct mw_liveness_query *mw_liveness__end(struct mw_liveness *liveness, size_t *count,
						 struct mw_look *look);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of blocks that were seen being made, by the heap's own marks: a thread walks the
 * heaps of their running processes, without stopping them. A heap of gigabytes takes its seconds.
 */
#ifndef MW_TRACE_LIVENESS_H
#define MW_TRACE_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mw_liveness_query {
	pid_t pid;
	uint64_t addr, size; /* as the program asked for it */
	uint64_t key, time;  /* the caller's */
	bool gone,
		there; /* out: free, or another block is in its place; or not. Neither: not known */
};

struct mw_liveness;

/*
 * Begin to look for COUNT blocks, in the order of their PIDs and addresses; LIST is taken. NULL: it
 * can't.
 */
struct mw_liveness *mw_liveness__begin(struct mw_liveness_query *list, size_t count);

bool mw_liveness__are_known(struct mw_liveness *liveness);

/* When they are known: all of them, and the CPU time that it took. */
const struct mw_liveness_query *mw_liveness__list(const struct mw_liveness *liveness, size_t *count,
						  double *seconds);

/* Also when they are not known yet: then it is broken off. */
void mw_liveness__end(struct mw_liveness *liveness);

#endif

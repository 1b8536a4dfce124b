/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks at watched processes: a thread beside the watch takes a census of each Python now and then
 * and says what grew in between, without a probe; of every process that has a heap it says how much
 * there is of blocks of each size. The first look comes within 5 s, the second 10 s
 * later; after that looks take at most a 20th of one processor together, and come at uneven times,
 * so that a container that is filled and cleared in a rhythm of its own does not look like one that
 * grows. The thread has a low priority, and its reads a low impact: no smaps, no swap-in, no
 * stopped thread.
 */
#ifndef MW_WATCH_LOOKS_H
#define MW_WATCH_LOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bpf/memwhere.h"
#include "model/looks.h"
#include "model/live_bytes.h"
#include "trace/survivors.h"
#include "util/err.h"

struct mw_looker; /* opaque */

struct mw_looker_options {
	const pid_t *pids; /* the targets; copied */
	size_t count;
	struct mw_type_names *names; /* where names of types are put; outlives what uses them */
	bool follow;		     /* also at their descendants; what these grew by is added up */
};

/* NULL with ERR set: no memory, or no thread. */
struct mw_looker *mw_looker__start(const struct mw_looker_options *options, struct mw_err *err);
/* A look that is under way is given up. */
void mw_looker__stop(struct mw_looker *looker);

enum { MW_LOOKS_MISSING = 512 };

/* What is known of a target by looks. */
struct mw_looked {
	struct mw_look_growth growth; /* of all its Python processes; seconds 0: not known yet */
	/* Python is there, but can't be looked at: why, for people. "": nothing is missing. */
	char missing[MW_LOOKS_MISSING];
	struct mw_live_growth live[MW_LAYERS]; /* times are those of CLOCK_MONOTONIC */
};

/* Of target INDEX, into OUT; false: nothing new since the last call, OUT is as it was. */
bool mw_looker__take(struct mw_looker *looker, size_t index, struct mw_looked *out);

/*
 * Of which types are these? The next look at each one's process answers. LIST is exchanged for an
 * empty one, unless another question is partly answered (false).
 */
bool mw_looker__ask(struct mw_looker *looker, struct mw_survivors *list);
/* What was asked last, with types: exchanged for LIST; false: no answer yet. */
bool mw_looker__answer(struct mw_looker *looker, struct mw_survivors *list);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that live only through what is meant to pass: log records, finished tasks, tracebacks,
 * frames. As for the shortest ways, what may be chance counts only where nothing certain leads:
 * words of C's blocks and of the interpreter's state, which has free lists with what they once
 * kept.
 */
#ifndef MW_GRAPH_THROUGH_H
#define MW_GRAPH_THROUGH_H

#include "graph/graph.h"

/* In this order: what two of them hold is the first one's. */
enum mw_through {
	MW_THROUGH_RECORDS,    /* logging.LogRecord */
	MW_THROUGH_TASKS,      /* futures and tasks of asyncio that are done */
	MW_THROUGH_TRACEBACKS, /* with the frames of what raised */
	MW_THROUGH_FRAMES,     /* that run: variables, values in use, words of threads' stacks */
	MW_THROUGH_KINDS
};

/* "records", "tasks", "tracebacks", "frames" */
const char *mw_through_name(enum mw_through kind);

/*
 * Where records, tasks or tracebacks are kept, as graph/holders.h says, or a variable of a frame;
 * and what lives only through those.
 */
struct mw_through_holder {
	uint64_t count, bytes;
	char text[200]; /* "app.errors", "handler() local rows" */
};

enum { MW_THROUGH_HOLDERS = 8 };

struct mw_through_group {
	uint64_t count, bytes; /* objects; with what they own, as the allocators count */
	struct mw_through_holder holders[MW_THROUGH_HOLDERS]; /* most bytes first */
	size_t holder_count;
};

struct mw_throughs {
	struct mw_through_group groups[MW_THROUGH_KINDS];
};

/* 0 or -ENOMEM with ERR set. */
int mw_throughs__find(struct mw_throughs *throughs, struct mw_graph *graph, struct mw_err *err);

#endif

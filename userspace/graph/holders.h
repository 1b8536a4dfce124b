/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who holds each block: the container, or the variable, through which it stays. On the shortest way
 * to a block that is the first container with a length of its own that is no namespace (a module's,
 * a class's or an instance's dictionary), or else the first object that is not the program itself.
 * Where nearly all that a container holds lies in one container below, that one is the holder.
 */
#ifndef MW_GRAPH_HOLDERS_H
#define MW_GRAPH_HOLDERS_H

#include "graph/graph.h"
#include "model/pins.h"

/* A holder is the number of a block, or, from mw_holders__special() on, one of these. */
enum mw_holder_kind {
	MW_HOLDER_NOBODY,      /* nothing leads there */
	MW_HOLDER_PROGRAM,     /* modules, classes, functions and what belongs to them */
	MW_HOLDER_INTERPRETER, /* its state and its threads' */
	MW_HOLDER_STATIC,      /* static variables of C */
	MW_HOLDER_STACK,       /* stacks of threads */
	MW_HOLDER_PARKED,      /* dead, kept for reuse: nobody's; never returned here */
	MW_HOLDER_ALLOCATOR,   /* an allocator's own; likewise */
	MW_HOLDER_KINDS
};

/* "the program's modules, classes and functions" */
const char *mw_holder_kind_text(enum mw_holder_kind kind);

struct mw_holders; /* opaque */

/*
 * Those of GRAPH, which outlives them: 9 bytes a block, 21 while it works. NEAREST: as the last
 * sentence above says; without it, one more element never makes another holder. NULL: no memory,
 * ERR is set.
 */
struct mw_holders *mw_holders__find(struct mw_graph *graph, bool nearest, struct mw_err *err);
void mw_holders__free(struct mw_holders *holders);

/* The number from which on a holder is special: number + enum mw_holder_kind. */
uint32_t mw_holders__special(const struct mw_holders *holders);
/* The holder of block NUMBER, and which of that one's items keeps it (the block, of a special
 * one). */
uint32_t mw_holders__of(const struct mw_holders *holders, uint32_t number);
uint32_t mw_holders__item(const struct mw_holders *holders, uint32_t number);

/* Is block NUMBER a container with a length that is no namespace? */
bool mw_holders__is_container(const struct mw_holders *holders, uint32_t number);

/* HOLDER in words, "app.log" or "the program's modules, classes and functions". */
void mw_holders__text(const struct mw_holders *holders, uint32_t holder, char *text, size_t size);

/* Say of every pin of PLACES who holds it, and the type of what the holder would have to drop. */
void mw_holders__attribute(const struct mw_holders *holders, struct mw_places *places);

#endif

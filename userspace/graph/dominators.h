/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dominators of a directed graph in compressed rows: V's immediate dominator is the last vertex
 * before V through which every way from the roots to V leads. Semi-NCA: L. Georgiadis, "Linear-Time
 * Algorithms for Dominators and Related Problems", Princeton 2005, chapter 2. Flat arrays, no
 * recursion, 24 bytes a vertex and 4 an edge while it works.
 */
#ifndef MW_GRAPH_DOMINATORS_H
#define MW_GRAPH_DOMINATORS_H

#include <stddef.h>
#include <stdint.h>

struct mw_dominators {
	/*
	 * The vertices that the roots reach, in an order in which each comes after its dominator;
	 * the first, at 0, is a root above all roots and no vertex.
	 */
	uint32_t *vertices;
	uint32_t *dominator; /* of each of them, as an index in VERTICES */
	uint32_t count;
};

/*
 * Of COUNT vertices and edges from V to TARGETS[FIRST[V]] … TARGETS[FIRST[V + 1] - 1]; ROOTS may
 * repeat. 0 or -ENOMEM. The caller frees OUT in either case.
 */
int mw_dominators__find(struct mw_dominators *out, uint32_t count, const uint32_t *first,
			const uint32_t *targets, const uint32_t *roots, size_t root_count);
void mw_dominators__free(struct mw_dominators *dominators);

#endif

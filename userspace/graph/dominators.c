// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "graph/dominators.h"

enum { ABOVE = 0 }; /* the root above all roots */

#define NONE UINT32_MAX

struct work {
	uint32_t count;
	const uint32_t *first, *targets;
	uint32_t
		*index; /* of each vertex in the order of the search, 0: not reached; later LABEL */
	uint32_t *vertices; /* by index */
	uint32_t *parent;   /* in the search's tree; later compressed */
	uint32_t *dominator;
	/*
	 * By index. Of a vertex that is not done yet SEMI is where its predecessors begin in PREDS;
	 * a root's begin with ABOVE.
	 */
	uint32_t *semi, *label;
	uint32_t *preds;
	uint32_t reached; /* indices in use, ABOVE included */
};

/*
 * ---- the search -----------------------------------------------------------------------------
 */

static void enter(struct work *w, uint32_t vertex, uint32_t parent, uint32_t *cursor)
{
	w->index[vertex] = w->reached;
	w->vertices[w->reached] = vertex;
	w->parent[w->reached] = parent;
	cursor[w->reached] = w->first[vertex];
	w->reached++;
}

/* Depth first. CURSOR has the next edge of each vertex that is not done. */
static void search(struct work *w, const uint32_t *roots, size_t root_count, uint32_t *cursor)
{
	w->reached = 1;
	for (size_t i = 0; i < root_count; i++) {
		uint32_t at;

		if (w->index[roots[i]])
			continue;
		enter(w, roots[i], ABOVE, cursor);
		for (at = w->index[roots[i]]; at != ABOVE;) {
			uint32_t vertex = w->vertices[at], target;

			if (cursor[at] == w->first[vertex + 1]) {
				at = w->parent[at];
				continue;
			}
			target = w->targets[cursor[at]++];
			if (w->index[target])
				continue;
			enter(w, target, at, cursor);
			at = w->index[target];
		}
	}
}

/*
 * Predecessors by index, an edge once for each time that it is there: those of I from SEMI[I] to
 * SEMI[I + 1].
 */
static int invert(struct work *w, const uint32_t *roots, size_t root_count)
{
	uint32_t *end = w->semi + 2, *next = w->semi + 1;
	uint64_t edges = root_count;

	memset(w->semi, 0, ((size_t)w->reached + 2) * sizeof(*w->semi));
	for (size_t i = 0; i < root_count; i++)
		end[w->index[roots[i]]]++;
	for (uint32_t i = 1; i < w->reached; i++) {
		uint32_t v = w->vertices[i];

		edges += w->first[v + 1] - w->first[v];
		for (uint32_t k = w->first[v]; k < w->first[v + 1]; k++)
			end[w->index[w->targets[k]]]++;
	}
	w->preds = edges < UINT32_MAX ? malloc((edges + 1) * sizeof(*w->preds)) : NULL;
	if (!w->preds)
		return -ENOMEM;
	for (uint32_t i = 2; i < w->reached + 2; i++)
		w->semi[i] += w->semi[i - 1];
	for (size_t i = 0; i < root_count; i++)
		w->preds[next[w->index[roots[i]]]++] = ABOVE;
	for (uint32_t i = 1; i < w->reached; i++) {
		uint32_t v = w->vertices[i];

		for (uint32_t k = w->first[v]; k < w->first[v + 1]; k++)
			w->preds[next[w->index[w->targets[k]]]++] = i;
	}
	return 0;
}

/*
 * ---- dominators -----------------------------------------------------------------------------
 */

/*
 * The vertex with the least semidominator on the way up from V to below LINKED, the last one that
 * was done. The way is compressed.
 */
static uint32_t evaluate(struct work *w, uint32_t v, uint32_t linked)
{
	uint32_t below = NONE, above, top;

	/* On the way up each vertex keeps where it came from in place of where it went. */
	while (w->parent[v] >= linked) {
		above = w->parent[v];
		w->parent[v] = below;
		below = v;
		v = above;
	}
	top = w->parent[v];
	while (below != NONE) {
		above = v;
		v = below;
		below = w->parent[v];
		if (w->semi[w->label[above]] < w->semi[w->label[v]])
			w->label[v] = w->label[above];
		w->parent[v] = top;
	}
	return w->label[v];
}

static void dominate(struct work *w)
{
	uint32_t end = w->semi[w->reached];

	w->label = w->index;
	w->label[ABOVE] = ABOVE;
	for (uint32_t i = 1; i < w->reached; i++) {
		w->dominator[i] = w->parent[i];
		w->label[i] = i;
	}
	for (uint32_t i = w->reached - 1; i >= 1; i--) {
		uint32_t semi = w->parent[i], begin = w->semi[i];

		for (uint32_t k = begin; k < end; k++) {
			uint32_t from = w->preds[k], s;

			s = from <= i ? from : w->semi[evaluate(w, from, i + 1)];
			semi = s < semi ? s : semi;
		}
		w->semi[i] = semi;
		end = begin;
	}
	for (uint32_t i = 1; i < w->reached; i++) {
		uint32_t d = w->dominator[i];

		while (d > w->semi[i])
			d = w->dominator[d];
		w->dominator[i] = d;
	}
}

int mw_dominators__find(struct mw_dominators *out, uint32_t count, const uint32_t *first,
			const uint32_t *targets, const uint32_t *roots, size_t root_count)
{
	size_t size = ((size_t)count + 1) * sizeof(uint32_t);
	struct work w = {
		.count = count,
		.first = first,
		.targets = targets,
		.index = calloc((size_t)count + 1, sizeof(uint32_t)),
		.vertices = malloc(size),
		.parent = malloc(size),
		.dominator = malloc(size),
		.semi = malloc(size + 2 * sizeof(uint32_t)),
	};
	int ret = -ENOMEM;

	*out = (struct mw_dominators){0};
	if (!w.index || !w.vertices || !w.parent || !w.dominator || !w.semi)
		goto cleanup;
	w.vertices[ABOVE] = w.parent[ABOVE] = w.dominator[ABOVE] = ABOVE;
	search(&w, roots, root_count, w.semi);
	ret = invert(&w, roots, root_count);
	if (ret)
		goto cleanup;
	dominate(&w);
	*out = (struct mw_dominators){w.vertices, w.dominator, w.reached};
	w.vertices = w.dominator = NULL;
cleanup:
	free(w.index);
	free(w.vertices);
	free(w.parent);
	free(w.dominator);
	free(w.semi);
	free(w.preds);
	return ret;
}

void mw_dominators__free(struct mw_dominators *dominators)
{
	free(dominators->vertices);
	free(dominators->dominator);
	*dominators = (struct mw_dominators){0};
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* How the steps of many ways refer to each other, found together. */
#include <errno.h>
#include <stdlib.h>

#include "graph/graph_impl.h"
#include "util/array.h"
#include "util/search.h"

struct edges {
	struct mw_graph_edge *list;
	size_t count, capacity;
};

static int compare(const struct mw_graph_edge *x, const struct mw_graph_edge *y)
{
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static int by_ends(const void *a, const void *b)
{
	return compare(a, b);
}

/* The steps to block NUMBER that a path shows. */
static int add_way(struct mw_graph *g, struct edges *edges, uint32_t number)
{
	uint64_t left = mw_graph_length(g, number), all = left;

	for (; left > 1; number = g->parent[number], left--) {
		struct mw_graph_edge edge = {.from = g->parent[number], .to = number};

		if (all > MW_GRAPH_STEPS_MAX && left > MW_GRAPH_STEPS_MAX / 2 &&
		    left <= all - MW_GRAPH_STEPS_MAX / 2)
			continue;
		if (mw_array_reserve(&edges->list, &edges->capacity, edges->count + 1,
				     sizeof(*edges->list)))
			return -ENOMEM;
		edges->list[edges->count++] = edge;
	}
	return 0;
}

/* Those that begin at one block, to be told in one pass over what that refers to. */
struct wanted {
	struct mw_graph *graph;
	struct mw_graph_edge *list;
	size_t count;
};

static bool is_at_or_before(const void *at, const void *key)
{
	return ((const struct mw_graph_edge *)at)->to <= *(const uint32_t *)key;
}

static int see(void *arg, const struct mw_py_referent *r)
{
	struct wanted *w = arg;
	int64_t number = mw_python__number(w->graph->py, r->addr);
	uint32_t key = (uint32_t)number;
	size_t i;

	if (number < 0)
		return 0;
	i = mw_search(w->list, w->count, sizeof(*w->list), is_at_or_before, &key);
	if (i && w->list[i - 1].to == key)
		mw_graph_edge__see(&w->list[i - 1], r);
	return 0;
}

int mw_graph__explain(struct mw_graph *g, const uint64_t *addrs, size_t count)
{
	struct edges edges = {0};
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		int64_t number = mw_python__number(g->py, addrs[i]);

		if (number >= 0 && g->parent[number] != MW_GRAPH_NONE)
			ret = add_way(g, &edges, (uint32_t)number);
	}
	if (ret) {
		free(edges.list);
		return ret;
	}
	if (edges.count)
		qsort(edges.list, edges.count, sizeof(*edges.list), by_ends);
	for (size_t i = 0; i < edges.count; i++) {
		if (!n || compare(&edges.list[n - 1], &edges.list[i]))
			edges.list[n++] = edges.list[i];
	}
	for (size_t i = 0, end; i < n; i = end) {
		struct wanted w = {.graph = g, .list = edges.list + i};
		struct mw_py_node node;

		for (end = i; end < n && edges.list[end].from == edges.list[i].from; end++)
			edges.list[end].referent.via = MW_PY_VIA_WORD;
		w.count = end - i;
		if (mw_python__node(g->py, edges.list[i].from, &node))
			mw_python__node_referents(g->py, &node, see, &w);
	}
	free(g->explained);
	g->explained = edges.list;
	g->explained_count = n;
	return 0;
}

const struct mw_graph_edge *mw_graph_explained(const struct mw_graph *g, uint32_t from, uint32_t to)
{
	const struct mw_graph_edge key = {.from = from, .to = to};

	if (!g->explained_count)
		return NULL;
	return bsearch(&key, g->explained, g->explained_count, sizeof(*g->explained), by_ends);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A core that was cut short lacks what led to many of its objects: sys.modules, the interpreter's
 * state, a dictionary. What is left of the ways is worth knowing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"

struct search {
	struct mw_graph *graph;
	uint32_t *queue;
	size_t at, end;
};

static void reach(struct search *s, uint32_t number, uint32_t from)
{
	if (s->graph->parent[number] != MW_GRAPH_NONE)
		return;
	s->graph->parent[number] = from;
	s->queue[s->end++] = number;
}

/* All that the blocks in the queue lead to; through C's, whose words may be chance, last. */
static void spread(struct search *s)
{
	const struct mw_graph *g = s->graph;

	for (; s->at < s->end; s->at++) {
		uint32_t v = s->queue[s->at];

		for (uint32_t k = g->first[v]; !mw_python__is_data(g->py, v) && k < g->first[v + 1];
		     k++)
			reach(s, g->targets[k], v);
	}
}

/* Number NUMBER is where what is left of a way begins. */
static int begin_at(struct search *s, uint32_t number)
{
	struct mw_graph *g = s->graph;
	size_t count = g->root_count;
	struct mw_py_node node;
	int ret = mw_python__node(g->py, number, &node)
			  ? mw_graph_add_root(g, MW_ROOT_MISSING, node.object, 0, 0)
			  : 0;

	if (!ret && g->root_count > count)
		reach(s, number, g->count + (uint32_t)count);
	return ret;
}

static bool is_left(const struct mw_graph *g, uint32_t number)
{
	return g->parent[number] == MW_GRAPH_NONE && mw_python__type_number(g->py, number) >= 0;
}

/* Objects to which no other object leads that is left, and then one of each circle. */
static int begin_at_rest(struct search *s)
{
	struct mw_graph *g = s->graph;
	uint8_t *inner = calloc((size_t)g->count + 1, 1);
	int ret = inner ? 0 : -ENOMEM;

	for (uint32_t v = 0; v < g->count && !ret; v++) {
		for (uint32_t k = g->first[v]; is_left(g, v) && k < g->first[v + 1]; k++)
			inner[g->targets[k]] |= g->targets[k] != v;
	}
	for (uint32_t v = 0; v < g->count && !ret; v++) {
		if (is_left(g, v) && !inner[v])
			ret = begin_at(s, v);
	}
	free(inner);
	spread(s);
	for (uint32_t v = 0; v < g->count && !ret; v++) {
		if (is_left(g, v))
			ret = begin_at(s, v);
		spread(s);
	}
	return ret;
}

int mw_graph_add_modules(struct mw_graph *g)
{
	int ret = 0;

	for (uint32_t v = 0; v < g->count && !ret; v++) {
		int32_t index = mw_python__type_number(g->py, v);
		const struct mw_py_type *type = index < 0 ? NULL : mw_python__type(g->py, index);
		struct mw_py_node node;
		uint64_t name = 0;

		if (type && !strcmp(type->name, "module") && mw_python__node(g->py, v, &node))
			name = mw_graph_module_value(g, node.object, "__name__");
		if (name)
			ret = mw_graph_add_root(g, MW_ROOT_MODULE, node.object, name, 0);
	}
	return ret;
}

int mw_graph_go_on(struct mw_graph *g)
{
	struct search s = {g, malloc(((size_t)g->count + 1) * sizeof(*s.queue)), 0, 0};
	int ret = s.queue ? begin_at_rest(&s) : -ENOMEM;

	/* Words of C's blocks that were met. */
	for (size_t i = 0; i < s.end; i++) {
		for (uint32_t k = g->first[s.queue[i]]; k < g->first[s.queue[i] + 1]; k++)
			reach(&s, g->targets[k], s.queue[i]);
	}
	free(s.queue);
	return ret;
}

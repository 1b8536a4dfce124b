// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One search from all certain roots but those of threads, which stops at the gates: log records,
 * finished tasks, tracebacks. Then the gates are opened, one kind after the other, and threads'
 * roots at last: whatever is new behind one lives only through it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "graph/holders.h"
#include "graph/through.h"
#include "util/array.h"

enum { NO_GATE = MW_THROUGH_KINDS };

/* The gates of a kind that were come to. */
struct gates {
	uint32_t *numbers;
	size_t count, capacity;
};

/* What one gate or one root has brought. */
struct part {
	uint32_t holder;	      /* of a gate */
	int64_t root;		      /* index, -1: a gate */
	enum mw_graph_root_kind what; /* and CODE and NAME: roots that alike are one holder */
	uint64_t code, name;
	uint64_t count, bytes;
};

struct search {
	struct mw_graph *graph;
	uint8_t *kind; /* by type: enum mw_through of its objects, or NO_GATE */
	uint8_t *reached;
	uint32_t *queue;
	size_t at, end;
	unsigned int open; /* gates of the kinds below are open */
	struct gates gates[MW_THROUGH_KINDS];
	struct mw_holders *holders;
	struct part now; /* what is being opened */
	struct part *parts;
	size_t part_count, part_capacity;
	bool no_memory;
};

const char *mw_through_name(enum mw_through kind)
{
	static const char *const names[] = {
		[MW_THROUGH_RECORDS] = "records",
		[MW_THROUGH_TASKS] = "tasks",
		[MW_THROUGH_TRACEBACKS] = "tracebacks",
		[MW_THROUGH_FRAMES] = "frames",
	};

	return names[kind];
}

/*
 * ---- gates --------------------------------------------------------------------------------------
 */

static unsigned int kind_of_type(struct mw_python *py, int32_t index)
{
	const struct mw_py_type *type = mw_python__type(py, index);
	char name[160];

	mw_python_type_name(type, name, sizeof(name));
	if (!strcmp(name, "logging.LogRecord"))
		return MW_THROUGH_RECORDS;
	if (!strcmp(name, "_asyncio.Task") || !strcmp(name, "_asyncio.Future"))
		return MW_THROUGH_TASKS;
	if (!strcmp(name, "traceback"))
		return MW_THROUGH_TRACEBACKS;
	return NO_GATE;
}

static unsigned int gate_of(const struct search *s, uint32_t number)
{
	int32_t type = mw_python__type_number(s->graph->py, number);
	unsigned int kind = type < 0 ? NO_GATE : s->kind[type];
	struct mw_py_node node;

	if (kind != MW_THROUGH_TASKS)
		return kind;
	return mw_python__node(s->graph->py, number, &node) &&
			       mw_python__is_done(s->graph->py, &node)
		       ? kind
		       : NO_GATE;
}

/*
 * ---- the search ---------------------------------------------------------------------------------
 */

static void reach(struct search *s, uint32_t number)
{
	struct mw_py_node node;
	struct gates *gates;
	unsigned int gate;

	if (s->reached[number])
		return;
	gate = gate_of(s, number);
	gates = gate < MW_THROUGH_KINDS && gate >= s->open ? &s->gates[gate] : NULL;
	if (gates) {
		if (mw_array_reserve(&gates->numbers, &gates->capacity, gates->count + 1,
				     sizeof(*gates->numbers)))
			s->no_memory = true;
		else
			gates->numbers[gates->count++] = number;
		return;
	}
	s->reached[number] = 1;
	s->queue[s->end++] = number;
	if (!s->open || !mw_python__node(s->graph->py, number, &node))
		return;
	s->now.count += node.object != 0;
	s->now.bytes += node.bytes;
}

static void spread(struct search *s)
{
	const struct mw_graph *g = s->graph;

	for (; s->at < s->end && !s->no_memory; s->at++) {
		uint32_t number = s->queue[s->at];

		if (mw_python__is_data(g->py, number))
			continue;
		for (uint32_t k = g->first[number]; k < g->first[number + 1]; k++)
			reach(s, g->targets[k]);
	}
}

static bool is_threads(const struct mw_graph_root *root)
{
	switch (root->kind) {
	case MW_ROOT_FRAME:
	case MW_ROOT_LOCAL:
	case MW_ROOT_VALUE:
	case MW_ROOT_THREAD:
	case MW_ROOT_STACK:
	case MW_ROOT_REGISTER:
		return true;
	default:
		return false;
	}
}

/* What has just been opened is done. */
static void close_one(struct search *s, struct mw_through_group *group)
{
	group->count += s->now.count;
	group->bytes += s->now.bytes;
	if (!s->now.bytes)
		return;
	if (mw_array_reserve(&s->parts, &s->part_capacity, s->part_count + 1, sizeof(*s->parts)))
		s->no_memory = true;
	else
		s->parts[s->part_count++] = s->now;
}

static void open_gate(struct search *s, uint32_t number, struct mw_through_group *group)
{
	s->now = (struct part){.holder = mw_holders__of(s->holders, number), .root = -1};
	reach(s, number);
	spread(s);
	close_one(s, group);
}

static void open_root(struct search *s, size_t i, struct mw_through_group *group)
{
	const struct mw_graph_root *root = &s->graph->roots[i];

	s->now = (struct part){.root = (int64_t)i, .name = root->index, .what = root->kind};
	/* Of stacks the name is an address, and the thread says more. */
	if (root->kind == MW_ROOT_FRAME || root->kind == MW_ROOT_VALUE ||
	    root->kind == MW_ROOT_LOCAL)
		s->now.code = root->name;
	reach(s, root->number);
	spread(s);
	close_one(s, group);
}

/*
 * ---- by holder ----------------------------------------------------------------------------------
 */

static int compare(const struct part *x, const struct part *y)
{
	if (x->holder != y->holder)
		return x->holder < y->holder ? -1 : 1;
	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	if (x->code != y->code)
		return x->code < y->code ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static int by_holder(const void *a, const void *b)
{
	return compare(a, b);
}

static int by_bytes(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return compare(x, y);
}

static void list_holders(struct search *s, struct mw_through_group *group)
{
	size_t n = 0;

	if (s->part_count)
		qsort(s->parts, s->part_count, sizeof(*s->parts), by_holder);
	for (size_t i = 0; i < s->part_count; i++) {
		if (!n || compare(&s->parts[n - 1], &s->parts[i]) != 0) {
			s->parts[n++] = s->parts[i];
			continue;
		}
		s->parts[n - 1].count += s->parts[i].count;
		s->parts[n - 1].bytes += s->parts[i].bytes;
	}
	if (n)
		qsort(s->parts, n, sizeof(*s->parts), by_bytes);
	for (size_t i = 0; i < n && i < MW_THROUGH_HOLDERS; i++) {
		const struct part *p = &s->parts[i];
		struct mw_through_holder *h = &group->holders[group->holder_count++];

		h->count = p->count;
		h->bytes = p->bytes;
		if (p->root >= 0)
			mw_graph_root__text(s->graph, &s->graph->roots[p->root], h->text,
					    sizeof(h->text));
		else
			mw_holders__text(s->holders, p->holder, h->text, sizeof(h->text));
	}
	s->part_count = 0;
}

static void open_kind(struct search *s, enum mw_through kind, struct mw_through_group *group)
{
	const struct mw_graph *g = s->graph;
	struct gates *gates = &s->gates[kind];

	s->open = kind + 1;
	for (size_t i = 0; kind == MW_THROUGH_FRAMES && i < g->root_count; i++) {
		if (is_threads(&g->roots[i]))
			open_root(s, i, group);
	}
	for (size_t i = 0; i < gates->count && !s->no_memory; i++)
		open_gate(s, gates->numbers[i], group);
	list_holders(s, group);
}

int mw_throughs__find(struct mw_throughs *throughs, struct mw_graph *graph, struct mw_err *err)
{
	size_t types = mw_python__type_count(graph->py), count = (size_t)graph->count + 1;
	struct search s = {
		.graph = graph,
		.kind = malloc(types + 1),
		.reached = calloc(count, sizeof(*s.reached)),
		.queue = malloc(count * sizeof(*s.queue)),
	};

	memset(throughs, 0, sizeof(*throughs));
	s.holders = mw_holders__find(graph, true, err);
	s.no_memory = !s.kind || !s.reached || !s.queue || !s.holders;
	for (size_t i = 0; i < types && !s.no_memory; i++)
		s.kind[i] = (uint8_t)kind_of_type(graph->py, (int32_t)i);
	for (size_t i = 0; i < graph->root_count && !s.no_memory; i++) {
		if (!is_threads(&graph->roots[i]) &&
		    mw_graph_level(&graph->roots[i]) < MW_GRAPH_DOUBTFUL)
			reach(&s, graph->roots[i].number);
	}
	if (!s.no_memory)
		spread(&s);
	for (unsigned int kind = 0; kind < MW_THROUGH_KINDS && !s.no_memory; kind++)
		open_kind(&s, kind, &throughs->groups[kind]);
	for (unsigned int kind = 0; kind < MW_THROUGH_KINDS; kind++)
		free(s.gates[kind].numbers);
	mw_holders__free(s.holders);
	free(s.parts);
	free(s.kind);
	free(s.reached);
	free(s.queue);
	return s.no_memory ? mw_err_no_memory(err, mw_image__name(graph->image)) : 0;
}

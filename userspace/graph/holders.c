// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "graph/holders.h"

enum {
	NEARLY = 9,   /* tenths of what a container holds that make one of its parts the holder */
	LARGE = 4096, /* bytes from which on a value is more than a constant of its module */
};

/* What is known of a block. */
enum {
	IS_CONTAINER = 1, /* with a length, and no namespace */
	IS_PROGRAM = 2,	  /* a module, class, function, ... */
	IS_OWN = 4,	  /* what a variable may be asked about: no mere constant */
	IS_PART = 8,	  /* of what refers to it: a dictionary, a tuple, a cell */
};

struct mw_holders {
	struct mw_graph *graph;
	uint32_t *holder, *item;
	uint32_t *weight; /* blocks whose way leads through each, itself included */
	uint32_t *order;  /* what is reached, the farthest first */
	uint32_t order_count;
	uint8_t *flags;
	bool *program, *parts; /* by type */
	bool nearest;
};

/*
 * ---- what blocks are ----------------------------------------------------------------------------
 */

/* Objects that make up a program: what importing its modules leaves behind. */
static bool is_programs(struct mw_graph *g, int32_t index)
{
	static const char *const names[] = {
		"builtin_function_or_method",
		"classmethod",
		"classmethod_descriptor",
		"code",
		"function",
		"getset_descriptor",
		"instancemethod",
		"member_descriptor",
		"method_descriptor",
		"module",
		"property",
		"staticmethod",
		"weakref",
		"wrapper_descriptor",
	};
	const struct mw_py_type *type = mw_python__type(g->py, index);

	if (mw_python__sort(g->py, index) == MW_PY_SORT_TYPE)
		return true;
	for (size_t i = 0; type && i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(type->name, names[i]))
			return true;
	}
	/* importlib's specifications and loaders: one of each for a module. */
	return type && !strncmp(type->module, "_frozen_importlib", strlen("_frozen_importlib"));
}

/* What a program's objects consist of: namespaces, tuples of constants, closures. */
static bool is_part(struct mw_graph *g, int32_t index)
{
	const struct mw_py_type *type = mw_python__type(g->py, index);

	return mw_python__sort(g->py, index) == MW_PY_SORT_DICT ||
	       (type && (!strcmp(type->name, "tuple") || !strcmp(type->name, "cell")));
}

static int see_node(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct mw_holders *h = arg;
	uint8_t flags = 0;

	if (node->object && h->program[node->type])
		flags |= IS_PROGRAM;
	if (node->object && (node->tracked || node->bytes >= LARGE))
		flags |= IS_OWN;
	if (node->object && h->parts[node->type])
		flags |= IS_PART;
	h->flags[number] |= flags;
	return 0;
}

static void mark_parts(struct mw_holders *h)
{
	const struct mw_graph *g = h->graph;

	for (uint32_t v = 0; v < g->count; v++) {
		if (h->flags[v] & IS_PART && g->parent[v] < g->count &&
		    h->flags[g->parent[v]] & IS_PROGRAM && !(h->flags[g->parent[v]] & IS_PART))
			h->flags[v] |= IS_PROGRAM;
	}
}

/* A dictionary that belongs to a module, a class, a function or an instance. */
static bool is_namespace(struct mw_holders *h, uint32_t number, const struct mw_py_container *c)
{
	struct mw_graph *g = h->graph;
	uint32_t parent = g->parent[number];

	if (mw_python__sort(g->py, c->type) != MW_PY_SORT_DICT)
		return false;
	if (parent >= g->count)
		return false;
	if (h->flags[number] & IS_PROGRAM || mw_python__is_modules(g->py, c->addr))
		return true;
	/* Containers have no dictionaries, and may have too many elements to look at each. */
	return !(h->flags[parent] & IS_CONTAINER) &&
	       mw_graph_explain(g, parent, number).via == MW_PY_VIA_DICT;
}

static int mark_container(void *arg, const struct mw_py_container *c)
{
	struct mw_holders *h = arg;
	int64_t number = mw_python__number(h->graph->py, c->addr);

	if (number >= 0 && h->graph->parent[number] != MW_GRAPH_NONE)
		h->flags[number] |= IS_CONTAINER;
	return 0;
}

/* After all are marked. */
static int unmark_namespace(void *arg, const struct mw_py_container *c)
{
	struct mw_holders *h = arg;
	int64_t number = mw_python__number(h->graph->py, c->addr);

	if (number >= 0 && h->flags[number] & IS_CONTAINER && is_namespace(h, (uint32_t)number, c))
		h->flags[number] &= (uint8_t)~IS_CONTAINER;
	return 0;
}

static int find_flags(struct mw_holders *h)
{
	struct mw_python *py = h->graph->py;
	size_t types = mw_python__type_count(py);
	int ret;

	h->flags = calloc((size_t)h->graph->count + 1, sizeof(*h->flags));
	h->program = calloc(types + 1, sizeof(*h->program));
	h->parts = calloc(types + 1, sizeof(*h->parts));
	if (!h->flags || !h->program || !h->parts)
		return -ENOMEM;
	for (size_t i = 0; i < types; i++) {
		h->program[i] = is_programs(h->graph, (int32_t)i);
		h->parts[i] = is_part(h->graph, (int32_t)i);
	}
	ret = mw_python__each_node(py, false, see_node, h);
	if (!ret)
		mark_parts(h);
	if (!ret)
		ret = mw_python__each_container(py, mark_container, h);
	if (!ret)
		ret = mw_python__each_container(py, unmark_namespace, h);
	return ret;
}

/*
 * ---- the ways as a tree -------------------------------------------------------------------------
 */

/* From the ends of all ways back to the roots; a block comes once all behind it have come. */
static int find_order(struct mw_holders *h)
{
	const struct mw_graph *g = h->graph;
	uint32_t *left = calloc((size_t)g->count + 1, sizeof(*left)); /* children to come */

	h->order = calloc((size_t)g->count + 1, sizeof(*h->order));
	h->weight = calloc((size_t)g->count + 1, sizeof(*h->weight));
	if (!left || !h->order || !h->weight) {
		free(left);
		return -ENOMEM;
	}
	for (uint32_t v = 0; v < g->count; v++) {
		if (g->parent[v] < g->count)
			left[g->parent[v]]++;
	}
	for (uint32_t v = 0; v < g->count; v++) {
		if (g->parent[v] != MW_GRAPH_NONE && !left[v])
			h->order[h->order_count++] = v;
	}
	for (uint32_t i = 0; i < h->order_count; i++) {
		uint32_t v = h->order[i], up = g->parent[v];

		h->weight[v]++;
		if (up >= g->count)
			continue;
		h->weight[up] += h->weight[v];
		if (!--left[up])
			h->order[h->order_count++] = up;
	}
	free(left);
	return 0;
}

static uint32_t special(const struct mw_holders *h, enum mw_holder_kind kind)
{
	return h->graph->count + (uint32_t)kind;
}

/* The holder that ROOT stands for. */
static enum mw_holder_kind kind_of_root(const struct mw_graph_root *root)
{
	switch (root->kind) {
	case MW_ROOT_MISSING:
		return MW_HOLDER_NOBODY;
	case MW_ROOT_STATIC:
		return MW_HOLDER_STATIC;
	case MW_ROOT_STACK:
	case MW_ROOT_REGISTER:
		return MW_HOLDER_STACK;
	case MW_ROOT_THREAD:
	case MW_ROOT_STATE:
	case MW_ROOT_RUNTIME:
		return MW_HOLDER_INTERPRETER;
	default:
		return MW_HOLDER_PROGRAM;
	}
}

/* The holder of V, when that of what leads there is ABOVE. */
static uint32_t choose(const struct mw_holders *h, uint32_t v, uint32_t above, bool at_root)
{
	uint32_t count = h->graph->count, interpreter = special(h, MW_HOLDER_INTERPRETER);

	if (h->flags[v] & IS_CONTAINER) {
		/* The interpreter's own tables: interned strings, modules, caches. */
		if (at_root && above == interpreter)
			return above;
		if (above >= count || !(h->flags[above] & IS_CONTAINER) ||
		    (h->nearest &&
		     (uint64_t)h->weight[v] * 10 >= (uint64_t)h->weight[above] * NEARLY))
			return v;
	}
	if (above < count || above == interpreter || h->flags[v] & IS_PROGRAM)
		return above;
	return h->flags[v] & IS_OWN ? v : above;
}

static void find_holders(struct mw_holders *h)
{
	const struct mw_graph *g = h->graph;

	for (uint32_t v = 0; v < g->count; v++) {
		h->holder[v] = special(h, MW_HOLDER_NOBODY);
		h->item[v] = v;
	}
	for (uint32_t i = h->order_count; i-- > 0;) {
		uint32_t v = h->order[i], up = g->parent[v];
		const struct mw_graph_root *root = mw_graph_root_of(g, v);
		bool at_root = up >= g->count;
		uint32_t above = root	   ? special(h, kind_of_root(root))
				 : at_root ? special(h, MW_HOLDER_NOBODY)
					   : h->holder[up];

		h->holder[v] = choose(h, v, above, at_root);
		/* An item of the holder is what it refers to; what lies below belongs to that. */
		if (h->holder[v] < g->count && !at_root && h->holder[up] == h->holder[v] &&
		    up != h->holder[v])
			h->item[v] = h->item[up];
	}
}

struct mw_holders *mw_holders__find(struct mw_graph *graph, bool nearest, struct mw_err *err)
{
	struct mw_holders *h = calloc(1, sizeof(*h));
	int ret = -ENOMEM;

	if (h) {
		h->graph = graph;
		h->nearest = nearest;
		h->holder = malloc(((size_t)graph->count + 1) * sizeof(*h->holder));
		h->item = malloc(((size_t)graph->count + 1) * sizeof(*h->item));
		ret = h->holder && h->item ? find_flags(h) : -ENOMEM;
	}
	if (!ret)
		ret = find_order(h);
	if (ret) {
		mw_holders__free(h);
		mw_err_no_memory(err, mw_image__name(graph->image));
		return NULL;
	}
	find_holders(h);
	free(h->order);
	free(h->weight);
	free(h->program);
	free(h->parts);
	h->order = h->weight = NULL;
	h->program = h->parts = NULL;
	return h;
}

void mw_holders__free(struct mw_holders *h)
{
	if (!h)
		return;
	free(h->holder);
	free(h->item);
	free(h->order);
	free(h->weight);
	free(h->flags);
	free(h->program);
	free(h->parts);
	free(h);
}

uint32_t mw_holders__special(const struct mw_holders *holders)
{
	return holders->graph->count;
}

uint32_t mw_holders__of(const struct mw_holders *holders, uint32_t number)
{
	return holders->holder[number];
}

uint32_t mw_holders__item(const struct mw_holders *holders, uint32_t number)
{
	return holders->item[number];
}

bool mw_holders__is_container(const struct mw_holders *holders, uint32_t number)
{
	return holders->flags[number] & IS_CONTAINER;
}

static void attribute(const struct mw_holders *h, struct mw_pin *pin)
{
	int64_t number = mw_python__number(h->graph->py, pin->addr);

	pin->holder = special(h, MW_HOLDER_NOBODY);
	if (pin->state == MW_PIN_PARKED)
		pin->holder = special(h, MW_HOLDER_PARKED);
	else if (pin->state == MW_PIN_ALLOCATOR)
		pin->holder = special(h, MW_HOLDER_ALLOCATOR);
	else if (number >= 0)
		pin->holder = h->holder[number];
	if (number < 0)
		return;
	if (pin->holder < h->graph->count)
		pin->item = h->item[number];
	pin->type = mw_python__type_number(
		h->graph->py, pin->holder < h->graph->count ? pin->item : (uint32_t)number);
}

void mw_holders__attribute(const struct mw_holders *holders, struct mw_places *places)
{
	for (size_t i = 0; i < places->pin_count; i++)
		attribute(holders, &places->pins[i]);
}

void mw_holders__text(const struct mw_holders *h, uint32_t holder, char *text, size_t size)
{
	struct mw_py_node node;

	text[0] = '\0';
	if (holder >= h->graph->count)
		snprintf(text, size, "%s", mw_holder_kind_text(holder - h->graph->count));
	else if (mw_python__node(h->graph->py, holder, &node))
		mw_graph__path(h->graph, node.object ? node.object : node.start, text, size);
}

const char *mw_holder_kind_text(enum mw_holder_kind kind)
{
	static const char *const texts[] = {
		[MW_HOLDER_NOBODY] = "whose holder is not known",
		[MW_HOLDER_PROGRAM] = "the program's modules, classes and functions",
		[MW_HOLDER_INTERPRETER] = "the interpreter",
		[MW_HOLDER_STATIC] = "static variables of C",
		[MW_HOLDER_STACK] = "stacks of threads",
		[MW_HOLDER_PARKED] = "dead, kept for reuse",
		[MW_HOLDER_ALLOCATOR] = "of the allocator's own",
	};

	return kind < MW_HOLDER_KINDS ? texts[kind] : "";
}

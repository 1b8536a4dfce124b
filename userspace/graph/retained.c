// SPDX-License-Identifier: GPL-2.0-or-later
/* What would go with a block: the bytes of all that it dominates. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "util/array.h"

enum {
	HEAVY = 9,  /* tenths of what an object retains that make one of them all of it */
	CHAIN = 32, /* so many objects in a row, each retaining nearly all of the one before */
	CHAIN_MAX = 255,
};

void mw_graph_retained__free(struct mw_graph *graph)
{
	mw_dominators__free(&graph->dominators);
	free(graph->retained_bytes);
	free(graph->retained_objects);
	graph->retained_bytes = NULL;
	graph->retained_objects = NULL;
}

/* The blocks that roots refer to. A doubtful root counts where no other way leads. */
static uint32_t *list_roots(const struct mw_graph *g, size_t *count)
{
	uint32_t *roots = malloc((g->root_count + 1) * sizeof(*roots));

	*count = 0;
	for (size_t i = 0; roots && i < g->root_count; i++) {
		uint32_t number = g->roots[i].number;

		if (mw_graph_level(&g->roots[i]) < MW_GRAPH_DOUBTFUL ||
		    g->parent[number] >= g->count)
			roots[(*count)++] = number;
	}
	return roots;
}

static int add_size(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct mw_graph *g = arg;

	g->retained_bytes[number] = node->bytes;
	g->retained_objects[number] = node->object || g->plain;
	return 0;
}

/* Whatever a vertex retains, its dominator retains, too. */
static void add_up(struct mw_graph *g)
{
	const struct mw_dominators *d = &g->dominators;

	for (uint32_t i = d->count - 1; i >= 1; i--) {
		uint32_t v = d->vertices[i], above = d->vertices[d->dominator[i]];

		if (!d->dominator[i])
			continue;
		g->retained_bytes[above] += g->retained_bytes[v];
		g->retained_objects[above] += g->retained_objects[v];
	}
}

/* References that are left out for a while: each leads to the block itself instead. */
struct doubts {
	struct doubt {
		uint32_t at, target;
	} * list;
	size_t count, capacity;
};

/* Words of C's blocks may be left over from before: they count where they alone lead. */
static int leave_out_doubts(struct mw_graph *g, struct doubts *doubts)
{
	for (uint32_t v = 0; v < g->count; v++) {
		if (g->first[v] == g->first[v + 1] || !mw_python__is_data(g->py, v))
			continue;
		for (uint32_t k = g->first[v]; k < g->first[v + 1]; k++) {
			uint32_t target = g->targets[k];

			if (g->parent[target] == v || mw_python__is_data(g->py, target))
				continue;
			if (mw_array_reserve(&doubts->list, &doubts->capacity, doubts->count + 1,
					     sizeof(*doubts->list)))
				return -ENOMEM;
			doubts->list[doubts->count++] = (struct doubt){k, target};
			g->targets[k] = v;
		}
	}
	return 0;
}

static void put_back(struct mw_graph *g, struct doubts *doubts)
{
	for (size_t i = 0; i < doubts->count; i++)
		g->targets[doubts->list[i].at] = doubts->list[i].target;
	free(doubts->list);
}

int mw_graph__dominate(struct mw_graph *g, struct mw_err *err)
{
	struct doubts doubts = {0};
	uint32_t *roots;
	size_t count;
	int ret = -ENOMEM;

	if (g->retained_bytes)
		return 0;
	roots = list_roots(g, &count);
	if (roots)
		ret = leave_out_doubts(g, &doubts);
	if (!ret)
		ret = mw_dominators__find(&g->dominators, g->count, g->first, g->targets, roots,
					  count);
	put_back(g, &doubts);
	free(roots);
	if (!ret) {
		g->retained_bytes = calloc((size_t)g->count + 1, sizeof(*g->retained_bytes));
		g->retained_objects = calloc((size_t)g->count + 1, sizeof(*g->retained_objects));
		ret = g->retained_bytes && g->retained_objects ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = mw_python__each_node(g->py, false, add_size, g);
	if (!ret) {
		add_up(g);
		return 0;
	}
	mw_graph_retained__free(g);
	return mw_err_no_memory(err, mw_image__name(g->image));
}

int mw_graph__retained(struct mw_graph *g, uint64_t addr, struct mw_retained *retained)
{
	int64_t number = mw_python__number(g->py, addr);

	if (number < 0)
		return -ENOENT;
	*retained = (struct mw_retained){g->retained_bytes[number], g->retained_objects[number]};
	return 0;
}

void mw_graph__total(const struct mw_graph *g, struct mw_retained *total)
{
	const struct mw_dominators *d = &g->dominators;

	*total = (struct mw_retained){0};
	for (uint32_t i = 1; i < d->count; i++) {
		if (d->dominator[i])
			continue;
		total->bytes += g->retained_bytes[d->vertices[i]];
		total->objects += g->retained_objects[d->vertices[i]];
	}
}

/*
 * ---- where it accumulates -------------------------------------------------------------------
 */

struct candidates {
	struct mw_graph *graph;
	uint64_t min;
	struct mw_graph_top *top;
	size_t count; /* at most twice MW_GRAPH_TOP_MAX */
};

static int by_bytes(const void *a, const void *b)
{
	const struct mw_graph_top *x = a, *y = b;

	if (x->retained.bytes != y->retained.bytes)
		return x->retained.bytes < y->retained.bytes ? 1 : -1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sort, drop what is there twice, and keep the largest. */
static void prune(struct candidates *c)
{
	size_t n = 0;

	if (c->count)
		qsort(c->top, c->count, sizeof(*c->top), by_bytes);
	for (size_t i = 0; i < c->count && n < MW_GRAPH_TOP_MAX; i++) {
		if (!n || c->top[n - 1].addr != c->top[i].addr)
			c->top[n++] = c->top[i];
	}
	c->count = n;
	if (n == MW_GRAPH_TOP_MAX)
		c->min = c->top[n - 1].retained.bytes;
}

/* What a program is made of, rather than what it keeps. */
static bool is_program(struct mw_graph *g, int32_t index)
{
	const struct mw_py_type *type = mw_python__type(g->py, index);

	return mw_python__sort(g->py, index) == MW_PY_SORT_TYPE ||
	       (type && (!strcmp(type->name, "module") || !strcmp(type->name, "function") ||
			 !strcmp(type->name, "code")));
}

/* The interpreter's own tables: interned strings, dictionaries of static types. */
static bool is_interpreters(const struct mw_graph *g, uint32_t number)
{
	const struct mw_graph_root *root = mw_graph_root_of(g, number);

	return root && (root->kind == MW_ROOT_STATE || root->kind == MW_ROOT_RUNTIME);
}

/*
 * An object's own dictionary stands for it, and a module's or a class's is left out. False: NODE is
 * not to be listed; else NUMBER and NODE are what is.
 */
static bool pick(struct mw_graph *g, uint32_t *number, struct mw_py_node *node)
{
	uint32_t parent = g->parent[*number];
	struct mw_py_node owner;

	if (!node->object)
		return g->plain;
	if (is_program(g, node->type) || mw_python__is_modules(g->py, node->object) ||
	    is_interpreters(g, *number))
		return false;
	if (mw_python__sort(g->py, node->type) != MW_PY_SORT_DICT || parent >= g->count ||
	    !mw_python__node(g->py, parent, &owner) || !owner.object ||
	    mw_python__own_dict(g->py, &owner) != node->object)
		return true;
	*number = parent;
	*node = owner;
	return !is_program(g, node->type);
}

static void add_candidate(struct candidates *c, uint32_t number, const struct mw_py_node *node)
{
	const struct mw_graph *g = c->graph;

	c->top[c->count++] = (struct mw_graph_top){
		.addr = node->object ? node->object : node->start,
		.type = node->type,
		.retained = {g->retained_bytes[number], g->retained_objects[number]},
	};
	if (c->count == 2 * MW_GRAPH_TOP_MAX)
		prune(c);
}

static void consider(struct candidates *c, uint32_t number)
{
	struct mw_graph *g = c->graph;
	struct mw_py_node node;

	if (g->retained_bytes[number] >= c->min && mw_python__node(g->py, number, &node) &&
	    pick(g, &number, &node))
		add_candidate(c, number, &node);
}

/* The same, whatever it is. */
static void take(struct candidates *c, uint32_t number)
{
	struct mw_graph *g = c->graph;
	struct mw_py_node node;

	if (g->retained_bytes[number] >= c->min && mw_python__node(g->py, number, &node) &&
	    (node.object || g->plain))
		add_candidate(c, number, &node);
}

/* Does the block refer to one thing that makes up nearly all of what it retains? */
static bool is_heavy(const struct mw_graph *g, uint32_t part, uint32_t whole)
{
	return g->retained_bytes[part] >= g->retained_bytes[whole] / 10 * HEAVY;
}

/* How many such steps in a row lead down from each vertex. */
static uint8_t *measure_chains(const struct mw_graph *g)
{
	const struct mw_dominators *d = &g->dominators;
	uint8_t *chain = calloc((size_t)d->count + 1, 1);

	for (uint32_t i = d->count - 1; chain && i >= 1; i--) {
		uint32_t up = d->dominator[i];

		/* Buffers and C's blocks are part of who owns them. */
		if (!up || !g->retained_objects[d->vertices[i]] ||
		    !is_heavy(g, d->vertices[i], d->vertices[up]))
			continue;
		chain[up] = chain[i] < CHAIN_MAX ? chain[i] + 1 : CHAIN_MAX;
	}
	return chain;
}

static bool is_program_number(struct mw_graph *g, uint32_t number)
{
	struct mw_py_node node;

	return mw_python__node(g->py, number, &node) && !pick(g, &number, &node);
}

int mw_graph__top(struct mw_graph *g, uint64_t min, struct mw_graph_top **top, size_t *count)
{
	const struct mw_dominators *d = &g->dominators;
	struct candidates c = {.graph = g, .min = min ? min : 1};
	uint8_t *chain = measure_chains(g);

	*top = NULL;
	c.top = chain ? malloc(2 * MW_GRAPH_TOP_MAX * sizeof(*c.top)) : NULL;
	if (!c.top) {
		free(chain);
		return -ENOMEM;
	}
	for (uint32_t i = 1; i < d->count; i++) {
		uint32_t up = d->dominator[i];

		if (g->retained_bytes[d->vertices[i]] < c.min)
			continue;
		if (!chain[i] || (chain[i] >= CHAIN && (!up || chain[up] <= chain[i] - 1 ||
							is_program_number(g, d->vertices[up]))))
			consider(&c, d->vertices[i]);
	}
	free(chain);
	prune(&c);
	*top = c.top;
	*count = c.count;
	return 0;
}

/* The index of the block at ADDR among the dominators, 0: nothing leads there. */
static uint32_t index_of(struct mw_graph *g, uint64_t addr)
{
	int64_t number = mw_python__number(g->py, addr);

	for (uint32_t i = 1; number >= 0 && i < g->dominators.count; i++) {
		if (g->dominators.vertices[i] == (uint32_t)number)
			return i;
	}
	return 0;
}

int mw_graph__parts(struct mw_graph *g, uint64_t addr, uint64_t min, struct mw_graph_top **top,
		    size_t *count)
{
	const struct mw_dominators *d = &g->dominators;
	struct candidates c = {.graph = g, .min = min ? min : 1};
	uint32_t whole = index_of(g, addr);

	c.top = malloc(2 * MW_GRAPH_TOP_MAX * sizeof(*c.top));
	if (!c.top)
		return -ENOMEM;
	for (uint32_t i = 1; whole && i < d->count; i++) {
		if (d->dominator[i] == whole)
			take(&c, d->vertices[i]);
	}
	prune(&c);
	*top = c.top;
	*count = c.count;
	return 0;
}

/*
 * ---- by type ----------------------------------------------------------------------------------
 */

/* The dominator tree from above. */
struct tree {
	uint32_t *first; /* where the children of each begin in CHILDREN */
	uint32_t *children;
};

static int list_children(const struct mw_dominators *d, struct tree *tree)
{
	tree->first = calloc((size_t)d->count + 2, sizeof(*tree->first));
	tree->children = malloc(((size_t)d->count + 1) * sizeof(*tree->children));
	if (!tree->first || !tree->children)
		return -ENOMEM;
	for (uint32_t i = 1; i < d->count; i++)
		tree->first[d->dominator[i] + 2]++;
	for (uint32_t i = 2; i < d->count + 2; i++)
		tree->first[i] += tree->first[i - 1];
	for (uint32_t i = 1; i < d->count; i++)
		tree->children[tree->first[d->dominator[i] + 1]++] = i;
	return 0;
}

static int by_type_bytes(const void *a, const void *b)
{
	const struct mw_graph_type *x = a, *y = b;

	if (x->retained.bytes != y->retained.bytes)
		return x->retained.bytes < y->retained.bytes ? 1 : -1;
	return x->type < y->type ? -1 : x->type > y->type;
}

struct by_type {
	struct mw_graph *graph;
	struct mw_graph_type *types;
	uint32_t *depth; /* how many objects of each are above where the walk is */
	bool *program;	 /* for each: modules, classes, functions */
};

/* A module's or a class's dictionary, or sys.modules, holds everything. */
static bool is_namespace(const struct by_type *b, uint32_t i, int32_t type)
{
	struct mw_graph *g = b->graph;
	uint32_t number = g->dominators.vertices[i], up = g->dominators.dominator[i];
	struct mw_py_node node;
	int32_t above;

	if (g->plain || mw_python__sort(g->py, type) != MW_PY_SORT_DICT)
		return false;
	above = up ? mw_python__type_number(g->py, g->dominators.vertices[up]) : -1;
	if (above >= 0)
		return b->program[above];
	return is_interpreters(g, number) ||
	       (mw_python__node(g->py, number, &node) && mw_python__is_modules(g->py, node.object));
}

/* Into (STEP is 1) and out of (-1) the vertex I. */
static void pass(struct by_type *b, uint32_t i, int step)
{
	struct mw_graph *g = b->graph;
	uint32_t number = g->dominators.vertices[i];
	int32_t type = g->plain ? g->classes.of[number] : mw_python__type_number(g->py, number);

	if (type < 0 || b->program[type] || is_namespace(b, i, type))
		return;
	if (step > 0) {
		b->types[type].count++;
		if (!b->depth[type]++) {
			b->types[type].retained.bytes += g->retained_bytes[number];
			b->types[type].retained.objects += g->retained_objects[number];
		}
	} else {
		b->depth[type]--;
	}
}

/* Depth first, without a stack: the way back is the dominator. */
static void walk(struct by_type *b, const struct tree *tree, uint32_t *next, uint32_t from)
{
	const struct mw_dominators *d = &b->graph->dominators;
	uint32_t at = from;

	if (from)
		pass(b, from, 1);

	for (uint32_t i = 0; i < d->count; i++)
		next[i] = tree->first[i];
	for (;;) {
		if (next[at] < tree->first[at + 1]) {
			at = tree->children[next[at]++];
			pass(b, at, 1);
			continue;
		}
		if (at == from)
			return;
		pass(b, at, -1);
		at = d->dominator[at];
	}
}

int mw_graph__types(struct mw_graph *g, uint64_t addr, struct mw_graph_type **types, size_t *count)
{
	uint32_t from = addr ? index_of(g, addr) : 0;
	struct by_type b = {.graph = g};
	struct tree tree = {0};
	uint32_t *next = calloc((size_t)g->dominators.count + 1, sizeof(*next));
	int ret = g->plain ? mw_graph_find_classes(g) : 0;
	size_t n = g->plain ? g->classes.count : mw_python__type_count(g->py), out = 0;

	b.types = calloc(n + 1, sizeof(*b.types));
	b.depth = calloc(n + 1, sizeof(*b.depth));
	b.program = calloc(n + 1, sizeof(*b.program));
	for (size_t i = 0; b.program && i < n && !g->plain; i++)
		b.program[i] = is_program(g, (int32_t)i);
	if (!ret)
		ret = b.types && b.depth && b.program && next ? list_children(&g->dominators, &tree)
							      : -ENOMEM;
	if (!ret && (from || !addr))
		walk(&b, &tree, next, from);
	for (size_t i = 0; !ret && i < n; i++) {
		if (!b.types[i].count)
			continue;
		b.types[i].type = (int32_t)i;
		b.types[out++] = b.types[i];
	}
	if (out)
		qsort(b.types, out, sizeof(*b.types), by_type_bytes);
	free(next);
	free(b.depth);
	free(b.program);
	free(tree.first);
	free(tree.children);
	if (ret) {
		free(b.types);
		b.types = NULL;
	}
	*types = b.types;
	*count = out;
	return ret;
}

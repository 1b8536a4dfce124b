// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "python/saved.h"
#include "symbol/symbolizer.h"
#include "util/array.h"
#include "util/parallel.h"
#include "util/search.h"

/*
 * ---- rows ---------------------------------------------------------------------------------------
 */

/* The rows of one part's blocks, from the first to behind the last of them that is live. */
struct rows {
	struct mw_graph *graph;
	struct mw_python *py;	       /* its reader */
	const struct mw_py_node *node; /* whose row is being made */
	uint32_t begin, end;
	uint64_t blocks;
	uint32_t *targets;
	uint64_t *visited;
	size_t count, capacity;
	uint32_t base; /* where they begin in the graph's */
};

/* Room for one more. */
static int reserve_target(struct rows *rows)
{
	uint64_t *visited;

	if (rows->count < rows->capacity)
		return 0;
	if (rows->count >= UINT32_MAX / 2)
		return -E2BIG;
	if (mw_array_reserve(&rows->targets, &rows->capacity, rows->count + 1,
			     sizeof(*rows->targets)))
		return -ENOMEM;
	visited = realloc(rows->visited, (rows->capacity / 64 + 1) * sizeof(*visited));
	if (!visited)
		return -ENOMEM;
	rows->visited = visited;
	return 0;
}

static int add_reference(void *arg, const struct mw_py_referent *r)
{
	struct rows *rows = arg;
	int64_t number = mw_python__number(rows->py, r->addr);
	size_t k = rows->count;
	int ret;

	if (number < 0)
		return 0;
	ret = reserve_target(rows);
	if (ret)
		return ret;
	rows->targets[rows->count++] = (uint32_t)number;
	if (k % 64 == 0)
		rows->visited[k / 64] = 0;
	rows->visited[k / 64] |= (uint64_t)mw_python__is_visited(rows->py, rows->node, r) << k % 64;
	return 0;
}

static int add_row(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct rows *rows = arg;

	if (!rows->blocks++)
		rows->begin = rows->end = number;
	while (rows->end <= number)
		rows->graph->first[rows->end++] = (uint32_t)rows->count;
	rows->node = node;
	return mw_python__node_referents(rows->py, node, add_reference, rows);
}

static int collect_rows(void *arg, size_t part, struct mw_python *reader)
{
	struct rows *rows = (struct rows *)arg + part;

	rows->py = reader;
	return mw_python__each_node(reader, true, add_row, rows);
}

/* Put the first COUNT of BITS behind BASE others. Words where parts meet are written by both. */
static void place_bits(uint64_t *to, size_t base, const uint64_t *bits, size_t count)
{
	size_t shift = base % 64;

	to += base / 64;
	for (size_t i = 0; i * 64 < count; i++, to++) {
		__atomic_fetch_or(to, bits[i] << shift, __ATOMIC_RELAXED);
		if (shift && bits[i] >> (64 - shift))
			__atomic_fetch_or(to + 1, bits[i] >> (64 - shift), __ATOMIC_RELAXED);
	}
}

static void free_rows(struct rows *rows)
{
	free(rows->targets);
	free(rows->visited);
	rows->targets = NULL;
	rows->visited = NULL;
}

/* Put a part's references into their place. */
static int place_rows(void *arg, size_t part)
{
	struct rows *rows = (struct rows *)arg + part;
	struct mw_graph *g = rows->graph;

	for (uint32_t i = rows->begin; i < rows->end; i++)
		g->first[i] += rows->base;
	if (rows->count)
		memcpy(g->targets + rows->base, rows->targets,
		       rows->count * sizeof(*rows->targets));
	place_bits(g->visited, rows->base, rows->visited, rows->count);
	free_rows(rows);
	return 0;
}

static int join_rows(struct mw_graph *g, struct rows *rows, size_t parts)
{
	uint32_t next = 0;
	size_t count = 0;

	for (size_t i = 0; i < parts; i++) {
		rows[i].base = (uint32_t)count;
		count += rows[i].count;
		if (count >= UINT32_MAX / 2)
			return -E2BIG;
		g->blocks += rows[i].blocks;
		while (next < rows[i].begin)
			g->first[next++] = rows[i].base;
		next = rows[i].blocks ? rows[i].end : next;
	}
	while (next <= g->count)
		g->first[next++] = (uint32_t)count;
	g->targets = malloc((count + 1) * sizeof(*g->targets));
	g->visited = calloc(count / 64 + 1, sizeof(*g->visited));
	g->target_count = count;
	return g->targets && g->visited ? mw_in_parallel(mw_processors(), parts, place_rows, rows)
					: -ENOMEM;
}

static int build_rows(struct mw_graph *g)
{
	size_t parts = mw_python__part_count(g->py);
	struct rows *rows = calloc(parts + 1, sizeof(*rows));
	int ret = rows ? 0 : -ENOMEM;

	g->first = malloc(((size_t)g->count + 1) * sizeof(*g->first));
	if (!g->first)
		ret = -ENOMEM;
	for (size_t i = 0; i < parts && !ret; i++)
		rows[i].graph = g;
	if (!ret)
		ret = mw_python__in_parts(g->py, collect_rows, rows);
	if (!ret)
		ret = join_rows(g, rows, parts);
	for (size_t i = 0; rows && i < parts; i++)
		free_rows(&rows[i]);
	free(rows);
	return ret;
}

/*
 * ---- shortest ways --------------------------------------------------------------------------
 */

static void reach(struct mw_graph *g, uint32_t *queue, size_t *end, uint32_t number, uint32_t from)
{
	if (g->parent[number] != MW_GRAPH_NONE)
		return;
	g->parent[number] = from;
	queue[(*end)++] = number;
}

static void follow(struct mw_graph *g, uint32_t *queue, size_t *end, uint32_t number)
{
	for (uint32_t k = g->first[number]; k < g->first[number + 1]; k++)
		reach(g, queue, end, g->targets[k], number);
}

/*
 * Breadth first from all roots; those of a level join in when the search has come that far. What
 * words of C's blocks lead to may be chance, so it waits until everything certain is reached.
 */
static int search(struct mw_graph *g)
{
	uint32_t *queue = malloc(((size_t)g->count + 1) * sizeof(*queue));
	size_t at = 0, end = 0, certain;

	g->parent = malloc(((size_t)g->count + 1) * sizeof(*g->parent));
	if (!g->parent || !queue) {
		free(queue);
		return -ENOMEM;
	}
	for (size_t i = 0; i < g->count; i++)
		g->parent[i] = MW_GRAPH_NONE;
	for (unsigned int level = 0; level < MW_GRAPH_LEVELS; level++) {
		bool doubtful = level >= MW_GRAPH_DOUBTFUL;

		if (level == MW_GRAPH_DOUBTFUL) {
			certain = end;
			for (size_t i = 0; i < certain; i++) {
				if (mw_python__is_data(g->py, queue[i]))
					follow(g, queue, &end, queue[i]);
			}
		}
		for (size_t stop = end; at < (level + 1 < MW_GRAPH_DOUBTFUL ? stop : end); at++) {
			if (doubtful || !mw_python__is_data(g->py, queue[at]))
				follow(g, queue, &end, queue[at]);
		}
		for (size_t i = 0; i < g->root_count; i++) {
			if (mw_graph_level(&g->roots[i]) == level)
				reach(g, queue, &end, g->roots[i].number, g->count + (uint32_t)i);
		}
	}
	for (; at < end; at++)
		follow(g, queue, &end, queue[at]);
	free(queue);
	return 0;
}

/*
 * ---- the whole ----------------------------------------------------------------------------------
 */

static int find(struct mw_graph *g)
{
	bool cut = mw_image__is_cut(g->image);
	int ret = build_rows(g);

	if (!ret)
		ret = mw_graph_roots(g);
	if (!ret && cut)
		ret = mw_graph_add_modules(g);
	if (!ret)
		ret = search(g);
	return ret || !cut ? ret : mw_graph_go_on(g);
}

struct mw_graph *mw_graph__build(struct mw_image *image, struct mw_python *py, struct mw_err *err)
{
	struct mw_graph *g = calloc(1, sizeof(*g));
	int ret = g ? 0 : -ENOMEM;

	if (!ret && !mw_python__info(py)->layout && !mw_python__info(py)->none) {
		free(g);
		mw_err_set(err, -ENOENT, "unknown-python", mw_image__name(image),
			   "CPython %s in %s has no layout that is known here: what its objects "
			   "refer to can't be read",
			   mw_python__info(py)->version, mw_python__info(py)->module);
		errno = ENOENT;
		return NULL;
	}
	if (!ret) {
		g->image = image;
		g->py = py;
		g->count = mw_python__numbers(py);
		g->plain = mw_python__info(py)->none;
		ret = mw_python__index(py) ? mw_graph_load(g, mw_python__index(py)) : find(g);
	}
	if (!ret)
		return g;
	mw_graph__free(g);
	if (ret == -EBADMSG)
		mw_err_set(err, ret, "bad-index", mw_image__name(image),
			   "its index is damaged: remove it, or make it again with --index");
	else if (ret == -E2BIG)
		mw_err_set(err, ret, "too-large", mw_image__name(image),
			   "there are more than 2^31 references");
	else
		ret = mw_err_no_memory(err, mw_image__name(image));
	errno = -ret;
	return NULL;
}

void mw_graph__free(struct mw_graph *graph)
{
	if (!graph)
		return;
	if (graph->indexed)
		mw_graph_forget_loaded(graph);
	free(graph->first);
	free(graph->targets);
	free(graph->visited);
	free(graph->roots);
	free(graph->parent);
	free(graph->explained);
	mw_symbolizer__close(graph->symbols);
	mw_graph_classes__free(&graph->classes);
	mw_graph_retained__free(graph);
	free(graph);
}

void mw_graph__info(const struct mw_graph *graph, struct mw_graph_info *info)
{
	*info = (struct mw_graph_info){graph->blocks, graph->target_count, graph->root_count};
}

/* ---- one way -------------------------------------------------------------------------------- */

/* A name says more than that it is the type, or memory. */
static bool is_name(const struct mw_py_referent *r)
{
	return r->via != MW_PY_VIA_BUFFER && r->via != MW_PY_VIA_TYPE && r->via != MW_PY_VIA_KEY;
}

bool mw_graph_edge__see(struct mw_graph_edge *edge, const struct mw_py_referent *r)
{
	if (!edge->found || (is_name(r) && !is_name(&edge->referent)))
		edge->referent = *r;
	edge->found = true;
	return is_name(r);
}

struct wanted {
	struct mw_graph *graph;
	struct mw_graph_edge edge;
	struct mw_py_node to;
};

static int compare(void *arg, const struct mw_py_referent *r)
{
	struct wanted *w = arg;

	/* Of a long list nearly all lead elsewhere. */
	return r->addr - w->to.start < w->to.size &&
	       mw_python__number(w->graph->py, r->addr) == w->edge.to &&
	       mw_graph_edge__see(&w->edge, r);
}

struct mw_py_referent mw_graph_explain(struct mw_graph *graph, uint32_t from, uint32_t to)
{
	const struct mw_graph_edge *known = mw_graph_explained(graph, from, to);
	struct wanted w = {.graph = graph,
			   .edge = {.from = from, .to = to, .referent = {.via = MW_PY_VIA_WORD}}};
	struct mw_py_node node;

	if (known)
		return known->referent;
	if (mw_python__node(graph->py, to, &w.to) && mw_python__node(graph->py, from, &node))
		mw_python__node_referents(graph->py, &node, compare, &w);
	return w.edge.referent;
}

uint64_t mw_graph_length(const struct mw_graph *g, uint32_t number)
{
	uint64_t n = 1;

	/* An index may lead in a circle. */
	while (g->parent[number] < g->count && n < g->count) {
		number = g->parent[number];
		n++;
	}
	return n;
}

int mw_graph__find(struct mw_graph *g, uint64_t addr, struct mw_graph_path *path)
{
	int64_t number = mw_python__number(g->py, addr);
	uint64_t length, at;
	uint32_t n;

	memset(path, 0, sizeof(*path));
	if (number < 0 || g->parent[number] == MW_GRAPH_NONE)
		return -ENOENT;
	n = (uint32_t)number;
	length = mw_graph_length(g, n);
	path->count = length < MW_GRAPH_STEPS_MAX ? length : MW_GRAPH_STEPS_MAX;
	path->skipped = length - path->count;
	path->skipped_at = MW_GRAPH_STEPS_MAX / 2;
	path->steps = calloc(path->count, sizeof(*path->steps));
	if (!path->steps)
		return -ENOMEM;
	for (at = length; at-- > 0; n = g->parent[n]) {
		bool early = at < path->skipped_at || !path->skipped;

		if (!early && at < path->skipped_at + path->skipped)
			continue;

		struct mw_graph_step *step = &path->steps[early ? at : at - path->skipped];

		step->number = n;
		mw_python__node(g->py, n, &step->node);
		if (g->parent[n] < g->count)
			step->referent = mw_graph_explain(g, g->parent[n], n);
		else if (mw_graph_root_of(g, n))
			path->root = *mw_graph_root_of(g, n);
	}
	return 0;
}

void mw_graph_path__free(struct mw_graph_path *path)
{
	free(path->steps);
	path->steps = NULL;
}

int mw_graph__path(struct mw_graph *graph, uint64_t addr, char *text, size_t size)
{
	struct mw_graph_path path;
	int ret = mw_graph__find(graph, addr, &path);

	text[0] = '\0';
	if (!ret)
		mw_graph_path__text(graph, &path, text, size);
	mw_graph_path__free(&path);
	return ret;
}

static bool begins_by(const void *at, const void *key)
{
	return *(const uint32_t *)at <= *(const size_t *)key;
}

/* Whose row element K of TARGETS is in. */
static uint32_t row_of(const struct mw_graph *g, size_t k)
{
	return (uint32_t)mw_search(g->first, (size_t)g->count + 1, sizeof(*g->first), begins_by,
				   &k) -
	       1;
}

int mw_graph__referrers(struct mw_graph *g, uint64_t addr, uint64_t max, mw_graph_referrer_fn call,
			void *arg)
{
	int64_t number = mw_python__number(g->py, addr);
	int ret = 0;

	if (number < 0)
		return -ENOENT;
	for (size_t k = 0; k < g->target_count && !ret; k++) {
		struct mw_py_referent referent;
		struct mw_py_node node;
		uint32_t from;

		if (g->targets[k] != (uint32_t)number)
			continue;
		from = row_of(g, k);
		if (max)
			referent = mw_graph_explain(g, from, (uint32_t)number);
		if (mw_python__node(g->py, from, &node))
			ret = call(arg, &node, max ? &referent : NULL, NULL);
		max -= max != 0;
		k = g->first[from + 1] - 1; /* once a block is enough */
	}
	for (size_t i = 0; i < g->root_count && !ret; i++) {
		if (g->roots[i].number == (uint32_t)number)
			ret = call(arg, NULL, NULL, &g->roots[i]);
	}
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The graph in an index, with what each block retains. What comes from there is checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "python/saved.h"

/* Arrays of the index, behind python/'s. */
enum {
	SAVED_COUNTS = 32,
	SAVED_FIRST,
	SAVED_TARGETS,
	SAVED_VISITED,
	SAVED_ROOTS,
	SAVED_PARENT,
	SAVED_BYTES,
	SAVED_OBJECTS,
	SAVED_VERTICES,
	SAVED_DOMINATOR,
};

enum { STRIDE = 1024 };

struct counts {
	uint64_t blocks;
	uint32_t count, dominators;
};

int mw_graph__save(struct mw_graph *g, struct mw_index_writer *writer, struct mw_err *err)
{
	struct counts counts = {.blocks = g->blocks, .count = g->count};
	size_t n = g->count;
	int ret = mw_graph__dominate(g, err);

	if (ret)
		return ret;
	counts.dominators = g->dominators.count;
	mw_python__save(g->py, writer);
	mw_index_writer__add(writer, SAVED_COUNTS, &counts, sizeof(counts), 1);
	mw_index_writer__add(writer, SAVED_FIRST, g->first, sizeof(*g->first), n + 1);
	mw_index_writer__add(writer, SAVED_TARGETS, g->targets, sizeof(*g->targets),
			     g->target_count);
	mw_index_writer__add(writer, SAVED_VISITED, g->visited, sizeof(*g->visited),
			     g->target_count / 64 + 1);
	mw_index_writer__add(writer, SAVED_ROOTS, g->roots, sizeof(*g->roots), g->root_count);
	mw_index_writer__add(writer, SAVED_PARENT, g->parent, sizeof(*g->parent), n);
	mw_index_writer__add(writer, SAVED_BYTES, g->retained_bytes, sizeof(*g->retained_bytes), n);
	mw_index_writer__add(writer, SAVED_OBJECTS, g->retained_objects,
			     sizeof(*g->retained_objects), n);
	mw_index_writer__add(writer, SAVED_VERTICES, g->dominators.vertices,
			     sizeof(*g->dominators.vertices), counts.dominators);
	mw_index_writer__add(writer, SAVED_DOMINATOR, g->dominators.dominator,
			     sizeof(*g->dominators.dominator), counts.dominators);
	return 0;
}

/*
 * ---- checks -----------------------------------------------------------------------------------
 *
 * In runs whose length the compiler knows, so that it makes vectors of them.
 */

/* Is an element, ADDed to, LIMIT or more? */
static inline bool run_exceeds(const uint32_t *a, size_t n, uint32_t add, uint32_t limit)
{
	uint32_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= a[i] + add >= limit;
	return bad;
}

static bool exceeds(const uint32_t *a, size_t n, uint32_t add, uint32_t limit)
{
	size_t i = 0;

	for (; i + STRIDE <= n; i += STRIDE) {
		if (run_exceeds(a + i, STRIDE, add, limit))
			return true;
	}
	return run_exceeds(a + i, n - i, add, limit);
}

static inline bool run_falls(const uint32_t *a, size_t n)
{
	uint32_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= a[i] > a[i + 1];
	return bad;
}

/* Is one of A[0] … A[N] less than the one before it? */
static bool falls(const uint32_t *a, size_t n)
{
	size_t i = 0;

	for (; i + STRIDE <= n; i += STRIDE) {
		if (run_falls(a + i, STRIDE))
			return true;
	}
	return run_falls(a + i, n - i);
}

static inline bool run_passes(const uint32_t *a, size_t n, uint32_t from)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < n; i++)
		bad |= a[i] >= from + i;
	return bad;
}

/* Is A[I] I or more? That of the first does not count. */
static bool passes(const uint32_t *a, size_t n)
{
	size_t i = 1;

	for (; i + STRIDE <= n; i += STRIDE) {
		if (run_passes(a + i, STRIDE, (uint32_t)i))
			return true;
	}
	return i < n && run_passes(a + i, n - i, (uint32_t)i);
}

static bool are_good_roots(const struct mw_graph *g)
{
	for (size_t i = 0; i < g->root_count; i++) {
		uint32_t kind;

		memcpy(&kind, &g->roots[i].kind, sizeof(kind));
		if (kind > MW_ROOT_MISSING || g->roots[i].number >= g->count)
			return false;
	}
	return true;
}

/*
 * ---- loading ----------------------------------------------------------------------------------
 */

/* Array ID of COUNT elements; NULL: there is none of that length. */
static void *take(struct mw_index *index, uint32_t id, size_t size, uint64_t count)
{
	uint64_t n;
	void *found = mw_index__array(index, id, size, &n);

	return found && n == count ? found : NULL;
}

static bool load_rows(struct mw_graph *g, struct mw_index *index)
{
	uint64_t targets, roots;

	g->first = take(index, SAVED_FIRST, sizeof(*g->first), (uint64_t)g->count + 1);
	g->targets = mw_index__array(index, SAVED_TARGETS, sizeof(*g->targets), &targets);
	g->visited = g->targets ? take(index, SAVED_VISITED, sizeof(*g->visited), targets / 64 + 1)
				: NULL;
	g->roots = mw_index__array(index, SAVED_ROOTS, sizeof(*g->roots), &roots);
	g->parent = take(index, SAVED_PARENT, sizeof(*g->parent), g->count);
	if (!g->first || !g->targets || !g->visited || !g->roots || !g->parent ||
	    roots >= MW_GRAPH_NONE - g->count)
		return false;
	g->target_count = targets;
	g->root_count = roots;
	/* One more than none is 0. */
	return !g->first[0] && g->first[g->count] == targets && !falls(g->first, g->count) &&
	       !exceeds(g->targets, targets, 0, g->count) && are_good_roots(g) &&
	       !exceeds(g->parent, g->count, 1, g->count + (uint32_t)roots + 1);
}

static bool load_retained(struct mw_graph *g, struct mw_index *index, uint32_t dominators)
{
	struct mw_dominators *d = &g->dominators;

	g->retained_bytes = take(index, SAVED_BYTES, sizeof(*g->retained_bytes), g->count);
	g->retained_objects = take(index, SAVED_OBJECTS, sizeof(*g->retained_objects), g->count);
	d->vertices = take(index, SAVED_VERTICES, sizeof(*d->vertices), dominators);
	d->dominator = take(index, SAVED_DOMINATOR, sizeof(*d->dominator), dominators);
	d->count = dominators;
	return g->retained_bytes && g->retained_objects && d->vertices && d->dominator &&
	       dominators && !exceeds(d->vertices + 1, dominators - 1, 0, g->count) &&
	       !passes(d->dominator, dominators);
}

int mw_graph_load(struct mw_graph *g, struct mw_index *index)
{
	const struct counts *counts = take(index, SAVED_COUNTS, sizeof(*counts), 1);

	g->indexed = true;
	if (!counts || counts->count != g->count || !load_rows(g, index) ||
	    !load_retained(g, index, counts->dominators))
		return -EBADMSG;
	g->blocks = counts->blocks;
	return 0;
}

void mw_graph_forget_loaded(struct mw_graph *g)
{
	g->first = g->targets = g->parent = NULL;
	g->visited = NULL;
	g->roots = NULL;
	g->retained_bytes = NULL;
	g->retained_objects = NULL;
	g->dominators = (struct mw_dominators){0};
}

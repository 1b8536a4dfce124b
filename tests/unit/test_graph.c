// SPDX-License-Identifier: GPL-2.0-or-later
/* Dominators against the definition: D dominates V when V can't be reached once D is taken out. */
#include <stdbool.h>

#include "graph/dominators.h"
#include "tests/unit/test.h"

enum { VERTICES = 40, EDGES_MAX = 160 };

struct graph {
	uint32_t count, first[VERTICES + 1], targets[EDGES_MAX], roots[4];
	size_t root_count;
};

/* What is reached from the roots without going through WITHOUT. */
static void reach(const struct graph *g, uint32_t without, bool *reached)
{
	uint32_t stack[EDGES_MAX + 8], n = 0;

	memset(reached, 0, VERTICES * sizeof(*reached));
	for (size_t i = 0; i < g->root_count; i++)
		stack[n++] = g->roots[i];
	while (n) {
		uint32_t v = stack[--n];

		if (v == without || reached[v])
			continue;
		reached[v] = true;
		for (uint32_t k = g->first[v]; k < g->first[v + 1]; k++) {
			if (!reached[g->targets[k]])
				stack[n++] = g->targets[k];
		}
	}
}

static void random_graph(struct graph *g, unsigned int *seed, uint32_t count, uint32_t degree)
{
	uint32_t n = 0;

	g->count = count;
	for (uint32_t v = 0; v < count; v++) {
		g->first[v] = n;
		for (uint32_t k = (uint32_t)rand_r(seed) % (degree + 1); k && n < EDGES_MAX; k--)
			g->targets[n++] = (uint32_t)rand_r(seed) % count;
	}
	g->first[count] = n;
	g->root_count = 1 + (size_t)rand_r(seed) % 3;
	for (size_t i = 0; i < g->root_count; i++)
		g->roots[i] = (uint32_t)rand_r(seed) % count;
}

static void check(const struct graph *g)
{
	bool all[VERTICES], left[VERTICES], dominates[VERTICES][VERTICES];
	uint32_t depth[VERTICES + 1] = {0}, reachable = 0;
	struct mw_dominators d;

	reach(g, UINT32_MAX, all);
	for (uint32_t v = 0; v < g->count; v++) {
		reachable += all[v];
		reach(g, v, left);
		for (uint32_t u = 0; u < g->count; u++)
			dominates[v][u] = all[v] && all[u] && !left[u];
	}
	CHECK_INT(mw_dominators__find(&d, g->count, g->first, g->targets, g->roots, g->root_count),
		  0);
	CHECK_INT(d.count, reachable + 1);
	for (uint32_t i = 1; i < d.count; i++) {
		uint32_t v = d.vertices[i], want = 0;

		CHECK(all[v]);
		CHECK(d.dominator[i] < i);
		depth[i] = depth[d.dominator[i]] + 1;
		/* All that dominate V are on the way up, and there are no others. */
		for (uint32_t u = 0; u < g->count; u++)
			want += dominates[u][v];
		CHECK_INT(depth[i], want);
		for (uint32_t up = i; up; up = d.dominator[up])
			CHECK(dominates[d.vertices[up]][v]);
	}
	mw_dominators__free(&d);
}

TEST(dominators_of_random_graphs)
{
	struct graph g;
	unsigned int seed = 42;

	for (int i = 0; i < 3000; i++) {
		random_graph(&g, &seed, 1 + (uint32_t)rand_r(&seed) % VERTICES,
			     1 + (uint32_t)rand_r(&seed) % 4);
		check(&g);
	}
}

TEST(dominators_of_a_million_in_a_row)
{
	enum { LONG = 1 << 20 };
	uint32_t *first = malloc((LONG + 1) * sizeof(*first)),
		 *targets = malloc(LONG * sizeof(*targets)), root = 0;
	struct mw_dominators d;

	for (uint32_t i = 0; i <= LONG; i++)
		first[i] = i;
	for (uint32_t i = 0; i < LONG; i++)
		targets[i] = (i + 1) % LONG; /* the last leads to the first again */
	CHECK_INT(mw_dominators__find(&d, LONG, first, targets, &root, 1), 0);
	CHECK_INT(d.count, LONG + 1);
	for (uint32_t i = 1; i < d.count; i++)
		CHECK_INT(d.dominator[i], i - 1);
	mw_dominators__free(&d);
	free(first);
	free(targets);
}

TEST(no_roots_no_dominators)
{
	uint32_t first[] = {0, 1}, target = 0;
	struct mw_dominators d;

	CHECK_INT(mw_dominators__find(&d, 1, first, &target, NULL, 0), 0);
	CHECK_INT(d.count, 1);
	mw_dominators__free(&d);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cycles: an object whose count is more than what tracked objects refer to it is referred to from
 * elsewhere, and what it refers to stays, too; the rest is garbage (Modules/gcmodule.c,
 * subtract_refs() and move_unreachable()). Counts tell of references that no walk can see, so
 * nothing is called garbage that an extension or a register holds.
 *
 * C's blocks: what no word of any memory leads to that is a root, Python's, or reached itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "graph/leaks.h"
#include "util/array.h"

enum { PIECE_WORDS = 512, BATCH = 512 };

enum { PLACE_BITS = 20, PLACES = 1 << (47 - PLACE_BITS) };

struct search {
	struct mw_graph *graph;
	uint32_t *left;	  /* by number: references that are not explained yet */
	uint8_t *reached; /* by number */
	uint8_t *places;  /* a bit for each MiB of address space: blocks of C's are there */
	uint32_t *queue;
	size_t end;
	struct mw_leaks *leaks;
	struct mw_leaks_objects *objects; /* being summed up */
};

static void reach(struct search *s, int64_t number)
{
	if (number < 0 || s->reached[number])
		return;
	s->reached[number] = 1;
	s->queue[s->end++] = (uint32_t)number;
}

/* All that is reached from what is in the queue; through C's blocks only if DATA is set. */
static void spread(struct search *s, bool data)
{
	const struct mw_graph *g = s->graph;

	for (size_t at = 0; at < s->end; at++) {
		if (!data && mw_python__is_data(g->py, s->queue[at]))
			continue;
		for (uint32_t k = g->first[s->queue[at]]; k < g->first[s->queue[at] + 1]; k++)
			reach(s, g->targets[k]);
	}
}

/*
 * ---- cycles -----------------------------------------------------------------------------------
 */

static void note_place(struct search *s, const struct mw_py_node *node)
{
	uint64_t last = (node->start + node->size) >> PLACE_BITS;

	for (uint64_t i = node->start >> PLACE_BITS; i <= last && i < PLACES; i++)
		s->places[i / 8] |= (uint8_t)(1 << i % 8);
}

/* Most words lead nowhere near a block of C's: that is known without a search. */
static bool is_near_data(const struct search *s, uint64_t word)
{
	uint64_t i = word >> PLACE_BITS;

	return i < PLACES && s->places[i / 8] >> i % 8 & 1;
}

static int set_count(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct search *s = arg;
	uint64_t count = 0;

	/* What does not count is taken to be referred to from elsewhere. */
	if (node->object &&
	    (!mw_python__refcount(s->graph->py, node, &count) || count >= UINT32_MAX))
		count = UINT32_MAX;
	s->left[number] = (uint32_t)count;
	if (node->what == MW_PY_WHAT_DATA)
		note_place(s, node);
	return 0;
}

static void subtract_all(struct search *s)
{
	const struct mw_graph *g = s->graph;

	for (size_t k = 0; k < g->target_count; k++) {
		uint32_t *left = &s->left[g->targets[k]];

		/* More than it counts: one of them was borrowed, and no conclusion is safe. */
		if (g->visited[k / 64] >> k % 64 & 1 && *left != UINT32_MAX)
			*left = *left ? *left - 1 : UINT32_MAX;
	}
}

static void add_object(struct search *s, const struct mw_py_node *node)
{
	struct mw_leaks_type *type = &s->objects->types[node->type];
	uint64_t bytes = mw_python__getsizeof(s->graph->py, node);

	type->count++;
	type->bytes += bytes;
	s->objects->count++;
	s->objects->bytes += bytes;
}

/* Garbage, and what is alive by its count, but no root leads there. */
static int sum_up(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct search *s = arg;
	uint64_t count;

	if (!node->object)
		return 0;
	if (!s->reached[number])
		s->leaks->freed_bytes += mw_python__getsizeof(s->graph->py, node);
	if (!s->reached[number] && node->tracked) {
		s->objects = &s->leaks->cycles;
		add_object(s, node);
		s->leaks->uncollectable += mw_python__blocks_collection(s->graph->py, node);
	}
	/* Immortal objects need nobody. */
	if (s->reached[number] && s->graph->parent[number] == MW_GRAPH_NONE &&
	    mw_python__refcount(s->graph->py, node, &count)) {
		s->objects = &s->leaks->lost;
		add_object(s, node);
	}
	return 0;
}

static int find_cycles(struct search *s)
{
	struct mw_python *py = s->graph->py;
	int ret = mw_python__each_node(py, true, set_count, s);

	if (ret)
		return ret;
	subtract_all(s);
	for (uint32_t i = 0; i < s->graph->count; i++) {
		if (s->left[i])
			reach(s, i);
	}
	spread(s, false);
	return mw_python__each_node(py, false, sum_up, s);
}

/*
 * ---- C's blocks -----------------------------------------------------------------------------
 */

/* WORD, if it leads to a block of C's. */
static int reach_word(void *arg, uint64_t at, uint64_t word)
{
	struct search *s = arg;
	int64_t number = is_near_data(s, word) ? mw_python__number(s->graph->py, word) : -1;

	(void)at;
	if (number >= 0 && mw_python__is_data(s->graph->py, (uint32_t)number))
		reach(s, number);
	return 0;
}

/* All of Python's memory may hold pointers: extensions keep them in objects of their own. */
static int reach_from_python(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct search *s = arg;
	uint64_t words[PIECE_WORDS], start, end;

	(void)number;
	if (node->what == MW_PY_WHAT_DATA)
		return 0;
	mw_python__words(s->graph->py, node, &start, &end);
	for (uint64_t at = start, n; at + 8 <= end; at += 8 * n) {
		n = (end - at) / 8 < PIECE_WORDS ? (end - at) / 8 : PIECE_WORDS;
		if (!mw_python__read(s->graph->py, at, words, 8 * n))
			continue;
		/* What a dead number says keeps nothing. */
		for (uint64_t i = 0; i < n; i++) {
			if (!node->cells || mw_python__is_live_cell(s->graph->py, node, at + 8 * i))
				reach_word(s, at + 8 * i, words[i]);
		}
	}
	return 0;
}

/* Memory of the heaps and of Python's arenas, whatever is in it. */
struct claims {
	struct mw_span *list;
	size_t count, capacity;
};

static int claim(struct claims *c, uint64_t start, uint64_t end)
{
	if (c->count && c->list[c->count - 1].end == start) {
		c->list[c->count - 1].end = end;
		return 0;
	}
	if (mw_array_reserve(&c->list, &c->capacity, c->count + 1, sizeof(*c->list)))
		return -ENOMEM;
	c->list[c->count++] = (struct mw_span){start, end};
	return 0;
}

static int claim_heap(struct claims *c, struct mw_heap *heap)
{
	struct mw_blocks *blocks = mw_heap__blocks(heap);
	struct mw_block batch[BATCH];
	int ret = blocks ? 0 : -ENOMEM;
	size_t n;

	while (!ret && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n && !ret; i++) {
			if (batch[i].kind != MW_BLOCK_UNKNOWN)
				ret = claim(c, batch[i].start, batch[i].start + batch[i].size);
		}
	}
	mw_blocks__close(blocks);
	return ret;
}

static int by_start(const void *a, const void *b)
{
	const struct mw_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int claim_all(struct claims *c, const struct mw_python *py, const struct mw_heaps *heaps)
{
	const struct mw_py_info *info = mw_python__info(py);
	int ret = 0;

	for (size_t i = 0; i < heaps->count && !ret; i++)
		ret = claim_heap(c, heaps->list[i]);
	for (size_t i = 0; i < info->arena_count && !ret; i++)
		ret = claim(c, info->arenas[i].addr, info->arenas[i].addr + info->arenas[i].size);
	if (!ret && c->count)
		qsort(c->list, c->count, sizeof(*c->list), by_start);
	return ret;
}

/* The words of region R that nobody claims, from the claim *AT on, which goes on with the region.
 */
static int reach_from_region(struct search *s, const struct mw_region *r, const struct claims *c,
			     size_t *at)
{
	uint64_t start = r->map.start;
	int ret = 0;

	while (start < r->map.end && !ret) {
		uint64_t end = r->map.end;

		while (*at < c->count && c->list[*at].end <= start)
			(*at)++;
		if (*at < c->count && c->list[*at].start < end)
			end = c->list[*at].start;
		if (start < end)
			ret = mw_graph_each_word(s->graph, start, end, reach_word, s);
		start = *at < c->count && end == c->list[*at].start ? c->list[*at].end : end;
	}
	return ret;
}

/*
 * Memory that is neither a heap's nor Python's: mappings of the program's, with which the kernel
 * merges those of heaps. What lies free in a heap keeps nothing, and neither does what an allocator
 * notes down.
 */
static int reach_from_mappings(struct search *s, const struct mw_heaps *heaps)
{
	struct mw_image *image = s->graph->image;
	const struct mw_regions *regions = mw_image__regions(image);
	struct claims claims = {0};
	int ret = claim_all(&claims, s->graph->py, heaps);

	for (size_t i = 0, at = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.writable && r->map.readable && !r->map.shared && !r->io && r->resident &&
		    /* A thread's stack is a root from its pointer on; what lies below is dead. */
		    !mw_image__is_stack(image, r))
			ret = reach_from_region(s, r, &claims, &at);
	}
	free(claims.list);
	return ret;
}

static void add_size(struct mw_leaks *leaks, const struct mw_py_node *node)
{
	unsigned int class = 63 - (unsigned int)__builtin_clzll(node->bytes | 1);
	uint64_t bytes = node->bytes, addr = node->start;

	class = class < MW_LEAKS_SIZES ? class : MW_LEAKS_SIZES - 1;
	leaks->sizes[class].count++;
	leaks->sizes[class].bytes += bytes;
	leaks->block_count++;
	leaks->block_bytes += bytes;
	for (size_t i = 0; i < MW_LEAKS_SAMPLE; i++) {
		uint64_t was = leaks->sample[i], was_bytes = leaks->sample_bytes[i];

		if (was_bytes >= bytes)
			continue;
		leaks->sample[i] = addr;
		leaks->sample_bytes[i] = bytes;
		addr = was;
		bytes = was_bytes;
	}
}

static int add_block(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct search *s = arg;

	if (node->what == MW_PY_WHAT_DATA && !s->reached[number])
		add_size(s->leaks, node);
	return 0;
}

static int find_blocks(struct search *s, const struct mw_heaps *heaps)
{
	struct mw_graph *g = s->graph;
	struct mw_leaks *leaks = s->leaks;
	int ret;

	memset(s->reached, 0, g->count);
	s->end = 0;
	for (size_t i = 0; i < g->root_count; i++)
		reach(s, g->roots[i].number);
	ret = mw_python__each_node(g->py, true, reach_from_python, s);
	if (!ret)
		ret = reach_from_mappings(s, heaps);
	if (ret)
		return ret;
	spread(s, true);
	ret = mw_python__each_node(g->py, false, add_block, s);
	for (unsigned int i = 0; i < MW_LEAKS_SIZES; i++) {
		if (!leaks->sizes[i].count)
			continue;
		leaks->sizes[i].low = 1ULL << i;
		leaks->sizes[i].high = (2ULL << i) - 1;
		leaks->sizes[leaks->size_count++] = leaks->sizes[i];
	}
	return ret;
}

/*
 * ---- both -------------------------------------------------------------------------------------
 */

static int by_bytes(const void *a, const void *b)
{
	const struct mw_leaks_type *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->type < y->type ? -1 : x->type > y->type;
}

/* Only types that have any, most bytes first. */
static void sort_types(struct mw_leaks_objects *objects)
{
	size_t n = 0;

	for (size_t i = 0; i < objects->type_count; i++) {
		objects->types[i].type = (int32_t)i;
		if (objects->types[i].count)
			objects->types[n++] = objects->types[i];
	}
	objects->type_count = n;
	if (n)
		qsort(objects->types, n, sizeof(*objects->types), by_bytes);
}

int mw_leaks__find(struct mw_leaks *leaks, struct mw_graph *graph, const struct mw_heaps *heaps,
		   struct mw_err *err)
{
	size_t count = (size_t)graph->count + 1, types = mw_python__type_count(graph->py);
	struct search s = {
		.graph = graph,
		.left = calloc(count, sizeof(*s.left)),
		.reached = calloc(count, sizeof(*s.reached)),
		.queue = malloc(count * sizeof(*s.queue)),
		.places = calloc(PLACES / 8, 1),
		.leaks = leaks,
	};
	int ret = 0;

	memset(leaks, 0, sizeof(*leaks));
	leaks->cycles.types = calloc(types + 1, sizeof(*leaks->cycles.types));
	leaks->lost.types = calloc(types + 1, sizeof(*leaks->lost.types));
	leaks->cycles.type_count = leaks->lost.type_count = types;
	if (!s.left || !s.reached || !s.queue || !s.places || !leaks->cycles.types ||
	    !leaks->lost.types)
		ret = -ENOMEM;
	if (!ret)
		ret = find_cycles(&s);
	if (!ret)
		ret = find_blocks(&s, heaps);
	if (!ret) {
		sort_types(&leaks->cycles);
		sort_types(&leaks->lost);
	}
	free(s.left);
	free(s.reached);
	free(s.queue);
	free(s.places);
	return ret ? mw_err_no_memory(err, mw_image__name(graph->image)) : 0;
}

void mw_leaks__free(struct mw_leaks *leaks)
{
	free(leaks->cycles.types);
	free(leaks->lost.types);
	leaks->cycles.types = leaks->lost.types = NULL;
}

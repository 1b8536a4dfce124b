// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The census reads each live block of the pools and each live chunk of the heaps once, in address
 * order, and labels it. A block is an object if the word where its type would be points to a type.
 * An object's pointers label the buffers that it owns, which overrides what their content looks
 * like.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/parallel.h"

enum { BATCH = 512, LINKS_MIN = 1 << 20 };

/* The live blocks of HEAP; which of them are Python's is not known yet. */
static int list_chunks(struct mw_python *py, struct mw_heap *heap)
{
	struct mw_blocks *blocks = mw_heap__blocks(heap);
	struct mw_block batch[BATCH];
	size_t n;
	int ret = 0;

	if (!blocks)
		return -ENOMEM;
	while (!ret && (n = blocks->fill(blocks, batch, BATCH))) {
		ret = mw_array_reserve(&py->chunks, &py->chunk_capacity, py->chunk_count + n,
				       sizeof(*py->chunks));
		for (size_t i = 0; !ret && i < n; i++) {
			const struct mw_block *b = &batch[i];

			py->census.heap_bytes += b->size;
			if (b->kind == MW_BLOCK_UNKNOWN)
				py->census.heap_unknown += b->size;
			if (mw_block_state(b) == MW_STATE_LIVE)
				py->chunks[py->chunk_count++] = (struct mw_py_chunk){
					.start = b->start,
					.size = b->size,
					.header = b->header & 255,
					.lent = b->lent,
				};
		}
	}
	mw_blocks__close(blocks);
	return ret;
}

static int by_start(const void *a, const void *b)
{
	const struct mw_py_chunk *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int list_heaps(struct mw_python *py, const struct mw_heaps *heaps)
{
	int ret = 0;

	for (size_t i = 0; heaps && i < heaps->count && !ret; i++)
		ret = list_chunks(py, heaps->list[i]);
	/* Each heap gives its own in order. */
	if (!ret && heaps && heaps->count > 1 && py->chunk_count)
		qsort(py->chunks, py->chunk_count, sizeof(*py->chunks), by_start);
	py->chunk_labels = ret ? NULL : malloc((py->chunk_count + 1) * sizeof(*py->chunk_labels));
	if (!py->chunk_labels)
		return -ENOMEM;
	for (size_t i = 0; i < py->chunk_count; i++)
		py->chunk_labels[i] = mw_py_label(MW_PY_ROLE_OTHER, 0);
	return 0;
}

/* ---- the interpreter's own ------------------------------------------------------------------ */

/*
 * Objects/obmalloc.c, where it is in the state (3.12 and later): a tree of three levels maps
 * addresses to arenas.
 */
static void mark_radix(struct mw_python *py, uint64_t node, int depth)
{
	enum { ENTRIES = 1 << 15 }; /* of a node: 15 bits of the address a level */

	for (uint64_t i = 0; i < ENTRIES; i++) {
		uint64_t inner = mw_pages_word(&py->pages, node + 8 * i);

		if (!inner)
			continue;
		if (!mw_py_may_follow(py))
			return;
		mw_py_mark_system(py, MW_PY_SYSTEM_ARENAS, inner);
		if (depth)
			mark_radix(py, inner, depth - 1);
	}
}

static void mark_system(struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;

	mw_py_mark_system(py, MW_PY_SYSTEM_ARENAS, py->arenas_at);
	if (py->pymalloc && l->obmalloc_radix_root >= 0)
		mark_radix(py, py->pymalloc + (uint64_t)l->obmalloc_radix_root, 1);
	for (size_t i = 0; i < py->interpreter_count; i++) {
		const struct mw_py_interpreter *interp = &py->interpreters[i];
		uint64_t t = mw_py_thread(py, interp, 0);

		mw_py_mark_system(py, MW_PY_SYSTEM_STATE, interp->addr);
		for (uint32_t k = 0; t && k < interp->threads; k++) {
			mw_py_mark_system(py, MW_PY_SYSTEM_STATE, t);
			t = mw_py_thread(py, interp, t);
		}
	}
}

/*
 * ---- the whole ----------------------------------------------------------------------------------
 */

void mw_py_allow_links(struct mw_python *py)
{
	py->links_left = 8 * ((uint64_t)py->label_count + py->chunk_count) + LINKS_MIN;
}

bool mw_py_may_follow(struct mw_python *py)
{
	if (!py->links_left)
		return false;
	if (!--py->links_left) {
		struct mw_doubts doubts;

		/* Too many to follow them once more: where they may have changed, they have. */
		mw_py_begin(py, &doubts);
		mw_doubts__add(&doubts, 0,
			       "lists are longer than they can be: the rest is not followed", 0);
		mw_doubts__dismiss(&doubts);
	}
	return true;
}

void mw_py_learn_before(struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;
	bool managed = py->info.hex >= MW_PY_VERSION(3, 11, 0);

	py->gc_head = l->gc_head_size < 0 || l->free_threaded ? 0 : (uint32_t)l->gc_head_size;
	/* The head's union ends with a long double only where blocks are aligned to 16. */
	if (py->gc_head == 32 && py->info.alignment == 8 && py->info.hex >= MW_PY_VERSION(3, 0, 0))
		py->gc_head = 24;
	py->before[py->before_count++] = 0;
	if (py->gc_head)
		py->before[py->before_count++] = py->gc_head;
	if (managed)
		py->before[py->before_count++] = py->gc_head + 16;
}

static int by_bytes(const void *a, const void *b)
{
	const struct mw_py_type *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Blocks in pools that are no objects, nor known to be an object's. */
struct others {
	const struct mw_python *py;
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	uint64_t blocks[MW_PY_PARTS_MAX], bytes[MW_PY_PARTS_MAX];
};

static int sum_part(void *arg, size_t part)
{
	struct others *others = arg;
	const struct mw_python *py = others->py;

	for (size_t i = others->parts[part].pool; i < others->parts[part].pool_end; i++) {
		const struct mw_py_pool *pool = &py->pools[i];
		uint32_t n = 0;

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t k = 0; k < pool->handed_out; k++)
			n += mw_py_label_role(py->labels[pool->label + k]) == MW_PY_ROLE_OTHER;
		others->blocks[part] += n;
		others->bytes[part] += n * pool->block_size;
	}
	return 0;
}

static void sum_others(struct mw_python *py)
{
	struct others others = {.py = py};
	size_t pools;

	mw_py_divide(py, others.parts, &pools);
	mw_in_parallel(mw_processors(), pools, sum_part, &others);
	for (size_t i = 0; i < pools; i++) {
		py->census.other_blocks += others.blocks[i];
		py->census.other_bytes += others.bytes[i];
	}
}

/* A copy of the types in use, by bytes; labels keep to the order in which they were met. */
static int sort_types(struct mw_python *py)
{
	struct mw_py_census *c = &py->census;

	py->sorted = malloc((py->type_count + 1) * sizeof(*py->sorted));
	if (!py->sorted)
		return -ENOMEM;
	for (size_t i = 0; i < py->type_count; i++) {
		struct mw_py_type *t = &py->types[i];

		if (!t->count && !t->parked && !t->buffer_bytes)
			continue;
		/* An object that was counted may have been shorter then than when it was not. */
		if (t->bytes > INT64_MAX)
			t->bytes = 0;
		mw_py_type_name(py, t);
		py->sorted[c->type_count++] = *t;
		c->objects += t->count;
		c->bytes += t->bytes;
		c->buffer_bytes += t->buffer_bytes;
		c->held_bytes += t->held_bytes;
		c->parked += t->parked;
		c->tracked += t->tracked;
		c->frozen += t->frozen;
	}
	/* What links lead to may be more than what was found where they are damaged. */
	c->has_generations &= c->tracked >= c->generations[0] + c->generations[1];
	c->generations[2] = c->tracked - c->generations[0] - c->generations[1];
	qsort(py->sorted, c->type_count, sizeof(*py->sorted), by_bytes);
	c->types = py->sorted;
	return 0;
}

int mw_py_count_chunks(struct mw_python *py, const struct mw_heaps *heaps)
{
	py->labels = calloc(py->label_count + 1, sizeof(*py->labels));
	return py->labels ? list_heaps(py, heaps) : -ENOMEM;
}

static int count(struct mw_python *py, const struct mw_heaps *heaps)
{
	int ret = mw_py_count_chunks(py, heaps);

	if (ret)
		return ret;
	mw_py_allow_links(py);
	ret = mw_py_sweep(py);
	if (ret || py->no_memory)
		return -ENOMEM;
	if (py->known) {
		mw_py2_numbers(py);
		mw_py_freelists(py);
		mark_system(py);
		mw_py_gc(py);
		ret = mw_py_held(py);
	}
	sum_others(py);
	return ret ? ret : sort_types(py);
}

int mw_python__census(struct mw_python *py, const struct mw_heaps *heaps,
		      struct mw_py_census *census, struct mw_err *err)
{
	if (!py->counted) {
		int ret = count(py, heaps);

		if (ret)
			return mw_err_no_memory(err, mw_image__name(py->image));
		py->counted = true;
	}
	*census = py->census;
	return 0;
}

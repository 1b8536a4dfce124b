// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What extension modules hold in malloc's heaps: pixels, nodes of documents, pages of databases.
 * Their objects have pointers to chunks that nobody else owns, and those have pointers to more. No
 * layout says so; a word that is an address in such a chunk is taken for a pointer. What several
 * objects lead to is that of the nearest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/parallel.h"

enum {
	BODY_MAX = 4096,   /* bytes of an object that are looked at */
	CHUNK_MAX = 65536, /* and of a chunk */
	HEAD_MAX = 16,	   /* a library's own before what it hands out */
	PATIENCE = 1024,   /* objects of a type that hold nothing, before the others are taken for
			      alike */
};

struct search {
	struct mw_python *py;
	size_t *queue; /* chunks that are held, in the order in which they were found */
	size_t count, capacity;
	uint32_t *idle;	 /* by type: its first objects, none of which held anything */
	bool *promising; /* by pool: has it objects of a type that may hold something? */
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	uint64_t low, high; /* where chunks are */
	bool within;	    /* see unclaimed() */
	uint64_t *bytes;    /* CHUNK_MAX */
};

/*
 * The chunk that has ADDR, of which nobody is the owner; or NULL. Libraries have heads of their own
 * before or behind what they hand out, so that WITHIN a chunk is good enough, but only after all
 * that begins at an address: in memory that was never written there are pointers of others.
 */
static uint32_t *unclaimed(struct search *s, uint64_t addr, size_t *index)
{
	struct mw_python *py = s->py;
	const struct mw_py_chunk *chunk;

	if (addr < s->low || addr >= s->high || addr % 8)
		return NULL;
	*index = mw_py_chunks_before(py, addr);
	chunk = &py->chunks[*index];
	if (addr < mw_py_chunk_data(chunk) ||
	    (!s->within && addr - mw_py_chunk_data(chunk) > HEAD_MAX) ||
	    addr - chunk->start >= chunk->size ||
	    py->chunk_labels[*index] != mw_py_label(MW_PY_ROLE_OTHER, 0))
		return NULL;
	return &py->chunk_labels[*index];
}

/* TYPE's objects hold what the COUNT words at s->bytes point to. */
static int take(struct search *s, uint32_t type, size_t count)
{
	struct mw_python *py = s->py;

	for (size_t i = 0; i < count; i++) {
		size_t index;
		uint32_t *label = unclaimed(s, s->bytes[i], &index);

		if (!label)
			continue;
		if (mw_array_reserve(&s->queue, &s->capacity, s->count + 1, sizeof(*s->queue)))
			return -ENOMEM;
		s->queue[s->count++] = index;
		*label = mw_py_held_label(type);
		py->types[type].held_bytes += py->chunks[index].size;
	}
	return 0;
}

/* The words from ADDR on, at most SIZE bytes, into s->bytes; how many. */
static size_t read_words(struct search *s, uint64_t addr, uint64_t size)
{
	ssize_t n;

	size = size < CHUNK_MAX ? size : CHUNK_MAX;
	if (size <= BODY_MAX)
		return mw_pages_read(&s->py->pages, addr, s->bytes, size) ? size / 8 : 0;
	n = mw_image__read(s->py->image, addr, s->bytes, size);
	return n > 0 ? (size_t)n / 8 : 0;
}

/* All that the chunks in the queue lead to, the nearest first: it is whose they are. */
static int follow(struct search *s)
{
	struct mw_python *py = s->py;
	int ret = 0;

	for (size_t next = 0; next < s->count && !ret; next++) {
		const struct mw_py_chunk *chunk = &py->chunks[s->queue[next]];
		uint32_t type = (py->chunk_labels[s->queue[next]] & MW_PY_LABEL_TYPE) - 1;

		ret = take(s, type,
			   read_words(s, mw_py_chunk_data(chunk), mw_py_chunk_usable(chunk)));
	}
	return ret;
}

/*
 * Built-in types own nothing that is not known, and lead to what is everybody's. An extension's may
 * have a name without a module, but lies elsewhere.
 */
static bool may_hold(struct mw_python *py, struct mw_py_type *t)
{
	bool elsewhere = py->data.size && t->addr - py->data.start >= py->data.size;

	if (t->kind != MW_PY_KIND_OBJECT || t->basicsize <= (uint64_t)py->layout.object_size)
		return false;
	mw_py_type_name(py, t);
	return (!t->heap_type && elsewhere) ||
	       (strcmp(t->module, "builtins") && strcmp(t->module, "__builtin__"));
}

static bool is_idle(const struct search *s, uint32_t label)
{
	return mw_py_label_role(label) != MW_PY_ROLE_LIVE ||
	       s->idle[label & MW_PY_LABEL_TYPE] >= PATIENCE;
}

/* Types that can't hold anything are idle from the beginning. */
static void judge_types(struct search *s)
{
	struct mw_python *py = s->py;

	for (size_t i = 0; i < py->type_count; i++) {
		if (!py->types[i].count || !may_hold(py, &py->types[i]))
			s->idle[i] = PATIENCE;
	}
}

static int look_at(struct search *s, uint32_t label, uint64_t start)
{
	uint32_t type = label & MW_PY_LABEL_TYPE;
	struct mw_python *py = s->py;
	const struct mw_py_type *t = &py->types[type];
	uint64_t addr, head = (uint64_t)py->layout.object_size;
	int ret;

	if (is_idle(s, label))
		return 0;
	addr = start + mw_py_debug_at(py, start) + t->pre;
	ret = take(s, type,
		   read_words(s, addr + head,
			      (t->basicsize < BODY_MAX ? t->basicsize : BODY_MAX) - head));
	s->idle[type] += !t->held_bytes;
	return ret;
}

/*
 * Most pools are full of a few types that hold nothing. Those are found by several threads, before
 * one follows what the others hold.
 */
static int find_promising(void *arg, size_t part)
{
	const struct search *s = arg;
	const struct mw_python *py = s->py;

	for (size_t i = s->parts[part].pool; i < s->parts[part].pool_end; i++) {
		const struct mw_py_pool *pool = &py->pools[i];
		const uint32_t *labels = py->labels + pool->label;

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t k = 0; k < pool->handed_out && !s->promising[i]; k++)
			s->promising[i] = !is_idle(s, labels[k]);
	}
	return 0;
}

static int look_at_pool(struct search *s, const struct mw_py_pool *pool)
{
	const uint32_t *labels = s->py->labels + pool->label;
	uint32_t idle = 0;
	int ret = 0;

	for (uint32_t k = 0; k < pool->handed_out && !ret; k++) {
		if (labels[k] == idle)
			continue;
		ret = look_at(s, labels[k], pool->addr + pool->first + k * pool->block_size);
		if (is_idle(s, labels[k]))
			idle = labels[k];
	}
	return ret;
}

static int look_at_all(struct search *s)
{
	const struct mw_python *py = s->py;
	size_t pools;
	int ret = 0;

	judge_types(s);
	mw_py_divide(py, s->parts, &pools);
	mw_in_parallel(mw_processors(), pools, find_promising, s);
	for (size_t i = 0; i < py->pool_count && !ret; i++) {
		if (s->promising[i])
			ret = look_at_pool(s, &py->pools[i]);
	}
	for (size_t i = 0; i < py->chunk_count && !ret; i++)
		ret = look_at(s, py->chunk_labels[i], mw_py_chunk_data(&py->chunks[i]));
	return ret;
}

int mw_py_held(struct mw_python *py)
{
	struct search s = {.py = py};
	int ret;

	if (!py->chunk_count)
		return 0;
	s.low = py->chunks[0].start;
	s.high = py->chunks[py->chunk_count - 1].start + py->chunks[py->chunk_count - 1].size;
	s.idle = calloc(py->type_count + 1, sizeof(*s.idle));
	s.promising = calloc(py->pool_count + 1, sizeof(*s.promising));
	s.bytes = malloc(CHUNK_MAX);
	ret = s.idle && s.promising && s.bytes ? look_at_all(&s) : -ENOMEM;
	for (int pass = 0; pass < 2 && !ret; pass++) {
		s.within = pass;
		ret = follow(&s);
	}
	free(s.idle);
	free(s.promising);
	free(s.bytes);
	free(s.queue);
	return ret;
}

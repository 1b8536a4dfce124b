// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Python's memory as blocks in address order: the arenas with all that is in them, chunks of
 * the heaps that are Python's, and the stacks of Python frames, which come from neither.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/text.h"
#include "util/array.h"

static const char own_free_block[] = "python/free-block", own_free_pool[] = "python/free-pool",
		  own_overhead[] = "python/arena-overhead", own_gc[] = "python/gc-head",
		  own_data[] = "python/data", own_frames[] = "python/frames",
		  own_state[] = "python/interpreter";

const char mw_python_whole_pool[] = "python/pools";

/* Owners that a type has: for what is held, live, parked and its buffers. */
enum { OWNERS = 4 };

enum { CHUNKS_MAX = 1 << 16, FRAMES_MAX_BYTES = 1 << 30, HELD = 48 };

struct walker {
	struct mw_blocks base;
	struct mw_python *py;
	size_t arena, frames, chunk; /* the next of each kind */
	uint32_t pool, block;	     /* within the arena, within the pool */
	uint64_t at;		     /* how far the arena is done; 0: it has not begun */
	struct mw_block held[HELD];  /* emitted before anything else, the last one first */
	size_t held_count;
	const struct mw_spans *to_sum; /* pools that are resident by these are one block each */
};

/* "python/live/app.User", made once for a type. */
static const char *owner_of(struct mw_python *py, enum mw_py_role role, uint32_t type)
{
	static const char *const words[] = {[MW_PY_ROLE_OTHER] = "held",
					    [MW_PY_ROLE_LIVE] = "live",
					    [MW_PY_ROLE_PARKED] = "parked",
					    [MW_PY_ROLE_BUFFER] = "buffer"};
	char **slot = &py->owners[(size_t)type * OWNERS + (role - MW_PY_ROLE_OTHER)];
	char name[200], text[256];

	if (!*slot) {
		mw_python_type_name(&py->types[type], name, sizeof(name));
		mw_text_print(text, sizeof(text), "python/%s/%s", words[role], name);
		*slot = strdup(text);
	}
	return *slot ? *slot : own_data;
}

static const char *owner_of_label(struct mw_python *py, uint32_t label, uint8_t *kind)
{
	*kind = MW_BLOCK_LIVE;
	switch (mw_py_label_role(label)) {
	case MW_PY_ROLE_NONE:
		*kind = MW_BLOCK_FREE;
		return own_free_block;
	case MW_PY_ROLE_OTHER:
		return mw_py_label_is_held(label)
			       ? owner_of(py, MW_PY_ROLE_OTHER, (label & MW_PY_LABEL_TYPE) - 1)
			       : own_data;
	case MW_PY_ROLE_SYSTEM:
		*kind = MW_BLOCK_OVERHEAD;
		return (label & MW_PY_LABEL_TYPE) == MW_PY_SYSTEM_ARENAS ? own_overhead : own_state;
	case MW_PY_ROLE_PARKED:
		*kind = MW_BLOCK_FREE;
		break;
	default:
		break;
	}
	return owner_of(py, mw_py_label_role(label), label & MW_PY_LABEL_TYPE);
}

void mw_py_owner(struct mw_python *py, uint32_t label, struct mw_py_sum *sum)
{
	uint8_t kind;

	sum->owner = owner_of_label(py, label, &kind);
	sum->kind = kind;
}

void mw_py_overhead_owner(bool gc_heads, struct mw_py_sum *sum)
{
	sum->owner = gc_heads ? own_gc : own_overhead;
	sum->kind = MW_BLOCK_OVERHEAD;
}

static void set(struct mw_block *b, uint64_t start, uint64_t size, const char *owner,
		enum mw_block_kind kind)
{
	*b = (struct mw_block){.start = start,
			       .size = size,
			       .owner = owner,
			       .arena = MW_BLOCK_NO_ARENA,
			       .kind = (uint8_t)kind};
}

/*
 * A block of a pool. If the collector knows the object, its head gets an owner of its own: the
 * first bytes of the block, although the pointers to a dictionary come before it.
 */
static void pool_block(struct walker *w, struct mw_block *b, uint64_t start, uint64_t size,
		       uint32_t label)
{
	struct mw_python *py = w->py;
	uint32_t head = 0;
	uint8_t kind;
	const char *owner = owner_of_label(py, label, &kind);

	if (mw_py_label_role(label) == MW_PY_ROLE_LIVE && py->types[label & MW_PY_LABEL_TYPE].gc)
		head = py->gc_head;
	if (head && head < size) {
		set(&w->held[w->held_count++], start + head, size - head, owner, MW_BLOCK_LIVE);
		set(b, start, head, own_gc, MW_BLOCK_OVERHEAD);
		return;
	}
	set(b, start, size, owner, kind);
}

static bool arena_is_done(const struct walker *w)
{
	const struct mw_py_arena *a = &w->py->arenas[w->arena];

	return w->at >= a->addr + a->size;
}

/* The next block of the present arena, which has one left. */
static void arena_block(struct walker *w, struct mw_block *b)
{
	const struct mw_py_arena *a = &w->py->arenas[w->arena];
	const struct mw_py_pool *pools = w->py->pools + a->first_pool, *pool;
	uint64_t start = w->at, end = a->addr + a->size;

	if (w->pool >= a->pool_count || start < pools[w->pool].addr) {
		end = w->pool < a->pool_count ? pools[w->pool].addr : end;
		set(b, start, end - start, own_overhead, MW_BLOCK_OVERHEAD);
		w->at = end;
		return;
	}
	pool = &pools[w->pool];
	end = pool->addr + pool->size;
	if (pool->state > MW_PY_POOL_FULL) {
		set(b, start, end - start, own_free_pool, MW_BLOCK_FREE);
		w->at = end;
		w->pool++;
		return;
	}
	if (start == pool->addr && w->to_sum && mw_py_pool_is_whole(w->py, pool, w->to_sum)) {
		set(b, start, pool->size, mw_python_whole_pool, MW_BLOCK_LIVE);
		w->at = end;
		w->pool++;
		return;
	}
	if (start == pool->addr && pool->first) {
		set(b, start, pool->first, own_overhead, MW_BLOCK_OVERHEAD);
		w->at = start + pool->first;
		w->block = 0;
		return;
	}
	if (start == pool->addr)
		w->block = 0;
	if (w->block < pool->handed_out) {
		pool_block(w, b, start, pool->block_size, w->py->labels[pool->label + w->block]);
		w->block++;
		w->at = start + pool->block_size;
	} else if (w->block < pool->capacity) {
		set(b, start, (pool->capacity - w->block) * pool->block_size, own_free_block,
		    MW_BLOCK_FREE);
		w->block = pool->capacity;
		w->at = start + b->size;
	} else {
		if (end > start)
			set(b, start, end - start, own_overhead, MW_BLOCK_OVERHEAD);
		w->at = end;
		w->pool++;
		if (end == start && !arena_is_done(w))
			arena_block(w, b);
		else if (end == start)
			b->size = 0;
	}
}

/* Python's next chunk, or one that its objects hold; the others stay their heap's. */
static void pass_chunks(struct walker *w)
{
	while (w->chunk < w->py->chunk_count &&
	       mw_py_label_role(w->py->chunk_labels[w->chunk]) <= MW_PY_ROLE_OTHER &&
	       !mw_py_label_is_held(w->py->chunk_labels[w->chunk]))
		w->chunk++;
}

static void whole_chunk(struct walker *w, struct mw_block *b)
{
	const struct mw_py_chunk *chunk = &w->py->chunks[w->chunk];
	const char *owner;
	uint8_t kind;

	owner = owner_of_label(w->py, w->py->chunk_labels[w->chunk], &kind);
	set(b, chunk->start, chunk->size, owner, kind);
	w->chunk++;
}

/* Python 2's int and float objects, in runs; the bytes around them are overhead. */
static void cells_block(struct walker *w, struct mw_block *b)
{
	struct mw_python *py = w->py;
	const struct mw_py_chunk *chunk = &py->chunks[w->chunk];
	uint64_t start = chunk->start, end = start + chunk->size;
	uint32_t type = py->chunk_labels[w->chunk] & MW_PY_LABEL_TYPE;
	struct mw_py_cell_run runs[HELD];
	size_t n = mw_py_cell_blocks(py, mw_py_chunk_data(chunk), type, runs);

	w->held_count = 0;
	set(&w->held[w->held_count++], runs[n - 1].start + 24ULL * runs[n - 1].count,
	    end - runs[n - 1].start - 24ULL * runs[n - 1].count, own_overhead, MW_BLOCK_OVERHEAD);
	for (size_t i = n; i-- > 0;)
		set(&w->held[w->held_count++], runs[i].start, 24ULL * runs[i].count,
		    owner_of(py, runs[i].live ? MW_PY_ROLE_LIVE : MW_PY_ROLE_PARKED, type),
		    runs[i].live ? MW_BLOCK_LIVE : MW_BLOCK_FREE);
	set(b, start, runs[0].start - start, own_overhead, MW_BLOCK_OVERHEAD);
	w->chunk++;
}

static void chunk_block(struct walker *w, struct mw_block *b)
{
	if (mw_py_label_role(w->py->chunk_labels[w->chunk]) == MW_PY_ROLE_CELLS) {
		cells_block(w, b);
		return;
	}
	whole_chunk(w, b);
}

static uint64_t min3(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static size_t fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct walker *w = (struct walker *)blocks;
	struct mw_python *py = w->py;
	size_t n = 0;

	while (n < max) {
		uint64_t arena, frames, chunk, first;

		if (w->held_count) {
			out[n++] = w->held[--w->held_count];
			continue;
		}
		if (w->arena < py->arena_count && w->at && arena_is_done(w)) {
			w->arena++;
			w->at = 0;
			w->pool = 0;
		}
		if (w->arena < py->arena_count && w->at) {
			arena_block(w, &out[n]);
			n += out[n].size != 0;
			continue;
		}
		pass_chunks(w);
		arena = w->arena < py->arena_count ? py->arenas[w->arena].addr : UINT64_MAX;
		frames = w->frames < py->frame_count ? py->frames[w->frames].start : UINT64_MAX;
		chunk = w->chunk < py->chunk_count ? py->chunks[w->chunk].start : UINT64_MAX;
		first = min3(arena, frames, chunk);
		if (first == UINT64_MAX)
			break;
		if (first == arena) {
			w->at = arena;
		} else if (first == frames) {
			set(&out[n++], frames, py->frames[w->frames].end - frames, own_frames,
			    MW_BLOCK_LIVE);
			w->frames++;
		} else {
			chunk_block(w, &out[n++]);
		}
	}
	return n;
}

static void close_walker(struct mw_blocks *blocks)
{
	free(blocks);
}

static int by_start(const void *a, const void *b)
{
	const struct mw_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/*
 * Include/internal/pycore_frame.h and pystate.h, _PyStackChunk: previous, size in bytes, top, data.
 */
static int list_frames(struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;
	size_t out = 0;

	if (l->tstate_stack_chunk < 0 || l->stack_chunk_size < 0)
		return 0;
	for (size_t i = 0; i < py->interpreter_count; i++) {
		const struct mw_py_interpreter *interp = &py->interpreters[i];
		uint64_t t = mw_py_thread(py, interp, 0);

		for (uint32_t k = 0; t && k < interp->threads; k++) {
			uint64_t c = mw_pages_word(&py->pages, t + (uint64_t)l->tstate_stack_chunk);

			for (unsigned int n = 0; c && n < CHUNKS_MAX; n++) {
				uint64_t size = mw_pages_word(&py->pages,
							      c + (uint64_t)l->stack_chunk_size);

				if (size > FRAMES_MAX_BYTES || size % 4096 || !size)
					break;
				if (mw_array_reserve(&py->frames, &py->frame_capacity,
						     py->frame_count + 1, sizeof(*py->frames)))
					return -ENOMEM;
				py->frames[py->frame_count++] = (struct mw_span){c, c + size};
				c = mw_pages_word(&py->pages,
						  c + (uint64_t)l->stack_chunk_previous);
			}
			t = mw_py_thread(py, interp, t);
		}
	}
	if (py->frame_count)
		qsort(py->frames, py->frame_count, sizeof(*py->frames), by_start);
	for (size_t i = 0; i < py->frame_count; i++) {
		if (!out || py->frames[i].start >= py->frames[out - 1].end)
			py->frames[out++] = py->frames[i];
	}
	py->frame_count = out;
	return 0;
}

struct mw_blocks *mw_python__blocks_to_sum(struct mw_python *py, const struct mw_spans *spans)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (w && !py->owners) {
		py->owners = calloc(py->type_count + 1, OWNERS * sizeof(*py->owners));
		py->owner_count = OWNERS * py->type_count;
	}
	if (!w || !py->owners || (!py->frame_count && list_frames(py))) {
		free(w);
		return NULL;
	}
	w->base = (struct mw_blocks){fill, close_walker};
	w->py = py;
	w->to_sum = spans;
	return &w->base;
}

struct mw_blocks *mw_python__blocks(struct mw_python *py)
{
	return mw_python__blocks_to_sum(py, NULL);
}

struct mw_blocks *mw_python__blocks_at(struct mw_python *py, uint64_t addr)
{
	struct mw_blocks *blocks = mw_python__blocks(py);
	struct walker *w = (struct walker *)blocks;
	const struct mw_py_arena *arena = mw_python__arena(py, addr);

	if (!w)
		return NULL;
	/* Frames are few; arenas and chunks may be millions. */
	w->chunk = mw_py_chunks_before(py, addr);
	w->arena = arena ? (size_t)(arena - py->arenas) : py->arena_count;
	return blocks;
}

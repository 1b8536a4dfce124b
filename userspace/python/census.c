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

#include "image/readahead.h"
#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/search.h"

/* Include/internal/pycore_mimalloc.h: what a page of mimalloc is for; pools have no tag. */
enum { TAG_MEMORY = 0, TAG_GC_PRE = 3 };

enum { SWEEP = 1 << 20, LOOK = 96, BATCH = 512, LOWEST_POINTER = 1 << 20, LINKS_MIN = 1 << 20 };

/*
 * ---- labels -----------------------------------------------------------------------------------
 */

static bool chunk_begins_by(const void *at, const void *key)
{
	return ((const struct mw_py_chunk *)at)->start <= *(const uint64_t *)key;
}

size_t mw_py_chunks_before(const struct mw_python *py, uint64_t addr)
{
	size_t i =
		mw_search(py->chunks, py->chunk_count, sizeof(*py->chunks), chunk_begins_by, &addr);

	return i ? i - 1 : 0;
}

uint32_t *mw_py_label_at(struct mw_python *py, uint64_t addr, uint64_t *start, uint64_t *size)
{
	const struct mw_py_pool *pool = mw_py_pool_find(py, addr);
	const struct mw_py_chunk *chunk;
	size_t i;

	if (pool) {
		uint64_t offset = addr - pool->addr;

		if (pool->state > MW_PY_POOL_FULL || offset < pool->first)
			return NULL;
		offset = (offset - pool->first) / pool->block_size;
		if (offset >= pool->handed_out)
			return NULL;
		i = (size_t)offset;
		if (start)
			*start = pool->addr + pool->first + offset * pool->block_size;
		if (size)
			*size = pool->block_size;
		return &py->labels[pool->label + i];
	}
	i = mw_py_chunks_before(py, addr);
	chunk = py->chunks + i;
	if (!py->chunk_count || addr < mw_py_chunk_data(chunk) ||
	    addr - chunk->start >= chunk->size)
		return NULL;
	if (start)
		*start = mw_py_chunk_data(chunk);
	if (size)
		*size = chunk->size;
	return &py->chunk_labels[i];
}

/* Take back what LABEL of a block was counted as. */
static void uncount(struct mw_python *py, uint32_t label, uint64_t start, uint64_t size)
{
	struct mw_py_type *t = &py->types[label & MW_PY_LABEL_TYPE];
	uint64_t length;

	switch (mw_py_label_role(label)) {
	case MW_PY_ROLE_LIVE:
		t->count--;
		length = mw_py_object_size(py, t, start + mw_py_debug_at(py, start) + t->pre);
		t->bytes -= length < t->bytes ? length : t->bytes; /* it may run on */
		t->tracked -= !!(label & MW_PY_LABEL_TRACKED);
		break;
	case MW_PY_ROLE_PARKED:
		t->parked--;
		break;
	case MW_PY_ROLE_BUFFER:
		t->buffer_bytes -= size;
		break;
	default:
		break;
	}
}

static void mark(struct mw_python *py, uint32_t type, uint64_t addr, bool within)
{
	uint64_t start, size;
	uint32_t *label;
	enum mw_py_role role;

	if (addr < 4096)
		return;
	label = mw_py_label_at(py, addr, &start, &size);
	if (!label)
		return;
	role = mw_py_label_role(*label);
	/* Where something lies inside of an object, the object is the owner. */
	if (role == MW_PY_ROLE_NONE || role == MW_PY_ROLE_BUFFER ||
	    (role == MW_PY_ROLE_LIVE && !within && addr != start + mw_py_debug_at(py, start)))
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_BUFFER, type);
	py->types[type].buffer_bytes += size;
}

void mw_py_mark(struct mw_python *py, uint32_t type, uint64_t addr)
{
	mark(py, type, addr, false);
}

void mw_py_mark_values(struct mw_python *py, uint32_t type, uint64_t addr)
{
	mark(py, type, addr, true);
}

void mw_py_mark_system(struct mw_python *py, enum mw_py_system what, uint64_t addr)
{
	uint64_t start, size;
	uint32_t *label = addr < 4096 ? NULL : mw_py_label_at(py, addr, &start, &size);

	if (!label || mw_py_label_role(*label) == MW_PY_ROLE_NONE)
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_SYSTEM, (uint32_t)what);
}

void mw_py_mark_parked(struct mw_python *py, uint32_t type, uint64_t addr)
{
	uint64_t start, size;
	uint32_t *label = mw_py_label_at(py, addr, &start, &size);

	if (!label || mw_py_label_role(*label) == MW_PY_ROLE_NONE ||
	    mw_py_label_role(*label) == MW_PY_ROLE_PARKED)
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_PARKED, type);
	py->types[type].parked++;
}

/*
 * ---- objects ----------------------------------------------------------------------------------
 */

/*
 * A reference count of a live object: positive, and in 64 bits far from full. Immortal ones of 3.12
 * and 3.13 have the lower half set; from 3.14 on flags are in the upper 16 bits of the word.
 */
static bool plausible_count(struct mw_python *py, const uint8_t *object, uint64_t *refs)
{
	uint64_t count = mw_u64_at(object + py->layout.ob_refcnt);

	/* Free-threaded: the owner's count, and the others' above two bits (pycore_object.h). */
	if (py->layout.free_threaded) {
		int64_t shared = (int64_t)mw_u64_at(object + py->layout.ob_ref_shared) >> 2;

		*refs = mw_u32_at(object + py->layout.ob_refcnt) || shared;
		/*
		 * _Py_REF_DEFERRED, PY_SSIZE_T_MAX / 8, is added for objects that are counted
		 * later.
		 */
		if (shared > INT64_MAX / 16)
			shared -= INT64_MAX / 8;
		return shared > -(1LL << 31) && shared < 1LL << 31;
	}
	*refs = count;
	if (!count)
		return true;
	/* In programs that are not position-independent pointers to objects are as small. */
	if (count >= LOWEST_POINTER && count < 1ULL << 32 && mw_py_type_of(py, count) >= 0)
		return false;
	if (py->info.hex >= MW_PY_VERSION(3, 14, 0))
		return (uint32_t)count && !(count >> 32 & 0xffff);
	return count && count < 1ULL << 32;
}

/*
 * Is the object in a list of the collector? To 3.7 gc_refs says so, above a flag's bit from 3.4 on
 * (Modules/gcmodule.c): -2 is untracked, -3 reachable; others only while the collector runs, so
 * that the links decide. From 3.8 on the untracked have no next one.
 */
static bool is_tracked(struct mw_python *py, const struct mw_py_type *t, const uint8_t *object,
		       uint64_t addr)
{
	const uint8_t *head = object - py->gc_head;
	uint64_t next;
	int64_t refs;

	if (!t->gc)
		return false;
	if (py->layout.ob_gc_bits >= 0) /* _PyGC_BITS_TRACKED */
		return object[py->layout.ob_gc_bits] & 1;
	next = mw_u64_at(head);
	if (py->info.hex >= MW_PY_VERSION(3, 8, 0))
		return next != 0;
	refs = (int64_t)mw_u64_at(head + 16);
	if (py->info.hex >= MW_PY_VERSION(3, 0, 0))
		refs >>= 1;
	return refs == -3 || (refs != -2 && next && next % 8 == 0 &&
			      mw_pages_word(&py->pages, next + 8) == addr - py->gc_head);
}

/* Objects whose length is their own must fit their block. */
static bool fits(struct mw_python *py, const struct mw_py_type *t, uint64_t addr, uint64_t avail)
{
	if (t->basicsize > avail - t->pre + 1) /* bytes and int end within their last word */
		return t->kind == MW_PY_KIND_LONG || t->kind == MW_PY_KIND_STR;
	if (t->kind == MW_PY_KIND_BYTES || t->kind == MW_PY_KIND_TUPLE ||
	    t->kind == MW_PY_KIND_LONG)
		return mw_py_object_size(py, t, addr) <= avail;
	return true;
}

/*
 * Label the block of SIZE bytes at ADDR. P has its first LOOK bytes, or all of them.
 */
static uint32_t classify(struct mw_python *py, const uint8_t *p, uint64_t addr, uint64_t size)
{
	const struct mw_py_layout *l = &py->layout;

	for (size_t i = 0; i < py->before_count; i++) {
		uint32_t before = py->before[i], label;
		const struct mw_py_type *t;
		uint64_t count;
		int32_t type;

		if (before + (uint32_t)l->object_size > size)
			break;
		if (py->tag && (before != 0) != (py->tag == TAG_GC_PRE))
			continue;
		type = mw_py_type_at(py, mw_u64_at(p + before + l->ob_type));
		if (type < 0)
			continue;
		t = &py->types[type];
		if (t->pre != before || !fits(py, t, addr + before, size))
			continue;
		label = (uint32_t)type;
		if (!plausible_count(py, p + before, &count))
			continue;
		if (!count)
			return mw_py_label(MW_PY_ROLE_PARKED, label);
		if (is_tracked(py, t, p + before, addr + before))
			label |= MW_PY_LABEL_TRACKED;
		return mw_py_label(MW_PY_ROLE_LIVE, label);
	}
	return mw_py_label(MW_PY_ROLE_OTHER, 0);
}

/* Interned and immortal ones, as the versions mark them. */
static void count_special(struct mw_python *py, const struct mw_py_type *t, const uint8_t *object,
			  uint64_t addr)
{
	uint32_t refs = mw_u32_at(object + py->layout.ob_refcnt);

	/* _Py_IMMORTAL_REFCNT: all bits in 3.12, 3.13; from 3.14 on about 3 << 30. */
	if (py->info.hex >= MW_PY_VERSION(3, 12, 0) && refs >= 1u << 31)
		py->census.immortal++;
	if (t->kind == MW_PY_KIND_STR && mw_u32_at(object + py->layout.ascii_state) & 3) {
		py->census.interned++;
		py->census.interned_bytes += mw_py_object_size(py, t, addr);
	}
}

static void look_at(struct mw_python *py, uint32_t *label, const uint8_t *p, uint64_t addr,
		    uint64_t size)
{
	struct mw_py_type *t;
	uint32_t type;

	if (mw_py_label_role(*label) > MW_PY_ROLE_OTHER || !py->known)
		return; /* an owner was here first, or nothing is known of objects */
	*label = classify(py, p, addr, size);
	type = *label & MW_PY_LABEL_TYPE;
	t = &py->types[type];
	if (mw_py_label_role(*label) == MW_PY_ROLE_PARKED)
		t->parked++;
	if (mw_py_label_role(*label) != MW_PY_ROLE_LIVE)
		return;
	t->count++;
	t->tracked += !!(*label & MW_PY_LABEL_TRACKED);
	count_special(py, t, p + t->pre, addr + t->pre);
	t->bytes += mw_py_object_size(py, t, addr + t->pre);
	mw_py_object_buffers(py, type, addr + t->pre);
}

/*
 * ---- sweeps -------------------------------------------------------------------------------------
 */

/*
 * POOL as it is now, with its content into BYTES, if they are at hand. False: since it was listed
 * it was given back, or blocks of another size are in it.
 */
static bool read_again(struct mw_python *py, struct mw_py_pool *pool, uint8_t *bytes,
		       struct mw_doubts *doubts)
{
	struct mw_py_pool now = *pool;

	if (bytes && mw_image__read(py->image, pool->addr, bytes, pool->size) < (ssize_t)pool->size)
		return false;
	mw_py_read_pool(py, &now, doubts);
	if (now.state > MW_PY_POOL_FULL || now.block_size != pool->block_size ||
	    now.capacity != pool->capacity || now.tag != pool->tag)
		return false;
	*pool = now;
	return true;
}

/*
 * Which blocks of POOL are free, a bit each. In a process that runs, POOL and its content may be of
 * different moments: then both are read again. False: POOL's blocks are no more.
 */
static bool find_free(struct mw_python *py, struct mw_py_pool *pool, uint8_t *bytes, uint64_t *free)
{
	struct mw_doubts doubts;
	bool there = true;

	mw_py_begin(py, &doubts);
	do {
		const char *problem = "a pool with more blocks than can be";

		if (doubts.attempt)
			there = read_again(py, pool, bytes, &doubts);
		if (!there)
			continue;
		if (pool->handed_out <= MW_PY_POOL_BITS)
			mw_py_pool_free(py, pool, free, &problem);
		if (problem)
			mw_doubts__add(&doubts, pool->addr, problem,
				       mw_seen(pool->used, pool->handed_out));
	} while (mw_py_again(py, &doubts));
	return there;
}

/* The pool's blocks are no more: they are free. */
static void sweep_none(struct mw_python *py, const struct mw_py_pool *pool)
{
	for (uint32_t i = 0; i < pool->handed_out; i++)
		py->labels[pool->label + i] = 0;
}

/*
 * The pool's bytes are at hand, or, of one that is larger than SWEEP, its blocks' heads go into
 * BUF.
 */
static void sweep_pool(struct mw_python *py, struct mw_py_pool *pool, uint8_t *bytes, uint8_t *buf)
{
	uint64_t free[MW_PY_POOL_BITS / 64], size = pool->block_size;

	if (!find_free(py, pool, bytes, free)) {
		sweep_none(py, pool);
		return;
	}
	if (pool->handed_out > MW_PY_POOL_BITS)
		return;
	py->tag = pool->tag;
	for (uint32_t i = 0; i < pool->handed_out; i++) {
		uint64_t offset = pool->first + i * size;
		uint32_t *label = &py->labels[pool->label + i];
		const uint8_t *p = bytes ? bytes + offset : buf;

		if (free[i / 64] >> (i % 64) & 1) {
			*label = 0;
			continue;
		}
		if (pool->page && pool->tag == TAG_MEMORY)
			continue;
		if (size <= py->debug ||
		    (!bytes && !mw_pages_read(&py->pages, pool->addr + offset, buf,
					      size < 2 * LOOK ? size : 2 * LOOK)))
			continue;
		look_at(py, label, p + py->debug, pool->addr + offset + py->debug,
			size - py->debug);
	}
	py->tag = 0;
}

/* Blocks start as OTHER, so that a buffer whose owner comes first is known to be allocated. */
static void allot(struct mw_python *py)
{
	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t k = 0; k < pool->handed_out; k++)
			py->labels[pool->label + k] = mw_py_label(MW_PY_ROLE_OTHER, 0);
	}
}

/* How many of COUNT pools fit into SWEEP bytes together; one in any case. */
static uint32_t count_together(const struct mw_py_pool *pools, uint32_t count)
{
	uint32_t n = 1;

	while (n < count && pools[n].addr + pools[n].size - pools[0].addr <= SWEEP)
		n++;
	return n;
}

/* Some pools that lie side by side and are read together. */
struct step {
	struct mw_py_pool *pools;
	uint32_t count; /* 0: there are no more */
	uint64_t size;	/* bytes; over SWEEP: one pool, of which only blocks' heads are read */
};

/* The step at pool POOL of arena ARENA, which move on. */
static struct step next_step(const struct mw_python *py, size_t *arena, uint32_t *pool)
{
	struct step step = {0};

	while (*arena < py->arena_count && *pool >= py->arenas[*arena].pool_count) {
		(*arena)++;
		*pool = 0;
	}
	if (*arena == py->arena_count)
		return step;
	step.pools = py->pools + py->arenas[*arena].first_pool + *pool;
	step.count = count_together(step.pools, py->arenas[*arena].pool_count - *pool);
	step.size = step.pools[step.count - 1].addr + step.pools[step.count - 1].size -
		    step.pools[0].addr;
	*pool += step.count;
	return step;
}

/* The content of POOL, of which the sweep did not get all, into BYTES; false: it can't be read. */
static bool read_alone(struct mw_python *py, const struct mw_py_pool *pool, uint8_t *bytes)
{
	struct mw_doubts doubts;
	bool got = false;

	mw_py_begin(py, &doubts);
	do {
		if (doubts.attempt)
			got = mw_image__read(py->image, pool->addr, bytes, pool->size) ==
			      (ssize_t)pool->size;
		if (!got)
			mw_doubts__add_unreadable(&doubts, pool->addr, "pool can't be read");
	} while (mw_py_again(py, &doubts));
	return got;
}

/* Reads at START find the SIZE BYTES that are at hand. */
static void hold(struct mw_python *py, const uint8_t *bytes, uint64_t start, uint64_t size)
{
	py->pages.hand = bytes;
	py->pages.hand_start = start;
	py->pages.hand_size = size;
}

static void sweep_step(struct mw_python *py, const struct step *step, uint8_t *buf, ssize_t got)
{
	hold(py, buf, step->pools[0].addr, got > 0 ? (uint64_t)got : 0);
	for (uint32_t k = 0; k < step->count; k++) {
		struct mw_py_pool *pool = &step->pools[k];
		uint64_t offset = pool->addr - step->pools[0].addr;

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		if ((ssize_t)(offset + pool->size) > got) {
			if (!read_alone(py, pool, buf + offset))
				continue;
			hold(py, buf + offset, pool->addr, pool->size);
		}
		sweep_pool(py, pool, buf + offset, NULL);
	}
	py->pages.hand_size = 0;
}

static int sweep_pools(struct mw_python *py)
{
	/* Reading a block's last bytes may go up to LOOK beyond its end. */
	uint8_t *bufs = py->arena_count ? calloc(2, SWEEP + LOOK) : NULL, *buf = bufs;
	struct mw_readahead *ahead = bufs ? mw_readahead__start(py->image) : NULL;
	struct step step, next;
	uint32_t pool = 0;
	size_t arena = 0;

	if (py->arena_count && !ahead) {
		free(bufs);
		return -ENOMEM;
	}
	step = next_step(py, &arena, &pool);
	if (step.count && step.size <= SWEEP)
		mw_readahead__ask(ahead, step.pools[0].addr, buf, step.size);
	for (; step.count; step = next) {
		uint8_t *other = buf == bufs ? bufs + SWEEP + LOOK : bufs;
		ssize_t got = step.size <= SWEEP ? mw_readahead__take(ahead) : 0;

		/* Read the next step while this one is classified. */
		next = next_step(py, &arena, &pool);
		if (next.count && next.size <= SWEEP)
			mw_readahead__ask(ahead, next.pools[0].addr, other, next.size);
		if (step.size <= SWEEP)
			sweep_step(py, &step, buf, got);
		else if (step.pools[0].state <= MW_PY_POOL_FULL)
			sweep_pool(py, &step.pools[0], NULL, buf);
		buf = other;
	}
	mw_readahead__end(ahead);
	free(bufs);
	return 0;
}

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

static int sweep_chunks(struct mw_python *py)
{
	struct mw_read_buffer w;
	int ret = py->chunk_count ? mw_read_buffer__init(&w, py->image) : 0;

	if (ret || !py->chunk_count)
		return ret;
	for (size_t i = 0; i < py->chunk_count; i++) {
		const struct mw_py_chunk *chunk = &py->chunks[i];
		uint64_t data = mw_py_chunk_data(chunk), size = mw_py_chunk_usable(chunk);
		uint64_t look = size < LOOK ? size : LOOK;
		const uint8_t *head = size < 16 ? NULL : mw_read_buffer__at(&w, data, look);
		uint32_t debug;

		if (!head)
			continue;
		hold(py, w.buf, w.start, w.len);
		debug = py->any_debug ? mw_py_debug_bytes(head, look) : 0;
		if (size >= debug + 16)
			look_at(py, &py->chunk_labels[i], head + debug, data + debug, size - debug);
		py->pages.hand_size = 0;
	}
	mw_read_buffer__free(&w);
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

static void sum_others(struct mw_python *py)
{
	struct mw_py_census *c = &py->census;

	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t k = 0; k < pool->handed_out; k++) {
			if (mw_py_label_role(py->labels[pool->label + k]) == MW_PY_ROLE_OTHER) {
				c->other_blocks++;
				c->other_bytes += pool->block_size;
			}
		}
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
		mw_py_type_name(py, t);
		py->sorted[c->type_count++] = *t;
		c->objects += t->count;
		c->bytes += t->bytes;
		c->buffer_bytes += t->buffer_bytes;
		c->parked += t->parked;
		c->tracked += t->tracked;
		c->frozen += t->frozen;
	}
	for (unsigned int k = 0; k < 2; k++)
		c->generations[2] -= c->generations[k];
	c->generations[2] += c->tracked;
	qsort(py->sorted, c->type_count, sizeof(*py->sorted), by_bytes);
	c->types = py->sorted;
	return 0;
}

static int count(struct mw_python *py, const struct mw_heaps *heaps)
{
	int ret;

	py->labels = calloc(py->label_count + 1, sizeof(*py->labels));
	ret = py->labels ? list_heaps(py, heaps) : -ENOMEM;
	if (ret)
		return ret;
	mw_py_allow_links(py);
	allot(py);
	ret = sweep_pools(py);
	if (!ret)
		ret = sweep_chunks(py);
	if (ret)
		return ret;
	if (py->known) {
		mw_py2_numbers(py);
		mw_py_freelists(py);
		mark_system(py);
		mw_py_gc(py);
	}
	sum_others(py);
	return sort_types(py);
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

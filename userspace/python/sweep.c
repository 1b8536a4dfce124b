// SPDX-License-Identifier: GPL-2.0-or-later
/* Live blocks looked at, pool by pool and chunk by chunk, each part of them by one thread. */
#include <errno.h>
#include <stdlib.h>

#include "python/python_impl.h"
#include "util/bytes.h"

/* Include/internal/pycore_mimalloc.h: what a page of mimalloc is for; pools have no tag. */
enum { TAG_MEMORY = 0, TAG_GC_PRE = 3 };

enum { LOOK = 96, LOWEST_POINTER = 1 << 20 };

/*
 * ---- objects ----------------------------------------------------------------------------------
 */

/*
 * Whatever it is the count of. This spares looking for a type where the collector's head has a link
 * to another, which is most often.
 */
static bool is_no_count(const struct mw_python *py, const uint8_t *object)
{
	uint64_t count = mw_u64_at(object + py->layout.ob_refcnt);

	if (py->layout.free_threaded)
		return false;
	return count >> 32 & (py->info.hex >= MW_PY_VERSION(3, 14, 0) ? 0xffff : UINT32_MAX);
}

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
	return (uint32_t)count && !is_no_count(py, object);
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
		return t->kind == MW_PY_KIND_LONG || t->kind == MW_PY_KIND_STR ||
		       t->basicsize - mw_py_library_short_by(py, t, addr) <= avail - t->pre;
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
	uint32_t dead = 0;

	for (size_t i = 0; i < py->before_count; i++) {
		uint32_t before = py->before[i], label;
		const struct mw_py_type *t;
		uint64_t count;
		int32_t type;

		if (before + (uint32_t)l->object_size > size)
			break;
		if (py->tag && (before != 0) != (py->tag == TAG_GC_PRE))
			continue;
		if (is_no_count(py, p + before))
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
		/*
		 * Of an object that the collector never tracked, its head may still hold what the
		 * block had before: a dead object's type. Then an object behind it is alive.
		 */
		if (!count) {
			dead = dead ? dead : mw_py_label(MW_PY_ROLE_PARKED, label);
			continue;
		}
		if (is_tracked(py, t, p + before, addr + before))
			label |= MW_PY_LABEL_TRACKED;
		return mw_py_label(MW_PY_ROLE_LIVE, label);
	}
	return dead ? dead : mw_py_label(MW_PY_ROLE_OTHER, 0);
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
	if (mw_py_label_role(*label) <= MW_PY_ROLE_OTHER)
		return;
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
	if (mw_py_note_length(py, type, addr + t->pre))
		py->no_memory = true;
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
static void allot(struct mw_python *py, const struct mw_py_part *part)
{
	for (size_t i = part->pool; i < part->pool_end; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		if (pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t k = 0; k < pool->handed_out; k++)
			py->labels[pool->label + k] = mw_py_label(MW_PY_ROLE_OTHER, 0);
	}
}

size_t mw_py_together(const struct mw_python *py, size_t i, size_t end, uint64_t *size)
{
	uint64_t start = py->pools[i].addr, to = start + py->pools[i].size;
	size_t n = 1;

	while (i + n < end && py->pools[i + n].addr == to &&
	       to + py->pools[i + n].size - start <= MW_PY_SWEEP)
		to += py->pools[i + n++].size;
	*size = to - start;
	return n;
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

/* COUNT pools that lie side by side, whose bytes BUF gets. */
static void sweep_together(struct mw_python *py, struct mw_py_pool *pools, size_t count,
			   uint64_t size, uint8_t *buf)
{
	ssize_t got = mw_image__read(py->image, pools[0].addr, buf, size);

	hold(py, buf, pools[0].addr, got > 0 ? (uint64_t)got : 0);
	for (size_t k = 0; k < count; k++) {
		struct mw_py_pool *pool = &pools[k];
		uint64_t offset = pool->addr - pools[0].addr;

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

static int sweep_pools(void *arg, size_t i, struct mw_python *py)
{
	const struct mw_py_part *part = (const struct mw_py_part *)arg + i;
	/* Reading a block's last bytes may go up to LOOK beyond its end. */
	uint8_t *buf = calloc(1, MW_PY_SWEEP + LOOK);

	if (!buf)
		return -ENOMEM;
	allot(py, part);
	for (size_t k = part->pool, n; k < part->pool_end; k += n) {
		uint64_t size;

		n = mw_py_together(py, k, part->pool_end, &size);
		if (size <= MW_PY_SWEEP)
			sweep_together(py, &py->pools[k], n, size, buf);
		else if (py->pools[k].state <= MW_PY_POOL_FULL)
			sweep_pool(py, &py->pools[k], NULL, buf);
	}
	free(buf);
	return 0;
}

static int sweep_chunks(void *arg, size_t n, struct mw_python *py)
{
	const struct mw_py_part *part = (const struct mw_py_part *)arg + n;
	struct mw_read_buffer w;

	if (mw_read_buffer__init(&w, py->image))
		return -ENOMEM;
	for (size_t i = part->chunk; i < part->chunk_end; i++) {
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

int mw_py_sweep(struct mw_python *py)
{
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	size_t pools, count = mw_py_divide(py, parts, &pools);
	int ret = mw_py_label_in_parts(py, parts, pools, sweep_pools, parts);

	/* Whose owner is in a pool has been labelled. */
	if (!ret)
		ret = mw_py_label_in_parts(py, parts + pools, count - pools, sweep_chunks,
					   parts + pools);
	return ret;
}

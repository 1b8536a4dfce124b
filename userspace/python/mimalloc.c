// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mimalloc 2.1 as CPython has it (Objects/mimalloc, Include/internal/mimalloc): segments, which are
 * aligned to 32 MiB and cut into slices of 64 KiB; pages of one or more slices; blocks of one size
 * in a page. Here a segment is an arena and a page is a pool. Segments are found by their place and
 * by what their heads say, so that those of threads that are gone are found, too.
 */
#include <errno.h>
#include <stdlib.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"

enum {
	SLICE = 64 << 10,
	SLICES_MAX = 512, /* of a segment, its first ones for its own head */
};

#define SEGMENT	    (32ULL << 20)
#define SEGMENT_MAX (1ULL << 40) /* a huge one, made for one block */
#define HUGE_BLOCK  (1ULL << 31) /* xblock_size from here on: the page has one block */

/*
 * Is there a segment at ADDR? Its sizes agree, and its cookie is its address and a number that all
 * segments of a process share (_mi_ptr_cookie()).
 */
static bool is_segment(struct mw_python *py, const struct mw_py_layout *l, uint64_t addr,
		       uint64_t *secret)
{
	uint64_t size = mw_py_field(py, addr, l->mi_segment_size);
	uint64_t slices = mw_py_field(py, addr, l->mi_segment_slices);
	uint64_t info = mw_py_field(py, addr, l->mi_segment_info_slices);
	uint64_t entries = mw_py_field(py, addr, l->mi_segment_entries);
	uint64_t mine = mw_py_field(py, addr, l->mi_segment_cookie) ^ addr;

	if (!slices || size != slices * SLICE || size > SEGMENT_MAX || !info || info >= slices ||
	    !entries || entries > SLICES_MAX + 1 || entries > slices + 1)
		return false;
	if (*secret && *secret != mine)
		return false;
	*secret = mine;
	return true;
}

/* Where a page's first block begins in its first slice (_mi_segment_page_start_from_slice()). */
static uint32_t start_offset(uint64_t block_size)
{
	if (block_size >= 8 && block_size <= 64)
		return (uint32_t)(3 * block_size);
	return block_size <= 512 ? (uint32_t)block_size : 0;
}

/* mimalloc has about 70 sizes. Sizes beyond the table are in the sums but have no row. */
static void add_to_class(struct mw_python *py, const struct mw_py_pool *pool)
{
	size_t i = 0;

	if (pool->state > MW_PY_POOL_FULL || pool->block_size > UINT32_MAX)
		return;
	while (i < MW_PY_CLASSES && py->info.classes[i].pools &&
	       py->info.classes[i].size != pool->block_size)
		i++;
	if (i == MW_PY_CLASSES)
		return;
	py->info.classes[i].size = (uint32_t)pool->block_size;
	py->info.classes[i].pools++;
	py->info.classes[i].used += pool->used;
	py->info.classes[i].free += pool->capacity - pool->used;
}

static int by_size(const void *a, const void *b)
{
	const struct mw_py_class *x = a, *y = b;
	/* Rows without pools go last. */
	uint64_t p = x->pools ? x->size : UINT64_MAX, q = y->pools ? y->size : UINT64_MAX;

	return p < q ? -1 : p > q;
}

/* The struct mi_page_s of slice I. */
static uint64_t page_at(const struct mw_python *py, uint64_t segment, uint64_t i)
{
	return segment + (uint64_t)py->layout.mi_segment_entry +
	       i * (uint64_t)py->layout.mi_page_size;
}

void mw_py_read_page(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t page = pool->page;
	uint64_t size = mw_pages_word32(&py->pages, page + (uint64_t)l->mi_page_block_size);
	uint16_t capacity = 0, reserved = 0;
	uint8_t flags = 0;

	pool->first = 0;
	pool->used = mw_pages_word32(&py->pages, page + (uint64_t)l->mi_page_used);
	if (!size)
		return;
	mw_pages_read(&py->pages, page + (uint64_t)l->mi_page_capacity, &capacity, 2);
	mw_pages_read(&py->pages, page + (uint64_t)l->mi_page_reserved, &reserved, 2);
	mw_pages_read(&py->pages, page + 8, &flags, 1);
	pool->first = size >= HUGE_BLOCK ? 0 : start_offset(size);
	pool->block_size = size >= HUGE_BLOCK ? pool->size : size;
	pool->capacity = reserved;
	pool->handed_out = capacity;
	pool->tag = flags >> 3 & 15; /* struct mi_page_s: three flags, then `tag` */
	if (capacity > reserved || pool->used > capacity || pool->first > pool->size ||
	    reserved > (pool->size - pool->first) / pool->block_size) {
		mw_doubts__add(doubts, page, "page of mimalloc with impossible counts",
			       mw_seen((uint64_t)capacity << 16 | reserved, pool->used));
		pool->block_size = 0;
		pool->capacity = pool->handed_out = pool->used = 0;
		return;
	}
	/* A page that is retired keeps its blocks' size, but has none in use. */
	pool->state = !pool->used		     ? MW_PY_POOL_FREE
		      : pool->used == pool->capacity ? MW_PY_POOL_FULL
						     : MW_PY_POOL_USED;
}

/* Add the page that begins with slice I of SEGMENT, or the unused slices from there on. */
static int add_page(struct mw_python *py, struct mw_py_arena *a, uint64_t i, uint64_t count)
{
	struct mw_py_pool pool = {
		.addr = a->addr + i * SLICE,
		.size = count * SLICE,
		.page = page_at(py, a->addr, i),
	};
	struct mw_doubts doubts;

	/* A huge one may end elsewhere. */
	if (pool.addr + pool.size > a->addr + a->size)
		pool.size = a->addr + a->size - pool.addr;
	mw_py_begin(py, &doubts);
	do {
		mw_py_read_pool(py, &pool, &doubts);
	} while (mw_py_again(py, &doubts));
	add_to_class(py, &pool);
	return mw_py_add_pool(py, a, pool);
}

/* How many slices the page that begins with slice I of the segment A has; 0: there is none. */
static uint64_t count_slices(struct mw_python *py, const struct mw_py_arena *a, uint64_t i)
{
	uint64_t page = page_at(py, a->addr, i), left = a->size / SLICE - i, count;
	struct mw_doubts doubts;

	mw_py_begin(py, &doubts);
	do {
		count = mw_pages_word32(&py->pages, page);
		if (!count || count > left)
			mw_doubts__add(&doubts, page, "slices of a segment do not add up", count);
	} while (mw_py_again(py, &doubts));
	return count <= left ? count : 0;
}

static int add_segment(struct mw_python *py, uint64_t segment)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t slices = mw_py_field(py, segment, l->mi_segment_slices);
	uint64_t entries = mw_py_field(py, segment, l->mi_segment_entries);
	uint64_t i = mw_py_field(py, segment, l->mi_segment_info_slices), count;
	struct mw_py_arena a = {.addr = segment, .size = slices * SLICE};
	int ret = 0;

	a.first_pool = (uint32_t)py->pool_count;
	for (; !ret && i < entries && i < slices; i += count) {
		count = count_slices(py, &a, i);
		if (!count)
			break;
		ret = add_page(py, &a, i, count);
	}
	if (ret || mw_array_reserve(&py->arenas, &py->arena_capacity, py->arena_count + 1,
				    sizeof(*py->arenas)))
		return -ENOMEM;
	py->arenas[py->arena_count++] = a;
	mw_py_add_totals(py, &a);
	return 0;
}

int mw_py_mimalloc(struct mw_python *py, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(py->image);
	const struct mw_py_layout *l = &py->layout;
	uint64_t secret = 0, done = 0;
	int ret = 0;

	if (l->mi_segment_entry < 0 || l->mi_page_size < 0)
		return 0;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		uint64_t at = map->start < done ? done : map->start;

		if (!map->writable || map->inode || map->shared)
			continue;
		for (; !ret &&
		       (at = mw_image__next_held(py->image, at, SEGMENT, map->end)) < map->end;
		     at++) {
			if (!is_segment(py, l, at, &secret))
				continue;
			ret = add_segment(py, at);
			if (!ret)
				done = at + py->arenas[py->arena_count - 1].size;
		}
	}
	if (ret)
		return mw_err_no_memory(err, mw_image__name(py->image));
	qsort(py->info.classes, MW_PY_CLASSES, sizeof(py->info.classes[0]), by_size);
	if (py->arena_count) {
		py->info.allocator = "mimalloc";
		mw_py_evidence(py, "mimalloc's segments by their content");
	}
	return 0;
}

/*
 * Free blocks are on three lists (struct mi_page_s): `free`, `local_free`, and what other threads
 * freed, whose pointer has two bits of state. They are not encoded in CPython's builds.
 */
bool mw_py_page_free(struct mw_python *py, const struct mw_py_pool *pool, uint64_t *free,
		     uint32_t *count)
{
	const struct mw_py_layout *l = &py->layout;
	uint32_t counted = 0;
	bool whole = mw_py_pool_list(py, pool, mw_py_field(py, pool->page, l->mi_page_free), free,
				     &counted) &&
		     mw_py_pool_list(py, pool, mw_py_field(py, pool->page, l->mi_page_local_free),
				     free, &counted);

	*count = counted;
	counted = 0;
	/* mi_page_s.used counts what other threads freed as used until its own one has seen it. */
	return whole && mw_py_pool_list(py, pool,
					mw_py_field(py, pool->page, l->mi_page_thread_free) & ~3ULL,
					free, &counted);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mimalloc 2 in an image: segments, which are aligned to 32 MiB and cut into slices of 64 KiB,
 * pages of one or more slices, blocks of one size in a page. Segments are found by their place and
 * by what their heads say, so that those of threads that are gone are found, too.
 *
 * Source: include/mimalloc/types.h and src/segment.c of the releases in the table, whose release
 * build does not encode the lists of free blocks. The build in CPython is python/mimalloc.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/slabs.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

/* Where the first block of a page is. */
enum start {
	START_FIXED,	/* START_OFFSET bytes into pages of blocks up to START_LIMIT bytes */
	START_MULTIPLE, /* three blocks into those of up to 64 bytes, one of up to 512 */
	START_IN_PAGE,	/* the page says so */
};

/* Offsets in struct mi_segment_s and mi_page_s. A version is a row. */
struct layout {
	const char *versions;
	enum start start;
	uint16_t used, cookie, slices, info_slices, entries, pages; /* of the segment */
	uint16_t page_size; /* bytes of a page's structure, whose members follow */
	uint16_t capacity, reserved, free, in_use, block_size, local_free, thread_free, page_start;
	uint8_t in_use_bytes, block_size_bytes;
};

static const struct layout layouts[] = {
	{"2.0.9", START_FIXED, 208, 216, 224, 232, 248, 264, 80, 10, 12, 16, 24, 28, 32, 40, 0, 4,
	 4},
	{"2.1.0 to 2.1.2", START_MULTIPLE, 208, 216, 224, 232, 248, 264, 80, 10, 12, 16, 24, 28, 32,
	 40, 0, 4, 4},
	{"2.1.4 to 2.1.7", START_IN_PAGE, 208, 216, 224, 232, 248, 264, 96, 10, 12, 16, 32, 40, 24,
	 56, 48, 2, 8},
	{"2.1.9 to 2.4.1", START_IN_PAGE, 216, 224, 248, 256, 272, 288, 96, 10, 12, 16, 32, 40, 24,
	 56, 48, 2, 8},
};

enum {
	SLICE = 64 << 10,
	SLICES = 512, /* of a segment, but for huge ones */
	HEAD_MAX = 288 + 96 * (SLICES + 1),
	HEAD_PAGES = 13,    /* of 4 KiB, that hold it */
	START_OFFSET = 384, /* of the first block of a page of small ones */
	START_LIMIT = 1024,
	CONTENT_MAX = 32 << 20,
	TRIES = 1 << 16, /* places where a segment may be: of 2 TiB of address space */
};

#define SEGMENT	    (32ULL << 20)
#define SEGMENT_MAX (1ULL << 40)
#define HUGE_BLOCK  (1ULL << 31) /* xblock_size from here on: the page has one block */

struct mimalloc {
	struct mw_slab_heap heap;
	const struct layout *layout;
	uint64_t secret; /* cookies are made of it and the segment's address */
};

struct segment {
	uint64_t addr, slices, info_slices, entries, used;
	uint8_t head[HEAD_MAX];
};

static const uint8_t *page_of(const struct layout *l, const struct segment *s, uint64_t i)
{
	return s->head + l->pages + i * l->page_size;
}

static uint64_t number_at(const uint8_t *p, uint8_t bytes)
{
	uint64_t n = 0;

	memcpy(&n, p, bytes);
	return n;
}

/* What a page's structure says of its blocks. */
struct page {
	uint64_t size, first;			/* SIZE: bytes of a block, 0: the page is free */
	uint64_t free, local_free, thread_free; /* first blocks of its lists */
	uint32_t capacity, reserved, in_use;
};

/* The page of S with COUNT slices from I on. False: it is not possible. */
static bool read_page(const struct layout *l, const struct segment *s, uint64_t i, uint64_t count,
		      struct page *page)
{
	const uint8_t *p = page_of(l, s, i);
	uint64_t start = s->addr + i * SLICE, end = start + count * SLICE;
	uint64_t size = number_at(p + l->block_size, l->block_size_bytes);

	*page = (struct page){.size = size >= HUGE_BLOCK ? end - start : size, .first = start};
	/* Those that no thread has yet say 0 or 1. */
	if (size < 8 || !s->used) {
		page->size = 0;
		return true;
	}
	page->capacity = (uint32_t)number_at(p + l->capacity, 2);
	page->reserved = (uint32_t)number_at(p + l->reserved, 2);
	page->in_use = (uint32_t)number_at(p + l->in_use, l->in_use_bytes);
	page->free = mw_u64_at(p + l->free);
	page->local_free = mw_u64_at(p + l->local_free);
	page->thread_free = mw_u64_at(p + l->thread_free) & ~3ULL;
	if (l->start == START_IN_PAGE)
		page->first = mw_u64_at(p + l->page_start);
	else if (l->start == START_FIXED)
		page->first += size <= START_LIMIT ? START_OFFSET : 0;
	else
		page->first += size <= 64 ? 3 * size : size <= 512 ? size : 0;
	return page->first >= start && page->first < end && page->reserved &&
	       page->capacity <= page->reserved && page->in_use <= page->capacity &&
	       page->reserved <= (end - page->first) / page->size;
}

/* As many blocks as fit: what tells versions apart that only put the first one elsewhere. */
static bool is_full(const struct page *page, uint64_t end)
{
	uint64_t fit = (end - page->first) / page->size;

	return page->reserved == (fit < UINT16_MAX ? fit : UINT16_MAX) || page->reserved == 1;
}

/* The pages of a segment follow each other up to its end, and their blocks fill them. */
static bool pages_add_up(const struct layout *l, const struct segment *s)
{
	uint64_t i = s->info_slices;
	struct page page;

	while (i < s->entries && i < s->slices) {
		uint64_t count = mw_u32_at(page_of(l, s, i));

		if (!count || count > s->slices - i || !read_page(l, s, i, count, &page) ||
		    (page.size && !is_full(&page, s->addr + (i + count) * SLICE)))
			return false;
		i += count;
	}
	return i >= s->slices || i >= s->entries;
}

/* Is there a segment at ADDR? Its secret, once known, is the same for all. */
static bool read_segment(struct mimalloc *mi, uint64_t addr, struct segment *s)
{
	const struct layout *l = mi->layout;
	struct mw_image *image = mi->heap.base.image;
	uint64_t secret;

	/* Whole pages: those that the target did not touch are not touched now. */
	_Static_assert(HEAD_MAX <= HEAD_PAGES * 4096, "what is read of a segment");
	uint8_t raw[HEAD_PAGES * 4096];

	if (!mw_image__read_all(image, addr, raw, 2 * 4096))
		return false;
	s->addr = addr;
	s->used = mw_u64_at(raw + l->used);
	s->slices = mw_u64_at(raw + l->slices);
	s->info_slices = mw_u64_at(raw + l->info_slices);
	s->entries = mw_u64_at(raw + l->entries);
	secret = mw_u64_at(raw + l->cookie) ^ addr;
	if (!s->slices || s->slices > SEGMENT_MAX / SLICE || !s->info_slices ||
	    s->info_slices >= s->slices || !s->entries || s->entries > SLICES + 1 ||
	    s->entries > s->slices + 1 || s->used > s->slices ||
	    (mi->secret && mi->secret != secret) ||
	    !mw_image__read_all(image, addr, raw, sizeof(raw)))
		return false;
	memcpy(s->head, raw, sizeof(s->head));
	if (!pages_add_up(l, s))
		return false;
	mi->secret = secret;
	return true;
}

/* The same, of a process that runs: a segment whose cookie is right may be in the middle of it. */
static bool insist_on_segment(struct mimalloc *mi, uint64_t addr, struct segment *s)
{
	struct mw_doubts doubts;
	uint64_t cookie;
	bool right;

	mw_doubts__begin(&doubts, mi->heap.base.image, &mi->heap.base.problems);
	do {
		right = read_segment(mi, addr, s);
		if (!right && mi->secret &&
		    mw_image__read_u64(mi->heap.base.image, addr + mi->layout->cookie, &cookie) &&
		    (cookie ^ addr) == mi->secret)
			mw_doubts__add(&doubts, addr, "segment whose pages do not add up", s->used);
	} while (mw_doubts__again(&doubts));
	return right;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Mark what is free of SLAB by the lists of its PAGE; false: not as many as PAGE says. */
static bool read_lists(struct mimalloc *mi, const struct mw_slab *slab, const struct page *page)
{
	uint64_t size = slab->size * page->capacity;
	_cleanup_free_ uint8_t *content = NULL;
	struct mw_slabs *slabs = &mi->heap.slabs;
	uint32_t n = 0;

	for (uint32_t i = 0; i < slab->count; i++)
		mw_slabs__set(slabs, slab, i, i < page->capacity ? MW_OBJECT_LIVE : MW_OBJECT_FREE);
	if (!page->capacity || size > CONTENT_MAX ||
	    (!page->free && !page->local_free && !page->thread_free))
		return page->capacity == page->in_use || size > CONTENT_MAX;
	content = malloc(size);
	if (content && mw_image__read_all(mi->heap.base.image, slab->first, content, size)) {
		n = mw_slabs__free_list(slabs, slab, page->free, content);
		n += mw_slabs__free_list(slabs, slab, page->local_free, content);
		mw_slabs__free_list(slabs, slab, page->thread_free, content);
	}
	/* What other threads freed counts as used until the page's thread has seen it. */
	return page->capacity - n == page->in_use;
}

/* Read page I of S once more: it must be the one that PAGE was. */
static bool read_again(struct mimalloc *mi, struct segment *s, uint64_t i, uint64_t count,
		       struct page *page)
{
	const struct layout *l = mi->layout;
	uint64_t at = l->pages + i * l->page_size;
	struct page now;

	if (!mw_image__read_all(mi->heap.base.image, s->addr + at, s->head + at, l->page_size) ||
	    mw_u32_at(s->head + at) != count || !read_page(l, s, i, count, &now) ||
	    now.size != page->size || now.first != page->first || now.reserved != page->reserved)
		return false;
	*page = now;
	return true;
}

/* The blocks of page I of S, which is PAGE and was added as SLAB. */
static void find_free(struct mimalloc *mi, const struct mw_slab *slab, struct segment *s,
		      uint64_t i, struct page *page)
{
	uint64_t count = (slab->end - slab->start) / SLICE;
	struct mw_doubts doubts;

	mw_doubts__begin(&doubts, mi->heap.base.image, &mi->heap.base.problems);
	do {
		if (doubts.attempt && !read_again(mi, s, i, count, page))
			mw_doubts__add_race(&doubts);
		else if (!read_lists(mi, slab, page))
			mw_doubts__add(&doubts, slab->start,
				       "page whose free blocks are not as many as it says",
				       mw_seen(page->free, page->in_use));
	} while (mw_doubts__again(&doubts));
}

static int add_page(struct mimalloc *mi, struct segment *s, uint64_t i, uint64_t count)
{
	struct mw_slab slab = {.start = s->addr + i * SLICE,
			       .end = s->addr + (i + count) * SLICE,
			       .kind = MW_BLOCK_PAGES};
	const struct mw_slab *added;
	struct page page;

	/* Pages were right when their segment was. */
	if (read_page(mi->layout, s, i, count, &page) && page.size) {
		slab.first = page.first;
		slab.size = page.size;
		slab.count = page.reserved;
	}
	added = mw_slabs__add(&mi->heap.slabs, &slab);
	if (!added)
		return -ENOMEM;
	if (added->count)
		find_free(mi, added, s, i, &page);
	return 0;
}

static int add_segment(struct mimalloc *mi, struct segment *s)
{
	const struct mw_slab info = {.start = s->addr,
				     .end = s->addr + s->info_slices * SLICE,
				     .kind = MW_BLOCK_OVERHEAD};
	uint64_t i = s->info_slices;
	int ret = mw_slabs__add(&mi->heap.slabs, &info) ? 0 : -ENOMEM;

	while (!ret && i < s->entries && i < s->slices) {
		uint64_t count = mw_u32_at(page_of(mi->layout, s, i));

		ret = add_page(mi, s, i, count);
		i += count;
	}
	return ret;
}

/* ---- segments ------------------------------------------------------------------------------- */

/*
 * Count all segments, and add them if ADD. Of one only its head need be committed. mimalloc
 * reserves a GiB at a time: what is larger by far, such as a sanitizer's shadow, is somebody
 * else's.
 */
static int each_segment(struct mimalloc *mi, bool add, size_t *count)
{
	const struct mw_regions *regions = mw_image__regions(mi->heap.base.image);
	_cleanup_free_ struct segment *s = malloc(sizeof(*s));
	uint64_t done = 0;
	unsigned int tries = 0;
	int ret = s ? 0 : -ENOMEM;

	*count = 0;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		uint64_t at = map->start < done ? done : map->start;

		if (!map->writable || map->inode || map->shared || regions->regions[i].io ||
		    !regions->regions[i].resident || map->end - map->start > TRIES * SEGMENT)
			continue;
		for (; !ret && tries < TRIES &&
		       (at = mw_image__next_held(mi->heap.base.image, at, SEGMENT, map->end)) <
			       map->end &&
		       map->end - at >= HEAD_PAGES * 4096;
		     at++) {
			tries++;
			if (add ? !insist_on_segment(mi, at, s) : !read_segment(mi, at, s))
				continue;
			++*count;
			ret = add ? add_segment(mi, s) : 0;
			done = at + s->slices * SLICE;
		}
	}
	return ret;
}

static int mimalloc_read(struct mw_slab_heap *heap)
{
	struct mimalloc *mi = (struct mimalloc *)heap;
	int ret = mw_slab_heap__add_arena(heap, 0) ? 0 : -ENOMEM;
	size_t count;

	if (!ret)
		ret = each_segment(mi, true, &count);
	if (!ret) {
		mw_slab_heap__sort(heap, "segments that overlap");
		if (heap->slabs.count)
			heap->arenas[0].addr = heap->slabs.list[0].start;
	}
	return ret;
}

/* The layout that most segments fit: one with few pages may fit two. */
static int find(struct mimalloc *mi, struct mw_err *err)
{
	const struct layout *best = NULL;
	size_t most = 0, count;
	uint64_t secret = 0;

	for (size_t i = 0; i < MW_ARRAY_SIZE(layouts); i++) {
		mi->layout = &layouts[i];
		mi->secret = 0;
		if (each_segment(mi, false, &count))
			return mw_err_no_memory(err, NULL);
		if (count <= most)
			continue;
		most = count;
		best = mi->layout;
		secret = mi->secret;
	}
	if (!best)
		return mw_heap_not_found(mi->heap.base.image, "mimalloc", err);
	mi->layout = best;
	mi->secret = secret;
	snprintf(mi->heap.version, sizeof(mi->heap.version), "%s", best->versions);
	mw_heap__add_evidence(&mi->heap.base, "segments: their pages add up, and their cookies are "
					      "their addresses");
	return 0;
}

static void mimalloc_close(struct mw_heap *heap)
{
	mw_slab_heap__free((struct mw_slab_heap *)heap);
	free(heap);
}

static struct mw_heap *mimalloc_open(struct mw_image *image, struct mw_err *err)
{
	struct mimalloc *mi = calloc(1, sizeof(*mi));
	int ret;

	if (!mi) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	mw_heap__init(&mi->heap.base, &mw_mimalloc_ops, image);
	mi->heap.read = mimalloc_read;
	ret = find(mi, err);
	if (ret) {
		mimalloc_close(&mi->heap.base);
		errno = -ret;
		return NULL;
	}
	return &mi->heap.base;
}

const struct mw_heap_ops mw_mimalloc_ops = {
	.name = "mimalloc",
	.kinds = 1 << MW_BLOCK_LIVE | 1 << MW_BLOCK_BIN | 1 << MW_BLOCK_PAGES |
		 1 << MW_BLOCK_OVERHEAD,
	.open = mimalloc_open,
	.close = mimalloc_close,
	.info = mw_slab_heap__info,
	.blocks = mw_slab_heap__blocks,
	.find = mw_slab_heap__find,
	.span = mw_slab_heap__span,
};

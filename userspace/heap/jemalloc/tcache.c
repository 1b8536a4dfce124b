// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads' caches. Each arena keeps a ring of descriptors, one for each cache, which lie in the
 * threads' local storage and point to an array of bins (struct cache_bin_array_descriptor_s in
 * cache_bin.h). A ring that closes and bins whose stacks hold objects of their size class need no
 * further proof, so the arenas are searched for them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/jemalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/u64map.h"

enum {
	BIN = 24,	  /* bytes of struct cache_bin_s, all versions */
	BINS_MAX = 73,	  /* TCACHE_NBINS_MAX of 5.3 */
	ITEMS_MAX = 8192, /* a stack's positions are known by 16 bits of their addresses */
	RING_MAX = 1 << 20,
	SCANNED = 1 << 20, /* bytes of a block of base in which its arena is */
};

struct item {
	uint64_t addr;
	uint32_t size_class;
};

struct search {
	struct mw_jemalloc *je;
	const struct mw_jemalloc_layout *layout;
	struct mw_u64map seen; /* descriptors */
	struct item *items;    /* of one cache */
	size_t count, capacity;
	struct mw_read_buffer window;
	int error;
};

/* A stack of cached objects. */
struct stack {
	uint64_t at; /* of COUNT pointers */
	uint32_t count;
};

/* The stack of the bin at P; false: this is not a bin. A bin that is not in use has none. */
static bool read_bin(const struct mw_jemalloc_layout *layout, const uint8_t *p, struct stack *stack)
{
	uint64_t head = mw_u64_at(p), avail = mw_u64_at(p + 16);
	uint32_t words[2] = {mw_u32_at(p + 16), mw_u32_at(p + 20)};
	uint16_t full = (uint16_t)(words[0] >> 16), empty = (uint16_t)words[1];
	int32_t low_water = (int32_t)mw_u32_at(p), cached = (int32_t)mw_u32_at(p + 4);

	if (layout->new_caches) {
		uint16_t bytes = (uint16_t)(empty - (uint16_t)head);

		*stack = (struct stack){head, bytes / 8U};
		return head && head % 8 == 0 && head < 1ULL << 47 && bytes % 8 == 0 &&
		       bytes <= (uint16_t)(empty - full);
	}
	*stack = (struct stack){avail - 8 * (uint64_t)(uint32_t)cached, (uint32_t)cached};
	return avail && avail % 8 == 0 && avail < 1ULL << 47 && cached >= 0 && cached < ITEMS_MAX &&
	       low_water >= -1 && low_water <= cached;
}

/* Is the object at ADDR one of SIZE_CLASS that is allocated, as those in caches are? */
static const struct mw_slab *cached_object(const struct mw_jemalloc *je, const struct item *item,
					   uint32_t *i)
{
	const struct mw_slab *slab = mw_slabs__object(&je->heap.slabs, item->addr, i);

	return slab && slab->first + slab->size * *i == item->addr &&
			       slab->size == mw_jemalloc_size(item->size_class) &&
			       mw_slabs__state(&je->heap.slabs, slab, *i) == MW_OBJECT_LIVE
		       ? slab
		       : NULL;
}

static void read_stack(struct search *s, const struct stack *stack, uint32_t size_class)
{
	for (uint32_t i = 0; i < stack->count; i++) {
		const uint8_t *p = mw_read_buffer__at(&s->window, stack->at + 8ULL * i, 8);

		if (!p)
			return;
		s->error =
			mw_array_reserve(&s->items, &s->capacity, s->count + 1, sizeof(*s->items));
		if (s->error)
			return;
		s->items[s->count++] = (struct item){mw_u64_at(p), size_class};
	}
}

/* Are BINS bins of size class FIRST and up? Adds what they hold. Small ones are all in use. */
static bool read_bins(struct search *s, const uint8_t *bins, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct stack stack;

		if (!read_bin(s->layout, bins + (size_t)BIN * i, &stack))
			return first + i >= MW_JEMALLOC_BINS;
		read_stack(s, &stack, first + i);
	}
	return true;
}

/* The cache whose descriptor is at ADDR: its objects. False: it is not a descriptor. */
static bool read_cache(struct search *s, uint64_t addr, uint64_t *tables)
{
	struct mw_image *image = s->je->heap.base.image;
	uint8_t bins[BIN * BINS_MAX];
	uint32_t count = s->layout->new_caches ? BINS_MAX : MW_JEMALLOC_BINS;
	uint64_t d[4];
	struct stack stack;

	s->count = 0;
	if (!mw_image__read_all(image, addr, d, sizeof(d)) ||
	    !mw_image__read_all(image, d[2], bins, BIN * (size_t)count) ||
	    !read_bin(s->layout, bins, &stack))
		return false;
	*tables = s->layout->new_caches ? stack.at : stack.at + 8ULL * stack.count - 8;
	if (!read_bins(s, bins, 0, count))
		return false;
	/* Before 5.3 large bins are an array of their own, as long as the size classes. */
	if (!s->layout->new_caches &&
	    mw_image__read_all(image, d[3], bins, BIN * (BINS_MAX - MW_JEMALLOC_BINS)))
		read_bins(s, bins, MW_JEMALLOC_BINS, BINS_MAX - MW_JEMALLOC_BINS);
	return !s->error;
}

static void mark(struct mw_jemalloc *je, const struct item *items, size_t count, uint64_t tables)
{
	struct mw_slabs *slabs = &je->heap.slabs;
	const struct mw_slab *slab;
	uint32_t i;

	for (size_t k = 0; k < count; k++) {
		slab = cached_object(je, &items[k], &i);
		if (slab)
			mw_slabs__set(slabs, slab, i, MW_OBJECT_CACHED);
	}
	slab = mw_slabs__object(slabs, tables, &i);
	if (slab)
		mw_slabs__set(slabs, slab, i, MW_OBJECT_OWN);
}

static void add_cache(struct search *s, uint64_t addr)
{
	struct mw_problems *problems = &s->je->heap.base.problems;
	struct mw_doubts doubts;
	uint64_t tables = 0;

	if (!read_cache(s, addr, &tables))
		return;
	s->je->heap.caches++;
	mw_doubts__begin(&doubts, s->je->heap.base.image, problems);
	for (size_t i = 0; i < s->count; i++) {
		uint32_t index;

		if (!cached_object(s->je, &s->items[i], &index))
			mw_doubts__add(&doubts, s->items[i].addr,
				       "cached object that is not allocated", addr);
	}
	/* What was allocated was read before: of a process that runs that is another moment. */
	if (mw_image__is_still(s->je->heap.base.image))
		mw_doubts__again(&doubts);
	else
		mw_doubts__dismiss(&doubts);
	mark(s->je, s->items, s->count, tables);
}

/* Does a ring go through ADDR: do both neighbours point back? */
static bool in_ring(struct mw_image *image, uint64_t addr, uint64_t link[2])
{
	uint64_t back;

	return mw_image__read_all(image, addr, link, 16) && link[0] && link[1] &&
	       link[0] % 8 == 0 && link[1] % 8 == 0 &&
	       mw_image__read_u64(image, link[0] + 8, &back) && back == addr &&
	       mw_image__read_u64(image, link[1], &back) && back == addr;
}

static void follow_ring(struct search *s, uint64_t addr)
{
	uint64_t link[2];

	for (int i = 0; i < RING_MAX && !s->error && !mw_u64map__find(&s->seen, addr); i++) {
		s->error = mw_u64map__set(&s->seen, addr, s);
		if (s->error || !in_ring(s->je->heap.base.image, addr, link))
			return;
		add_cache(s, addr);
		addr = link[0];
	}
}

static bool in_own_memory(const struct mw_jemalloc *je, uint64_t addr)
{
	const struct mw_slab *slab = mw_slabs__at(&je->heap.slabs, addr);

	return slab && !slab->count && slab->kind == MW_BLOCK_OVERHEAD;
}

static bool in_node(const struct mw_jemalloc *je, uint64_t addr)
{
	for (size_t i = 0; i < je->node_count; i++) {
		if (addr >= je->nodes[i].start && addr < je->nodes[i].end)
			return true;
	}
	return false;
}

/* Search a block of base for an arena's pointer to a ring. */
static int search_block(struct search *s, const struct mw_jemalloc_base *block)
{
	uint64_t end = block->addr + (block->used < SCANNED ? block->used : SCANNED);
	struct mw_read_buffer w;
	int ret = mw_read_buffer__init(&w, s->je->heap.base.image);

	for (uint64_t at = block->addr; !ret && !s->error && at + 8 <= end; at += 8) {
		const uint8_t *p = mw_read_buffer__at(&w, at, 8);
		uint64_t word = p ? mw_u64_at(p) : 0;

		if (word % 8 || word < MW_JEMALLOC_PAGE || word >> 47 ||
		    mw_u64map__find(&s->seen, word) || in_own_memory(s->je, word) ||
		    in_node(s->je, at) || !mw_image__find(s->je->heap.base.image, word))
			continue;
		follow_ring(s, word);
	}
	mw_read_buffer__free(&w);
	return ret;
}

int mw_jemalloc__read_caches(struct mw_jemalloc *je)
{
	struct search s = {.je = je};
	int ret = mw_read_buffer__init(&s.window, je->heap.base.image);

	for (size_t t = 0; !ret && t < je->tree_count; t++) {
		if (t && je->trees[t].layout == je->trees[t - 1].layout)
			continue;
		s.layout = je->trees[t].layout;
		for (size_t i = 0; !ret && i < je->base_count; i++) {
			if (!je->bases[i].next)
				ret = search_block(&s, &je->bases[i]);
			if (!ret)
				ret = s.error;
		}
	}
	mw_read_buffer__free(&s.window);
	mw_u64map__free(&s.seen);
	free(s.items);
	return ret;
}

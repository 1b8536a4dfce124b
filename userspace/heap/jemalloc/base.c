// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jemalloc's own memory: the blocks of `base` (base.h, src/base.c), which begin at multiples of 2
 * MiB with their size, the next block and a structure that describes what is left of them. The last
 * block of a list holds the struct base_s itself, which says which arena it serves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/jemalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/search.h"

enum {
	BLOCK_ALIGN = 2 << 20,
	BLOCK_HEADER = 16 + MW_JEMALLOC_EXTENT,
	BASE_OFFSET = 192, /* of struct base_s in its block: the header, rounded up to 64 bytes */
	BASE_WORDS = 64,   /* in which its pointer to the first block is */
	CHAIN_MAX = 1 << 20,
};

/* Is there a block at ADDR? END: of the memory there. */
static bool read_block(struct mw_image *image, uint64_t addr, uint64_t end,
		       struct mw_jemalloc_base *block)
{
	uint8_t raw[2 * MW_JEMALLOC_PAGE]; /* pages that were not touched are not touched now */
	uint64_t left, left_size;

	if (!mw_image__read_all(image, addr, raw, sizeof(raw)))
		return false;
	*block = (struct mw_jemalloc_base){
		.addr = addr,
		.size = mw_u64_at(raw),
		.next = mw_u64_at(raw + 8),
		.arena = UINT32_MAX,
	};
	left = mw_u64_at(raw + 24);
	left_size = mw_u64_at(raw + 32);
	block->used = left - addr;
	return block->size && block->size % BLOCK_ALIGN == 0 && block->size <= end - addr &&
	       block->next % BLOCK_ALIGN == 0 && block->used >= BLOCK_HEADER &&
	       block->used <= block->size && left_size == block->size - block->used;
}

/* Blocks in region R, between the extents. */
static int search_region(struct mw_jemalloc *je, const struct mw_region *r)
{
	const struct mw_image *image = je->heap.base.image;
	uint64_t addr = r->map.start, end = r->map.end;

	while ((addr = mw_image__next_held(image, addr, BLOCK_ALIGN, end)) < end &&
	       end - addr >= BLOCK_ALIGN) {
		const struct mw_slab *extent = mw_slabs__at(&je->heap.slabs, addr);
		struct mw_jemalloc_base block;

		if (extent) {
			addr = extent->end;
			continue;
		}
		if (!read_block(je->heap.base.image, addr, r->map.end, &block)) {
			addr += BLOCK_ALIGN;
			continue;
		}
		if (mw_array_reserve(&je->bases, &je->base_capacity, je->base_count + 1,
				     sizeof(*je->bases)))
			return -ENOMEM;
		je->bases[je->base_count++] = block;
		addr += block.size;
	}
	return 0;
}

static bool ends_before(const void *at, const void *key)
{
	const struct mw_jemalloc_base *block = at;

	return block->addr + block->size <= *(const uint64_t *)key;
}

static struct mw_jemalloc_base *block_at(const struct mw_jemalloc *je, uint64_t addr)
{
	size_t i = mw_search(je->bases, je->base_count, sizeof(*je->bases), ends_before, &addr);

	return i < je->base_count && je->bases[i].addr <= addr ? &je->bases[i] : NULL;
}

/* Does the list from HEAD on end with LAST? */
static bool leads_to(const struct mw_jemalloc *je, uint64_t head,
		     const struct mw_jemalloc_base *last)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		const struct mw_jemalloc_base *block = block_at(je, head);

		if (!block || block->addr != head)
			return false;
		if (block == last)
			return true;
		head = block->next;
	}
	return false;
}

/* The tree that the blocks from HEAD on belong to is not known: an arena has the same number in
 * each. The first tree's arena 0 is the one with most of the memory.
 */
static void name_blocks(struct mw_jemalloc *je, uint64_t head, uint32_t arena, uint64_t base)
{
	for (int i = 0; i < CHAIN_MAX && head; i++) {
		struct mw_jemalloc_base *block = block_at(je, head);

		if (!block || block->addr != head || block->arena != UINT32_MAX)
			break;
		block->arena = arena;
		head = block->next;
	}
	if (!je->heap.arenas[arena].addr)
		je->heap.arenas[arena].addr = base;
}

/* If BLOCK is the last one of a list, find the arena that the list serves. */
static void find_arena(struct mw_jemalloc *je, const struct mw_jemalloc_base *block)
{
	uint64_t base = block->addr + BASE_OFFSET;
	uint8_t raw[8 * BASE_WORDS];
	uint32_t arena;

	if (block->next || !mw_image__read_all(je->heap.base.image, base, raw, sizeof(raw)))
		return;
	arena = mw_u32_at(raw);
	for (size_t i = 0; i < BASE_WORDS && arena < je->heap.arena_count; i++) {
		uint64_t head = mw_u64_at(raw + 8 * i);

		if (head && head % BLOCK_ALIGN == 0 && leads_to(je, head, block)) {
			name_blocks(je, head, arena, base);
			return;
		}
	}
}

int mw_jemalloc__read_base(struct mw_jemalloc *je)
{
	const struct mw_regions *regions = mw_image__regions(je->heap.base.image);
	int ret = 0;

	for (size_t i = 0; !ret && i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.writable && !r->map.inode && !r->map.shared && !r->io && r->resident)
			ret = search_region(je, r);
	}
	for (size_t i = 0; !ret && i < je->base_count; i++)
		find_arena(je, &je->bases[i]);
	for (size_t i = 0; !ret && i < je->base_count; i++) {
		const struct mw_jemalloc_base *block = &je->bases[i];
		const struct mw_slab slab = {
			.start = block->addr,
			.end = block->addr + block->size,
			.arena = block->arena == UINT32_MAX ? 0 : block->arena,
			.kind = MW_BLOCK_OVERHEAD,
		};

		if (!mw_slabs__add(&je->heap.slabs, &slab))
			ret = -ENOMEM;
	}
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap without its main_arena: a core that was cut short has lost the C library's data first.
 * Threads' heaps still say which arena they are of, at multiples of their greatest size, and what
 * brk gave is a chain of chunks from the first byte of a mapping to its last.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

enum { CHAIN_MIN = 64 };

static const uint64_t HEAP_ALIGN = 64ULL << 20;

static bool is_private(const struct mw_region *r)
{
	return r->map.writable && !r->map.inode && !r->map.shared && !r->io && r->resident;
}

/* How a chain of chunks from START on ends, in memory that is readable to END. */
struct chain {
	uint64_t last;	/* its last chunk */
	uint64_t count; /* chunks */
	bool whole;	/* the last one ends where the memory does */
};

static struct chain follow(struct mw_read_buffer *w, uint64_t start, uint64_t end, uint64_t limit)
{
	struct chain chain = {.last = start};
	uint64_t p = start;

	while (p < limit && limit - p >= CHUNK_HEADER) {
		const uint8_t *at =
			p + CHUNK_HEADER <= end ? mw_read_buffer__at(w, p, CHUNK_HEADER) : NULL;
		uint64_t head[2], size;

		if (!at) { /* cut off here */
			chain.whole = true;
			break;
		}
		memcpy(head, at, sizeof(head));
		size = head[1] & ~(uint64_t)CHUNK_FLAGS;
		if (size < CHUNK_MIN || size & 15 || size > limit - p ||
		    head[1] & (CHUNK_MMAPPED | CHUNK_NON_MAIN) ||
		    (p == start && (head[0] || !(head[1] & CHUNK_PREV_INUSE))))
			break;
		chain.last = p;
		chain.count++;
		p += size;
		chain.whole = p == limit;
	}
	return chain;
}

/* Bytes of the first chunk of a heap: the first thread's tcache, by whose size versions differ. */
static const struct mw_ptmalloc_layout *row_of(struct mw_ptmalloc *pt, uint64_t first)
{
	const struct mw_ptmalloc_layout *best = NULL;
	unsigned int most = 0;
	uint64_t head[2];

	if (!mw_image__read_all(pt->base.image, first, head, sizeof(head)))
		return NULL;
	for (size_t i = 0; i < mw_ptmalloc_layout_count; i++) {
		const struct mw_ptmalloc_layout *l = &mw_ptmalloc_layouts[i];
		unsigned int score;

		if (!l->tcache_size ||
		    ((l->tcache_size + 8u + 15) & ~15u) != (head[1] & ~(uint64_t)CHUNK_FLAGS))
			continue;
		pt->layout = *l;
		score = mw_ptmalloc__try_tcache(pt, first) + 1;
		if (score >= most) {
			most = score;
			best = l;
		}
	}
	return best;
}

static int add_brk(struct mw_ptmalloc *pt, const struct mw_region *r, const struct chain *chain)
{
	uint64_t held = mw_image__held(pt->base.image, r);
	bool cut = held < r->map.end - r->map.start;
	struct mw_run run = {.start = r->map.start,
			     .end = r->map.start + held,
			     .first = r->map.start,
			     .top = cut ? 0 : chain->last,
			     .kind = MW_RUN_HEAP,
			     .cut = cut};
	struct mw_heap_arena *a = &pt->arenas[0];

	a->heaps++;
	a->system_bytes += run.end - run.start;
	if (!cut) {
		a->top = chain->last;
		a->sums[MW_BLOCK_TOP] = (struct mw_heap_sum){1, run.end - chain->last};
	}
	return mw_ptmalloc__add_run(pt, &run);
}

/* What brk gave: the mapping that is one chain of chunks, of several the longest. */
static int find_brk(struct mw_ptmalloc *pt)
{
	const struct mw_regions *regions = mw_image__regions(pt->base.image);
	const struct mw_region *best = NULL;
	const struct mw_ptmalloc_layout *row;
	struct mw_ptmalloc_layout chosen;
	struct chain found = {0};
	struct mw_read_buffer w;
	int ret = mw_read_buffer__init(&w, pt->base.image);

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];
		struct chain chain;

		if (!is_private(r))
			continue;
		chain = follow(&w, r->map.start, r->map.start + mw_image__held(pt->base.image, r),
			       r->map.end);
		if (chain.whole && chain.count >= CHAIN_MIN && chain.count > found.count) {
			found = chain;
			best = r;
		}
	}
	if (!ret)
		mw_read_buffer__free(&w);
	if (ret || !best)
		return ret;
	chosen = pt->layout;
	row = row_of(pt, best->map.start);
	pt->layout = row ? *row : chosen;
	return add_brk(pt, best, &found);
}

/* Is the arena at ADDR there? Its bins are lists, though the ring it is in may be broken. */
static bool is_arena(struct mw_ptmalloc *pt, uint64_t addr)
{
	uint64_t bins[2 * MW_PTMALLOC_BINS];

	if (!mw_image__read_all(pt->base.image, addr + pt->layout.bins, bins, sizeof(bins)))
		return false;
	for (uint64_t i = 0; i < MW_PTMALLOC_BINS; i++) {
		uint64_t self = addr + pt->layout.bins + 16 * i - 16;

		if ((bins[2 * i] == self) != (bins[2 * i + 1] == self) || bins[2 * i] & 7)
			return false;
	}
	return true;
}

/* Where to look on for the heaps of threads; zeroed at the start. */
struct heads {
	size_t region;
	uint64_t at;	/* of the last one; what follows it is looked at next */
	uint64_t arena; /* that the last one points to */
};

/*
 * The next heap that may be one of a thread: it begins at a multiple of HEAP_ALIGN with a pointer
 * to its arena.
 */
static bool next_head(struct mw_image *image, struct heads *h)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (; h->region < regions->count; h->region++) {
		const struct mw_region *r = &regions->regions[h->region];
		uint64_t end = r->map.start + mw_image__held(image, r);
		uint64_t at = h->at >= r->map.start ? h->at + 1 : r->map.start;

		while (is_private(r) &&
		       (at = mw_image__next_held(image, at, HEAP_ALIGN, end)) < end) {
			h->at = at++;
			if (mw_image__read_u64(image, h->at, &h->arena))
				return true;
		}
	}
	return false;
}

/* Is the first heap of an arena at H, by the present layout? The arena lies behind its head. */
static bool is_first(struct mw_ptmalloc *pt, const struct heads *h)
{
	return h->arena == h->at + pt->layout.heap_info && is_arena(pt, h->arena);
}

static int find_threads(struct mw_ptmalloc *pt)
{
	struct heads h = {0};
	int ret = 0;

	while (!ret && next_head(pt->base.image, &h)) {
		if (is_first(pt, &h))
			ret = mw_ptmalloc__add_arena(pt, h.arena);
	}
	return ret;
}

/* Without the first thread's tcache: the row by which there are most threads' arenas. */
static int choose_by_threads(struct mw_ptmalloc *pt)
{
	size_t *counts = calloc(mw_ptmalloc_layout_count, sizeof(*counts));
	size_t best = mw_ptmalloc_layout_count - 3;
	struct heads h = {0};

	if (!counts)
		return -ENOMEM;
	while (next_head(pt->base.image, &h)) {
		for (size_t i = 0; i < mw_ptmalloc_layout_count; i++) {
			pt->layout = mw_ptmalloc_layouts[i];
			counts[i] += is_first(pt, &h);
		}
	}
	for (size_t i = 0; i < mw_ptmalloc_layout_count; i++) {
		if (counts[i] > counts[best])
			best = i;
	}
	free(counts);
	pt->layout = mw_ptmalloc_layouts[best];
	return 0;
}

int mw_ptmalloc__read_lost(struct mw_ptmalloc *pt)
{
	const struct mw_ptmalloc_layout *l = &pt->layout;
	int ret = mw_array_reserve(&pt->arenas, &pt->arena_capacity, 1, sizeof(*pt->arenas));

	if (ret)
		return ret;
	pt->arenas[0] = (struct mw_heap_arena){.kind = MW_ARENA_MAIN};
	pt->arena_count = 1;
	ret = choose_by_threads(pt);
	if (!ret)
		ret = find_brk(pt);
	if (!ret)
		ret = find_threads(pt);
	snprintf(pt->version, sizeof(pt->version), "2.%u to 2.%u", l->low, l->high);
	mw_heap__add_evidence(&pt->base, "main_arena is not in the core, which was cut short: "
					 "threads' heaps by their heads, brk's by its chunks");
	return ret ? ret : pt->run_count ? 0 : -ENOENT;
}

uint64_t mw_ptmalloc__main_of_ring(struct mw_image *image, uint64_t arena, uint64_t next)
{
	uint64_t at = arena, head;

	for (int i = 0; i < ARENAS_MAX; i++) {
		/* That of a thread lies in the heap whose head points to it. */
		if (!mw_image__read_u64(image, at & ~(HEAP_ALIGN - 1), &head) || head != at)
			return at;
		if (!mw_image__read_u64(image, at + next, &at) || at == arena)
			break;
	}
	return arena;
}

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
#include "util/search.h"

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

static int by_arena(const void *a, const void *b)
{
	const struct mw_ptmalloc_head *x = a, *y = b;

	if (x->arena != y->arena)
		return x->arena < y->arena ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Once for all arenas: there may be thousands. */
static int read_heads(struct mw_ptmalloc *pt)
{
	struct heads h = {0};

	while (next_head(pt->base.image, &h)) {
		if (mw_array_reserve(&pt->heads, &pt->head_capacity, pt->head_count + 1,
				     sizeof(*pt->heads)))
			return -ENOMEM;
		pt->heads[pt->head_count++] = (struct mw_ptmalloc_head){h.arena, h.at};
	}
	if (pt->head_count)
		qsort(pt->heads, pt->head_count, sizeof(*pt->heads), by_arena);
	pt->heads_read = true;
	return 0;
}

static bool is_below(const void *at, const void *key)
{
	return ((const struct mw_ptmalloc_head *)at)->arena < *(const uint64_t *)key;
}

uint64_t mw_ptmalloc__held_end(struct mw_ptmalloc *pt, uint64_t addr, uint64_t end)
{
	while (addr < end) {
		const struct mw_region *r = mw_image__find(pt->base.image, addr);
		uint64_t held = r ? r->map.start + mw_image__held(pt->base.image, r) : 0;

		if (held <= addr)
			break;
		addr = held < end ? held : end;
	}
	return addr;
}

bool mw_ptmalloc__is_lost(struct mw_ptmalloc *pt, uint64_t addr)
{
	uint64_t word;

	return mw_image__is_cut(pt->base.image) && mw_image__find(pt->base.image, addr) &&
	       !mw_image__read_u64(pt->base.image, addr, &word);
}

int mw_ptmalloc__lost_heaps(struct mw_ptmalloc *pt, uint32_t index)
{
	struct mw_heap_arena *arena = &pt->arenas[index];
	uint64_t sum = 0, info[4]; /* arena, prev, size, mprotect_size */
	int ret = pt->heads_read ? 0 : read_heads(pt);
	size_t i = pt->head_count && !ret ? mw_search(pt->heads, pt->head_count, sizeof(*pt->heads),
						      is_below, &arena->addr)
					  : 0;

	for (; !ret && i < pt->head_count && pt->heads[i].arena == arena->addr; i++) {
		uint64_t heap = pt->heads[i].at;
		struct mw_run s = {.start = heap, .arena = index, .kind = MW_RUN_HEAP};

		if (!mw_image__read_all(pt->base.image, heap, info, sizeof(info)) ||
		    info[2] < PAGE_BYTES || info[2] > 4ULL << 30 || info[2] & 15)
			continue;
		s.end = mw_ptmalloc__held_end(pt, heap, heap + info[2]);
		s.cut = s.end < heap + info[2];
		s.first = heap + pt->layout.heap_info;
		if (arena->addr >= heap && arena->addr < s.end)
			s.first = arena->addr + pt->layout.arena_size;
		s.first = (s.first + 15) & ~15ULL;
		arena->heaps++;
		sum += s.end - s.start;
		ret = mw_ptmalloc__add_run(pt, &s);
	}
	arena->system_bytes = sum;
	return ret;
}

static bool has_arena(const struct mw_ptmalloc *pt, uint64_t addr)
{
	for (size_t i = 0; i < pt->arena_count; i++) {
		if (pt->arenas[i].addr == addr)
			return true;
	}
	return false;
}

/*
 * Is HEAD that of a heap whose arena is lost? The arena would lie right behind the head of another
 * heap, and there are chunks behind this one.
 */
static bool is_orphan(struct mw_ptmalloc *pt, const struct mw_ptmalloc_head *head)
{
	uint64_t info[4], chunk[2], size, first = (head->at + pt->layout.heap_info + 15) & ~15ULL;

	return head->arena % HEAP_ALIGN == pt->layout.heap_info &&
	       head->arena - pt->layout.heap_info != head->at &&
	       mw_ptmalloc__is_lost(pt, head->arena) &&
	       mw_image__read_all(pt->base.image, head->at, info, sizeof(info)) && info[1] &&
	       info[1] % HEAP_ALIGN == 0 && info[2] >= PAGE_BYTES && info[2] <= HEAP_ALIGN &&
	       info[2] % PAGE_BYTES == 0 && info[3] >= info[2] && info[3] <= HEAP_ALIGN &&
	       mw_image__read_all(pt->base.image, first, chunk, sizeof(chunk)) &&
	       (size = chunk[1] & ~(uint64_t)CHUNK_FLAGS) >= CHUNK_MIN && !(size & 15) &&
	       size <= HEAP_ALIGN;
}

static int add_orphans(struct mw_ptmalloc *pt, uint64_t addr)
{
	if (mw_array_reserve(&pt->arenas, &pt->arena_capacity, pt->arena_count + 1,
			     sizeof(*pt->arenas)))
		return -ENOMEM;
	pt->arenas[pt->arena_count++] =
		(struct mw_heap_arena){.addr = addr, .kind = MW_ARENA_THREAD};
	return mw_ptmalloc__lost_heaps(pt, (uint32_t)(pt->arena_count - 1));
}

int mw_ptmalloc__lost_arenas(struct mw_ptmalloc *pt)
{
	int ret = pt->heads_read ? 0 : read_heads(pt);
	size_t next;

	for (size_t i = 0; !ret && i < pt->head_count; i = next) {
		const struct mw_ptmalloc_head *head = &pt->heads[i];
		bool first = false;

		for (next = i; next < pt->head_count && pt->heads[next].arena == head->arena;
		     next++) {
			const struct heads h = {.at = pt->heads[next].at, .arena = head->arena};

			first = first || is_first(pt, &h);
		}
		if (has_arena(pt, head->arena))
			continue;
		if (first)
			ret = mw_ptmalloc__add_arena(pt, head->arena);
		else if (is_orphan(pt, head))
			ret = add_orphans(pt, head->arena);
	}
	return ret;
}

/* Without the first thread's tcache: the row by which there are most threads' arenas. */
static int choose_by_threads(struct mw_ptmalloc *pt)
{
	size_t *counts = calloc(mw_ptmalloc_layout_count, sizeof(*counts));
	size_t best = MW_PTMALLOC_COMMONEST;
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
		ret = mw_ptmalloc__lost_arenas(pt);
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

// SPDX-License-Identifier: GPL-2.0-or-later
/* The ring of arenas and the runs of memory that each has: brk, heaps, mmapped instead. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

enum { TOP_TRIES = 8 };

/* The contiguous run of readable private memory around ADDR. */
static void run_around(struct mw_image *image, uint64_t addr, uint64_t *start, uint64_t *end)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *first = mw_image__find(image, addr), *r;

	*start = *end = 0;
	if (!first)
		return;
	*start = first->map.start;
	*end = first->map.end;
	for (r = first + 1; r < regions->regions + regions->count && r->map.start == *end &&
			    r->map.writable && !r->map.inode && !r->map.shared;
	     r++)
		*end = r->map.end;
	for (r = first; r > regions->regions && r[-1].map.end == *start && r[-1].map.writable &&
			!r[-1].map.inode && !r[-1].map.shared;
	     r--)
		*start = r[-1].map.start;
}

/*
 * The end of the piece of the main arena whose first chunk is at P, in memory that ends at LIMIT:
 * its chunks lead to the top or to the fence posts that end what was once a top. 0: there is none.
 */
static uint64_t piece_end(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t p,
			  uint64_t limit, uint64_t top)
{
	const struct mw_run s = {.end = limit};
	uint64_t first = p, head[2];
	int fences = 0;

	for (;;) {
		const uint8_t *at = mw_read_buffer__at(w, p, CHUNK_HEADER);
		uint64_t size;

		if (!at)
			return 0;
		memcpy(head, at, sizeof(head));
		size = head[1] & ~(uint64_t)CHUNK_FLAGS;
		if (p == first && (head[0] || !(head[1] & CHUNK_PREV_INUSE)))
			return 0;
		if (p == top)
			return size <= limit - p ? p + size : 0;
		/* Two, or three when they left no room for a chunk before them. */
		if (p != first && size == CHUNK_HEADER && limit - p >= CHUNK_HEADER &&
		    fences++ < 3) {
			p += CHUNK_HEADER;
			if (fences > 1 && !(p % PAGE_BYTES))
				return p;
			continue;
		}
		if (fences || !mw_ptmalloc__plausible(pt, &s, p, head[1]) || size >= limit - p)
			return 0;
		p += size;
	}
}

static int pieces_of_run(struct mw_ptmalloc *pt, struct mw_heap_arena *arena,
			 struct mw_read_buffer *w, uint64_t start, uint64_t limit, uint64_t *sum)
{
	struct mw_run s = {.kind = MW_RUN_HEAP};
	uint64_t base = pt->settings.sbrk_base;
	int ret = 0;

	while (start < limit && !ret) {
		/* The first piece begins where brk was, which need not be at a page's start. */
		s.start = base > start && base - start < PAGE_BYTES ? base : start;
		s.first = (s.start + 15) & ~15ULL;
		s.end = piece_end(pt, w, s.first, limit, arena->top);
		start = (start & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
		if (!s.end)
			continue;
		s.top = arena->top >= s.start && arena->top < s.end ? arena->top : 0;
		ret = mw_ptmalloc__add_run(pt, &s);
		arena->heaps++;
		*sum += s.end - s.start;
		start = (s.end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	}
	return ret;
}

/*
 * The main arena in pieces, because brk failed at some time. Each piece begins at a page; its
 * neighbours may be anything, as the kernel joins mappings. 1: they add up to the arena; 0: they
 * do not, and none is added; -ENOMEM.
 */
static int find_pieces(struct mw_ptmalloc *pt, struct mw_heap_arena *arena)
{
	const struct mw_regions *regions = mw_image__regions(pt->base.image);
	size_t before = pt->run_count;
	uint64_t sum = 0;
	struct mw_read_buffer w;
	int ret = mw_read_buffer__init(&w, pt->base.image);

	if (ret)
		return ret;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.writable && !r->map.inode && !r->map.shared && !r->io &&
		    r->resident + r->swapped)
			ret = pieces_of_run(pt, arena, &w, r->map.start, r->map.end, &sum);
	}
	mw_read_buffer__free(&w);
	if (!ret && sum == arena->system_bytes)
		return 1;
	pt->run_count = before;
	arena->heaps = 0;
	return ret;
}

/*
 * The main arena: from sbrk_base to the end of top. When brk failed at some time, memory came from
 * mmap instead (sysmalloc()), and top and older parts lie anywhere in other runs.
 */
static int main_runs(struct mw_ptmalloc *pt, struct mw_heap_arena *arena)
{
	struct mw_run s = {.kind = MW_RUN_HEAP, .top = arena->top};
	uint64_t base = pt->settings.sbrk_base, start, end, top_end = 0;
	int ret;

	run_around(pt->base.image, arena->top, &start, &end);
	/* A running process has grown since its mappings were read: take what was mapped then. */
	if (!end && base) {
		run_around(pt->base.image, base, &start, &end);
		s.top = 0;
	}
	if (__builtin_add_overflow(arena->top, arena->sums[MW_BLOCK_TOP].bytes, &top_end) ||
	    top_end > end)
		top_end = end;
	if (base && base >= start && base < arena->top) {
		/* The walk goes from sbrk_base; alignment as in sysmalloc(). */
		s.start = base;
		s.end = top_end;
		s.first = (base + 15) & ~15ULL;
		arena->heaps = 1;
		return mw_ptmalloc__add_run(pt, &s);
	}
	ret = find_pieces(pt, arena);
	if (ret)
		return ret < 0 ? ret : 0;
	/* Something is damaged or changes: take the whole run that holds top. */
	s.start = s.first = start;
	s.end = end;
	s.patchy = true;
	if (!end)
		return 0;
	arena->heaps = 1;
	if (!base && !(arena->system_bytes & (PAGE_BYTES - 1)) &&
	    top_end - start == arena->system_bytes) {
		s.end = top_end;
		s.patchy = false;
	}
	ret = mw_ptmalloc__add_run(pt, &s);
	run_around(pt->base.image, base, &start, &end);
	if (ret || !base || !end)
		return ret;
	arena->heaps++;
	s.start = base;
	s.first = (base + 15) & ~15ULL;
	s.end = end;
	s.top = 0;
	return mw_ptmalloc__add_run(pt, &s);
}

struct heap_info {
	uint64_t arena, prev, size, mprotect_size;
};

/* The heap that holds ADDR: heaps are aligned to their greatest size, which huge pages change. */
static uint64_t heap_of(struct mw_ptmalloc *pt, uint64_t addr, uint64_t arena, uint64_t *max)
{
	static const uint64_t sizes[] = {64ULL << 20,  8ULL << 20,   4ULL << 30,
					 128ULL << 20, 256ULL << 20, 2ULL << 30};

	for (size_t i = 0; i < MW_ARRAY_SIZE(sizes); i++) {
		uint64_t heap = addr & ~(sizes[i] - 1);
		struct heap_info info;

		if (mw_image__read_all(pt->base.image, heap, &info, sizeof(info)) &&
		    info.arena == arena && info.size <= sizes[i] && info.size > addr - heap) {
			*max = sizes[i];
			return heap;
		}
	}
	return 0;
}

static int thread_runs(struct mw_ptmalloc *pt, struct mw_heap_arena *arena, uint32_t index,
		       struct mw_doubts *doubts)
{
	uint64_t max = 0, heap = heap_of(pt, arena->top, arena->addr, &max), size = 0;
	int ret = 0;

	if (!heap)
		mw_doubts__add(doubts, arena->top, "arena's top is in none of its heaps", 0);
	while (heap && !ret) {
		struct mw_run s = {.kind = MW_RUN_HEAP, .arena = index};
		struct heap_info info = {0};

		if (!mw_image__read_all(pt->base.image, heap, &info, sizeof(info)) ||
		    info.arena != arena->addr || info.size < PAGE_BYTES || info.size > 4ULL << 30 ||
		    info.size & 15 || size + info.size > arena->system_bytes ||
		    arena->heaps++ > HEAPS_MAX) {
			mw_doubts__add(doubts, heap,
				       "no heap where the arena's list of heaps leads",
				       mw_seen(info.arena, info.size));
			break;
		}
		s.start = heap;
		s.end = heap + info.size;
		s.first = heap + pt->layout.heap_info;
		if (arena->addr >= heap && arena->addr < s.end)
			s.first = arena->addr + pt->layout.arena_size;
		s.first = (s.first + 15) & ~15ULL;
		if (arena->top >= heap && arena->top < s.end)
			s.top = arena->top;
		ret = mw_ptmalloc__add_run(pt, &s);
		if (!ret && s.end < heap + max) {
			/* Address space that the heap may grow into, usually without pages. */
			const struct mw_run reserve = {.start = s.end,
						       .end = heap + max,
						       .first = s.end,
						       .arena = MW_BLOCK_NO_ARENA,
						       .kind = MW_RUN_RESERVE};

			ret = mw_ptmalloc__add_run(pt, &reserve);
		}
		size += info.size;
		heap = info.prev;
	}
	if (!ret && size != arena->system_bytes)
		mw_doubts__add(doubts, arena->addr, "heaps do not add up to the arena's size",
			       mw_seen(size, arena->system_bytes));
	return ret;
}

/* What an arena says of itself. */
struct arena_now {
	uint64_t top, system_bytes;
	uint64_t top_bytes; /* if TOP is READABLE */
	bool readable;
};

/* Read the arena at ADDR; a top that moves meanwhile is read again. */
static bool read_now(struct mw_ptmalloc *pt, uint64_t addr, struct arena_now *now)
{
	struct mw_image *image = pt->base.image;
	uint64_t head[2], top;

	for (int i = 0; i < TOP_TRIES; i++) {
		if (!mw_image__read_u64(image, addr + pt->layout.top, &now->top) ||
		    !mw_image__read_u64(image, addr + pt->layout.system_mem, &now->system_bytes))
			return false;
		now->readable =
			!(now->top & 15) && mw_image__read_all(image, now->top, head, sizeof(head));
		if (now->readable)
			now->top_bytes = head[1] & ~(uint64_t)CHUNK_FLAGS;
		if (mw_image__is_still(image) ||
		    !mw_image__read_u64(image, addr + pt->layout.top, &top) || top == now->top)
			break;
	}
	return true;
}

/*
 * A core that was cut short has lost the top of ARENA, which is the last of it: what lies before
 * the cut is there.
 */
static int lost_runs(struct mw_ptmalloc *pt, struct mw_heap_arena *arena, uint32_t index)
{
	uint64_t base = pt->settings.sbrk_base;
	struct mw_run s = {.start = base, .first = (base + 15) & ~15ULL, .kind = MW_RUN_HEAP};

	if (arena->kind != MW_ARENA_MAIN)
		return mw_ptmalloc__lost_heaps(pt, index);
	s.end = mw_ptmalloc__held_end(pt, base, arena->top);
	s.cut = s.end < arena->top;
	arena->heaps = 1;
	arena->system_bytes = s.end - base;
	return mw_ptmalloc__add_run(pt, &s);
}

static int read_arena(struct mw_ptmalloc *pt, uint64_t addr, struct mw_doubts *doubts)
{
	struct mw_heap_arena *arena;
	struct arena_now now;

	if (mw_array_reserve(&pt->arenas, &pt->arena_capacity, pt->arena_count + 1,
			     sizeof(*pt->arenas)))
		return -ENOMEM;
	arena = &pt->arenas[pt->arena_count];
	memset(arena, 0, sizeof(*arena));
	arena->addr = addr;
	arena->kind = addr == pt->main_arena ? MW_ARENA_MAIN : MW_ARENA_THREAD;
	/* Where a core was cut off its heaps are found by their own heads. */
	if (!read_now(pt, addr, &now)) {
		mw_doubts__add_unreadable(doubts, addr, "arena can't be read");
		return 0;
	}
	arena->top = now.top;
	arena->system_bytes = now.system_bytes;
	pt->arena_count++;
	/* An arena that has not been used: its top is its own unsorted bin (initial_top()). */
	if (!arena->system_bytes || arena->top == addr + pt->layout.top)
		return 0;
	if (!now.readable) {
		mw_doubts__add_unreadable(doubts, addr, "arena's top can't be read");
		if (mw_image__is_cut(pt->base.image))
			return lost_runs(pt, arena, (uint32_t)(pt->arena_count - 1));
		/* That of a process that grows lies in pages that came since: all before it is
		 * there. */
		if (arena->kind != MW_ARENA_MAIN || mw_image__is_still(pt->base.image))
			return 0;
		now.top_bytes = 0;
	}
	arena->sums[MW_BLOCK_TOP] = (struct mw_heap_sum){1, now.top_bytes};
	if (now.top_bytes > arena->system_bytes) {
		mw_doubts__add(doubts, arena->top, "top is larger than its arena", now.top_bytes);
		arena->sums[MW_BLOCK_TOP].bytes = 0;
	}
	if (arena->kind == MW_ARENA_MAIN)
		return main_runs(pt, arena);
	return thread_runs(pt, arena, (uint32_t)(pt->arena_count - 1), doubts);
}

int mw_ptmalloc__add_arena(struct mw_ptmalloc *pt, uint64_t addr)
{
	size_t arenas = pt->arena_count, runs = pt->run_count;
	struct mw_doubts doubts;
	int ret;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		pt->arena_count = arenas;
		pt->run_count = runs;
		ret = read_arena(pt, addr, &doubts);
	} while (!ret && mw_doubts__again(&doubts));
	if (pt->arena_count > arenas)
		pt->arenas[arenas].changed = doubts.attempt != 0;
	return ret;
}

/* The arena that follows the one at ADDR in their ring; 0: none does. */
static uint64_t next_arena(struct mw_ptmalloc *pt, uint64_t addr)
{
	struct mw_doubts doubts;
	uint64_t next;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		if (!mw_image__read_u64(pt->base.image, addr + pt->layout.next, &next))
			next = 0;
		if (!next)
			mw_doubts__add(&doubts, addr, "ring of arenas breaks off", 0);
	} while (mw_doubts__again(&doubts));
	return next;
}

void mw_ptmalloc__refresh_arena(struct mw_ptmalloc *pt, uint32_t i)
{
	struct mw_heap_arena *a = &pt->arenas[i];
	struct arena_now now;

	if (!read_now(pt, a->addr, &now) || !now.readable || now.top_bytes > now.system_bytes ||
	    (now.top == a->top && now.system_bytes == a->system_bytes &&
	     now.top_bytes == a->sums[MW_BLOCK_TOP].bytes))
		return;
	a->changed = true;
	a->top = now.top;
	a->system_bytes = now.system_bytes;
	a->sums[MW_BLOCK_TOP] = (struct mw_heap_sum){1, now.top_bytes};
}

void mw_ptmalloc__refresh_run(struct mw_ptmalloc *pt, struct mw_run *s)
{
	const struct mw_heap_arena *a;
	struct heap_info info;
	uint64_t end;

	if (s->kind != MW_RUN_HEAP || s->arena >= pt->arena_count)
		return;
	mw_ptmalloc__refresh_arena(pt, s->arena);
	a = &pt->arenas[s->arena];
	if (!a->changed)
		return;
	end = s->limit;
	s->top = a->top >= s->start && a->top < s->limit ? a->top : 0;
	if (a->kind == MW_ARENA_MAIN && s->top)
		end = s->top + a->sums[MW_BLOCK_TOP].bytes;
	else if (a->kind == MW_ARENA_THREAD &&
		 mw_image__read_all(pt->base.image, s->start, &info, sizeof(info)) &&
		 info.arena == a->addr && info.size >= PAGE_BYTES && info.size <= 4ULL << 30)
		end = s->start + info.size;
	s->cut = end > s->limit || (a->kind == MW_ARENA_MAIN && !s->top);
	if (end > s->first)
		s->end = end < s->limit ? end : s->limit;
}

int mw_ptmalloc__read_arenas(struct mw_ptmalloc *pt)
{
	uint64_t addr = pt->main_arena;

	for (int i = 0; i < ARENAS_MAX; i++) {
		int ret = mw_ptmalloc__add_arena(pt, addr);

		if (ret)
			return ret;
		addr = next_arena(pt, addr);
		if (!addr || addr == pt->main_arena)
			break;
	}
	return mw_image__is_cut(pt->base.image) ? mw_ptmalloc__lost_arenas(pt) : 0;
}

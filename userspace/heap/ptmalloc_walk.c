// SPDX-License-Identifier: GPL-2.0-or-later
/* The linear walk: from the first chunk of a run to its top, as a stream of blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc_impl.h"
#include "util/array.h"

static const char own_live[] = "glibc/live", own_tcache[] = "glibc/free/tcache",
		  own_fastbin[] = "glibc/free/fastbin", own_bin[] = "glibc/free/bin",
		  own_top[] = "glibc/top", own_overhead[] = "glibc/overhead",
		  own_mmapped[] = "glibc/mmapped", own_gap[] = "anon/unknown",
		  own_reserve[] = "glibc/reserve";

enum { CHAIN_PROOF = 8 };

struct walker {
	struct mw_blocks base;
	struct mw_ptmalloc *pt;
	struct mw_read_buffer window;
	size_t run, last; /* the present one, one past the last */
	size_t cached;	  /* first cached chunk not yet passed */
	uint64_t p;	  /* next chunk; 0: the run has not begun */
	uint64_t head;	  /* its size field, when have_head */
	bool have_head;
	bool fenced; /* fence posts came last: behind them there may be somebody else's sbrk */
};

static bool read_head(struct walker *w, uint64_t p, uint64_t *head)
{
	const uint8_t *at = mw_read_buffer__at(&w->window, p, CHUNK_HEADER);

	if (!at)
		return false;
	memcpy(head, at + 8, sizeof(*head));
	return true;
}

bool mw_ptmalloc__plausible(const struct mw_ptmalloc *pt, const struct mw_run *s, uint64_t p,
			    uint64_t head)
{
	uint64_t size = head & ~(uint64_t)CHUNK_FLAGS;

	/* Live chunks of a thread arena say so, free ones need not; the main arena's never do. */
	return size >= CHUNK_MIN && !(size & 15) && p < s->end && size <= s->end - p &&
	       !(head & CHUNK_MMAPPED) && !((head & CHUNK_NON_MAIN) && pt->arenas[s->arena].main);
}

/* Does a chain of chunks begin at P that reaches the top, a fence post, or is long enough? */
static bool is_chain(struct walker *w, const struct mw_run *s, uint64_t p)
{
	for (int i = 0; i < CHAIN_PROOF; i++) {
		uint64_t head;

		if (!read_head(w, p, &head))
			return false;
		if (p == s->top || (i && (head & ~(uint64_t)CHUNK_FLAGS) == CHUNK_HEADER))
			return true;
		if (!mw_ptmalloc__plausible(w->pt, s, p, head))
			return false;
		p += head & ~(uint64_t)CHUNK_FLAGS;
	}
	return true;
}

/* The next place from P on where the walk can go on; the run's end when there is none. */
static uint64_t resync(struct walker *w, const struct mw_run *s, uint64_t p)
{
	while (p < s->end) {
		uint64_t head;

		if (!read_head(w, p, &head)) {
			p = (p & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
			continue;
		}
		if (p == s->top || (mw_ptmalloc__plausible(w->pt, s, p, head) && is_chain(w, s, p)))
			return p;
		p += 16;
	}
	return s->end;
}

static void set_block(struct mw_block *b, uint64_t start, uint64_t size, const char *owner,
		      enum mw_block_state state, const struct mw_run *s)
{
	*b = (struct mw_block){
		start,	       size, owner, s->arena, state == MW_BLOCK_LIVE ? CHUNK_HEADER : 0,
		(uint8_t)state};
}

/* Which cache holds the chunk at P, if any; both go up in address order. */
static unsigned int cache_of(struct walker *w, uint64_t p)
{
	const struct mw_ptmalloc *pt = w->pt;

	while (w->cached < pt->cached_count && pt->cached[w->cached] < p)
		w->cached++;
	if (w->cached < pt->cached_count && (pt->cached[w->cached] & ~(uint64_t)CACHED_MASK) == p)
		return (unsigned int)(pt->cached[w->cached] & CACHED_MASK);
	return 0;
}

static void classify(struct walker *w, const struct mw_run *s, struct mw_block *b, uint64_t p,
		     uint64_t size, bool in_use)
{
	struct mw_ptmalloc *pt = w->pt;

	if (!in_use) {
		set_block(b, p, size, own_bin, MW_BLOCK_FREE, s);
		return;
	}
	set_block(b, p, size, own_live, MW_BLOCK_LIVE, s);
	if (pt->prepass) {
		if (pt->layout.tcache_size && size == ((pt->layout.tcache_size + 8u + 15) & ~15u) &&
		    mw_ptmalloc__is_tcache(pt, &w->window, p) &&
		    !mw_array_reserve(&pt->tcache_chunks, &pt->tcache_capacity,
				      pt->tcache_count + 1, sizeof(uint64_t)))
			pt->tcache_chunks[pt->tcache_count++] = p;
		return;
	}
	switch (cache_of(w, p)) {
	case CACHED_TCACHE:
		set_block(b, p, size, own_tcache, MW_BLOCK_FREE, s);
		break;
	case CACHED_FASTBIN:
		set_block(b, p, size, own_fastbin, MW_BLOCK_FREE, s);
		break;
	case CACHED_STRUCT:
		set_block(b, p, size, own_overhead, MW_BLOCK_OVERHEAD, s);
		break;
	}
}

/* What lies at P is no chunk: skip to where chunks go on. */
static void skip_gap(struct walker *w, const struct mw_run *s, struct mw_block *b, const char *what)
{
	uint64_t next = resync(w, s, w->p + 16);

	if (what)
		mw_ptmalloc__problem(w->pt, w->p, what);
	set_block(b, w->p, next - w->p, own_gap, MW_BLOCK_OVERHEAD, s);
	w->p = next;
	w->have_head = false;
}

/* One block of a heap from w->p on. */
static void heap_block(struct walker *w, const struct mw_run *s, struct mw_block *b)
{
	uint64_t p = w->p, size, next_head = 0;
	bool fenced = w->fenced;

	if (!w->have_head && !read_head(w, p, &w->head)) {
		skip_gap(w, s, b, "heap memory that can't be read");
		return;
	}
	size = w->head & ~(uint64_t)CHUNK_FLAGS;
	w->have_head = w->fenced = false;
	if (p == s->top) {
		if (size > s->end - p || size < 16) {
			mw_ptmalloc__problem(w->pt, p, "size of the top chunk is out of bounds");
			size = s->end - p;
		}
		set_block(b, p, size, own_top, MW_BLOCK_FREE, s);
		w->p = p + size;
		return;
	}
	/* Two fence posts of 16 bytes, or 16 and 0, end what was once a top (sysmalloc()). */
	if (size <= CHUNK_HEADER && s->end - p >= CHUNK_HEADER) {
		uint64_t second = 0;

		size = s->end - p < 2 * CHUNK_HEADER ? s->end - p : 2 * CHUNK_HEADER;
		if ((w->head & ~(uint64_t)CHUNK_FLAGS) == CHUNK_HEADER &&
		    read_head(w, p + CHUNK_HEADER, &second) &&
		    (second & ~(uint64_t)CHUNK_FLAGS) <= CHUNK_HEADER) {
			set_block(b, p, size, own_overhead, MW_BLOCK_OVERHEAD, s);
			w->p = p + size;
			w->fenced = true;
			return;
		}
		if (s->end - p <= 2 * CHUNK_HEADER) {
			set_block(b, p, s->end - p, own_overhead, MW_BLOCK_OVERHEAD, s);
			w->p = s->end;
			return;
		}
	}
	if (!mw_ptmalloc__plausible(w->pt, s, p, w->head)) {
		skip_gap(w, s, b, s->patchy || fenced ? NULL : "chunk size is not possible here");
		return;
	}
	if (s->top && p < s->top && size > s->top - p) {
		skip_gap(w, s, b, "chunk reaches over the top");
		return;
	}
	if (size < s->end - p && !read_head(w, p + size, &next_head))
		next_head = CHUNK_PREV_INUSE; /* cut off here: call it in use */
	else if (size < s->end - p)
		w->have_head = true;
	else
		next_head = CHUNK_PREV_INUSE;
	classify(w, s, b, p, size, next_head & CHUNK_PREV_INUSE);
	w->head = next_head;
	w->p = p + size;
}

static size_t walk_fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct walker *w = (struct walker *)blocks;
	size_t n = 0;

	while (n < max && w->run < w->last) {
		const struct mw_run *s = &w->pt->runs[w->run];

		if (!w->p) {
			w->p = s->start;
			w->have_head = false;
		}
		if (w->p >= s->end) {
			w->p = 0;
			w->run++;
			continue;
		}
		if (w->p < s->first) {
			set_block(&out[n++], w->p, s->first - w->p, own_overhead, MW_BLOCK_OVERHEAD,
				  s);
			w->p = s->first;
		} else if (s->kind == MW_RUN_MMAPPED) {
			set_block(&out[n++], w->p, s->end - w->p, own_mmapped, MW_BLOCK_LIVE, s);
			w->p = s->end;
		} else if (s->kind == MW_RUN_RESERVE) {
			set_block(&out[n++], w->p, s->end - w->p, own_reserve, MW_BLOCK_OVERHEAD,
				  s);
			w->p = s->end;
		} else {
			heap_block(w, s, &out[n++]);
		}
	}
	return n;
}

static void walk_close(struct mw_blocks *blocks)
{
	struct walker *w = (struct walker *)blocks;

	mw_read_buffer__free(&w->window);
	free(w);
}

static struct mw_blocks *walk(struct mw_ptmalloc *pt, size_t first, size_t last)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (!w || mw_read_buffer__init(&w->window, pt->image)) {
		free(w);
		return NULL;
	}
	w->base = (struct mw_blocks){walk_fill, walk_close};
	w->pt = pt;
	w->run = first;
	w->last = last;
	return &w->base;
}

struct mw_blocks *mw_ptmalloc__blocks(struct mw_ptmalloc *pt)
{
	return walk(pt, 0, pt->run_count);
}

struct mw_blocks *mw_ptmalloc__blocks_at(struct mw_ptmalloc *pt, uint64_t addr)
{
	const struct mw_run *s = mw_ptmalloc__run_at(pt, addr);

	if (s)
		return walk(pt, (size_t)(s - pt->runs), (size_t)(s - pt->runs) + 1);
	errno = ENOENT;
	return NULL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The linear walk: from the first chunk of a run to its top, as a stream of blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

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
	bool measuring; /* the first walk: see mw_ptmalloc__walk() */
	bool fenced;	/* fence posts came last: behind them there may be somebody else's sbrk */
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

	/* Live chunks of a thread arena have the flag, free ones may, the main arena's never do. */
	return size >= CHUNK_MIN && !(size & 15) && p < s->end && size <= s->end - p &&
	       !(head & CHUNK_MMAPPED) &&
	       !((head & CHUNK_NON_MAIN) && pt->arenas[s->arena].kind == MW_ARENA_MAIN);
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

/* The next address from P on where the walk can continue, or the run's end. */
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

static void set_block(struct walker *w, struct mw_block *b, enum mw_block_kind kind, uint64_t start,
		      uint64_t size, const struct mw_run *s)
{
	mw_ptmalloc__set_block(w->pt, b, kind, start, size, s->arena);
}

/* Damage is reported once, by the walk that measures. */
static void problem(struct walker *w, uint64_t addr, const char *what)
{
	if (w->measuring)
		mw_heap__add_problem(&w->pt->base, addr, what);
}

/* The kind of the chunk at P that looks live: in a cache or not. Both go up in address order. */
static enum mw_block_kind kind_of(struct walker *w, uint64_t p)
{
	const struct mw_ptmalloc *pt = w->pt;

	while (w->cached < pt->cached_count && pt->cached[w->cached] < p)
		w->cached++;
	if (w->cached < pt->cached_count && (pt->cached[w->cached] & ~(uint64_t)CACHED_MASK) == p)
		return pt->cached[w->cached] & CACHED_MASK;
	return MW_BLOCK_LIVE;
}

static bool may_be_tcache(struct walker *w, uint64_t p, uint64_t size)
{
	const struct mw_ptmalloc_layout *l = &w->pt->layout;

	return l->tcache_size && size == ((l->tcache_size + 8u + 15) & ~15u) &&
	       mw_ptmalloc__is_tcache(w->pt, &w->window, p);
}

static enum mw_block_kind classify(struct walker *w, uint64_t p, uint64_t size, bool in_use)
{
	struct mw_ptmalloc *pt = w->pt;

	if (!in_use)
		return MW_BLOCK_BIN;
	if (!w->measuring)
		return kind_of(w, p);
	if (may_be_tcache(w, p, size) &&
	    !mw_array_reserve(&pt->tcache_chunks, &pt->tcache_capacity, pt->tcache_count + 1,
			      sizeof(*pt->tcache_chunks)))
		pt->tcache_chunks[pt->tcache_count++] = p;
	return MW_BLOCK_LIVE;
}

/* There is no chunk at w->p: skip to where chunks continue. */
static void skip_gap(struct walker *w, const struct mw_run *s, struct mw_block *b, const char *what)
{
	uint64_t next = resync(w, s, w->p + 16);

	if (what)
		problem(w, w->p, what);
	set_block(w, b, MW_BLOCK_UNKNOWN, w->p, next - w->p, s);
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
			problem(w, p, "size of the top chunk is out of bounds");
			size = s->end - p;
		}
		set_block(w, b, MW_BLOCK_TOP, p, size, s);
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
			set_block(w, b, MW_BLOCK_OVERHEAD, p, size, s);
			w->p = p + size;
			w->fenced = true;
			return;
		}
		if (s->end - p <= 2 * CHUNK_HEADER) {
			set_block(w, b, MW_BLOCK_OVERHEAD, p, s->end - p, s);
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
	set_block(w, b, classify(w, p, size, next_head & CHUNK_PREV_INUSE), p, size, s);
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
			set_block(w, &out[n++], MW_BLOCK_OVERHEAD, w->p, s->first - w->p, s);
			w->p = s->first;
		} else if (s->kind == MW_RUN_MMAPPED) {
			set_block(w, &out[n++], MW_BLOCK_MMAPPED, w->p, s->end - w->p, s);
			w->p = s->end;
		} else if (s->kind == MW_RUN_RESERVE) {
			set_block(w, &out[n++], MW_BLOCK_RESERVE, w->p, s->end - w->p, s);
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

struct mw_blocks *mw_ptmalloc__walk(struct mw_ptmalloc *pt, size_t first, size_t count,
				    bool measuring)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (!w || mw_read_buffer__init(&w->window, pt->base.image)) {
		free(w);
		return NULL;
	}
	w->base = (struct mw_blocks){walk_fill, walk_close};
	w->pt = pt;
	w->run = first;
	w->last = first + count;
	w->measuring = measuring;
	if (!measuring && first < pt->run_count)
		w->cached = mw_ptmalloc__cached_from(pt, pt->runs[first].start);
	return &w->base;
}

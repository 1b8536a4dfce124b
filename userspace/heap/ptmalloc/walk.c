// SPDX-License-Identifier: GPL-2.0-or-later
/* The linear walk: from the first chunk of a run to its top, as a stream of blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

/* REJOINS: how often a walk may go from a run's first chunk again, which takes as long as it did.
 */
enum { CHAIN_PROOF = 8, REJOINS = 8 };

/* How far a walk is. */
struct place {
	size_t run;    /* the present one */
	size_t cached; /* first cached chunk not yet passed */
	uint64_t p;    /* next chunk; 0: the run has not begun */
	uint64_t head; /* its size field, when have_head */
	bool have_head;
	bool fenced; /* fence posts came last: behind them there may be somebody else's sbrk */
};

struct walker {
	struct mw_blocks base;
	struct mw_ptmalloc *pt;
	struct mw_read_buffer window;
	struct place at;
	size_t last;		 /* one past the last run */
	bool measuring;		 /* the first walk: see mw_ptmalloc__walk() */
	bool rejoining;		 /* what it finds is of no interest */
	unsigned int rejoins;	 /* left */
	struct mw_doubts doubts; /* of the present batch */
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
	const struct mw_image *image = w->pt->base.image;

	while ((p = mw_image__next_held(image, p, 16, s->end)) < s->end) {
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

/* The size field SEEN of the chunk at ADDR is wrong. */
static void doubt(struct walker *w, uint64_t addr, const char *what, uint64_t seen)
{
	if (!w->rejoining)
		mw_doubts__add(&w->doubts, addr, what, seen);
}

/* The kind of the chunk at P that looks live: in a cache or not. Both go up in address order. */
static enum mw_block_kind kind_of(struct walker *w, uint64_t p)
{
	const struct mw_ptmalloc *pt = w->pt;

	while (w->at.cached < pt->cached_count && pt->cached[w->at.cached] < p)
		w->at.cached++;
	if (w->at.cached < pt->cached_count &&
	    (pt->cached[w->at.cached] & ~(uint64_t)CACHED_MASK) == p)
		return pt->cached[w->at.cached] & CACHED_MASK;
	return MW_BLOCK_LIVE;
}

static enum mw_block_kind classify(struct walker *w, uint64_t p, uint64_t size, bool in_use)
{
	struct mw_ptmalloc *pt = w->pt;
	bool seeking = w->measuring || pt->seeking;

	if (!in_use)
		return MW_BLOCK_BIN;
	if (w->rejoining)
		return MW_BLOCK_LIVE;
	if (seeking)
		mw_ptmalloc__note_tcache(pt, &w->window, p, size, !w->measuring);
	return w->measuring ? MW_BLOCK_LIVE : kind_of(w, p);
}

/* There is no chunk at w->at.p: skip to where chunks continue. */
static void skip_gap(struct walker *w, const struct mw_run *s, struct mw_block *b)
{
	uint64_t next = resync(w, s, w->at.p + 16);

	set_block(w, b, MW_BLOCK_UNKNOWN, w->at.p, next - w->at.p, s);
	w->at.p = next;
	w->at.have_head = false;
}

/*
 * A chunk that begins here and reaches over the end of a run whose arena goes on behind it: it has
 * grown since, or the core was cut off, and how large it was is not known.
 */
static bool is_cut(const struct walker *w, const struct mw_run *s, uint64_t p, uint64_t size)
{
	return s->cut && size > s->end - p && !(size & 15) &&
	       (size <= w->pt->arenas[s->arena].system_bytes ||
		mw_image__is_cut(w->pt->base.image));
}

/* Two fence posts of 16 bytes, or 16 and 0, end what was once a top (sysmalloc()). */
static bool fence_posts(struct walker *w, const struct mw_run *s, struct mw_block *b)
{
	uint64_t p = w->at.p, left = s->end - p, second = 0;

	if ((w->at.head & ~(uint64_t)CHUNK_FLAGS) == CHUNK_HEADER &&
	    read_head(w, p + CHUNK_HEADER, &second) &&
	    (second & ~(uint64_t)CHUNK_FLAGS) <= CHUNK_HEADER) {
		w->at.fenced = true;
		left = left < 2 * CHUNK_HEADER ? left : 2 * CHUNK_HEADER;
	} else if (left > 2 * CHUNK_HEADER) {
		return false;
	}
	set_block(w, b, MW_BLOCK_OVERHEAD, p, left, s);
	w->at.p = p + left;
	return true;
}

/* One block of a heap from w->at.p on. */
static void heap_block(struct walker *w, const struct mw_run *s, struct mw_block *b)
{
	uint64_t p = w->at.p, size, next_head = 0;
	bool fenced = w->at.fenced;

	if (!w->at.have_head && !read_head(w, p, &w->at.head)) {
		if (!w->rejoining)
			mw_doubts__add_unreadable(&w->doubts, p, "heap memory that can't be read");
		skip_gap(w, s, b);
		return;
	}
	size = w->at.head & ~(uint64_t)CHUNK_FLAGS;
	w->at.have_head = w->at.fenced = false;
	if (p == s->top) {
		if ((size > s->end - p && !s->cut) || size < 16)
			doubt(w, p, "size of the top chunk is out of bounds", w->at.head);
		if (size > s->end - p || size < 16)
			size = s->end - p;
		set_block(w, b, MW_BLOCK_TOP, p, size, s);
		w->at.p = p + size;
		return;
	}
	if (size <= CHUNK_HEADER && s->end - p >= CHUNK_HEADER && fence_posts(w, s, b))
		return;
	if (is_cut(w, s, p, size))
		size = s->end - p;
	else if (!mw_ptmalloc__plausible(w->pt, s, p, w->at.head)) {
		if (!s->patchy && !fenced)
			doubt(w, p, "chunk size is not possible here", w->at.head);
		skip_gap(w, s, b);
		return;
	}
	if (s->top && p < s->top && size > s->top - p) {
		doubt(w, p, "chunk reaches over the top", w->at.head);
		skip_gap(w, s, b);
		return;
	}
	if (size < s->end - p && !read_head(w, p + size, &next_head))
		next_head = CHUNK_PREV_INUSE; /* cut off here: call it in use */
	else if (size < s->end - p)
		w->at.have_head = true;
	else
		next_head = CHUNK_PREV_INUSE;
	set_block(w, b, classify(w, p, size, next_head & CHUNK_PREV_INUSE), p, size, s);
	w->at.head = next_head;
	w->at.p = p + size;
}

/* The next block of run S, which has one left. */
static void next_block(struct walker *w, const struct mw_run *s, struct mw_block *b)
{
	if (w->at.p < s->first) {
		set_block(w, b, MW_BLOCK_OVERHEAD, w->at.p, s->first - w->at.p, s);
		w->at.p = s->first;
	} else if (s->kind == MW_RUN_MMAPPED) {
		set_block(w, b, MW_BLOCK_MMAPPED, w->at.p, s->end - w->at.p, s);
		w->at.p = s->end;
	} else if (s->kind == MW_RUN_RESERVE) {
		set_block(w, b, MW_BLOCK_RESERVE, w->at.p, s->end - w->at.p, s);
		w->at.p = s->end;
	} else {
		heap_block(w, s, b);
	}
}

static size_t fill_once(struct walker *w, struct mw_block *out, size_t max)
{
	size_t n = 0;

	while (n < max && w->at.run < w->last) {
		const struct mw_run *s = &w->pt->runs[w->at.run];

		if (!w->at.p) {
			w->at.p = s->start;
			w->at.have_head = false;
		}
		if (w->at.p < s->end) {
			next_block(w, s, &out[n++]);
			continue;
		}
		if (w->at.p < s->limit)
			mw_ptmalloc__set_block(w->pt, &out[n++], MW_BLOCK_RESERVE, w->at.p,
					       s->limit - w->at.p, MW_BLOCK_NO_ARENA);
		w->at.p = 0;
		w->at.run++;
	}
	return n;
}

/*
 * ---- reading again ------------------------------------------------------------------------------
 */

/* Forget what was read of the runs from BEGIN up to the present one; read where they end now. */
static void refresh(struct walker *w, const struct place *begin)
{
	w->window.start = w->window.len = 0;
	for (size_t i = begin->run; i <= w->at.run && i < w->last; i++) {
		struct mw_run *s = &w->pt->runs[i];

		mw_ptmalloc__refresh_run(w->pt, s);
		if (w->measuring && s->arena < w->pt->arena_count)
			w->pt->arenas[s->arena].changed = true;
	}
}

/*
 * The chunk at BEGIN may have been merged into one before it since the walk came there; what is
 * read from BEGIN on is then no heap but what a program keeps in a block. Go from the run's first
 * chunk again, to BEGIN or the first chunk behind it.
 */
static void rejoin(struct walker *w, struct place *begin)
{
	const struct mw_run *s = &w->pt->runs[begin->run];
	struct mw_block passed;

	w->at = (struct place){.run = begin->run, .p = s->start};
	w->rejoining = true;
	while (w->at.p < begin->p && w->at.p < s->end)
		next_block(w, s, &passed);
	w->rejoining = false;
	w->at.cached = begin->cached;
	w->rejoins--;
}

/* Read the batch from BEGIN on again, as it is now. What came over BEGIN becomes the first block.
 */
static size_t fill_again(struct walker *w, struct place *begin, struct mw_block *out, size_t max)
{
	const struct mw_run *s = &w->pt->runs[begin->run];
	size_t n = 0;

	refresh(w, begin);
	begin->have_head = false;
	if (w->doubts.attempt < 2 || !begin->p || begin->p >= s->end) {
		w->at = *begin;
	} else {
		rejoin(w, begin);
		if (w->at.p > begin->p)
			set_block(w, &out[n++], MW_BLOCK_UNKNOWN, begin->p,
				  (w->at.p < s->end ? w->at.p : s->end) - begin->p, s);
	}
	return n + fill_once(w, out + n, max - n);
}

static size_t walk_fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct walker *w = (struct walker *)blocks;
	size_t tcaches = w->pt->tcache_count, n;
	struct place begin = w->at;

	mw_doubts__begin(&w->doubts, w->pt->base.image,
			 w->measuring ? &w->pt->base.problems : NULL);
	n = fill_once(w, out, max);
	while (mw_doubts__again(&w->doubts)) {
		if (w->doubts.attempt > 1 && begin.p && !w->rejoins) {
			mw_doubts__dismiss(&w->doubts);
			break;
		}
		if (w->measuring)
			w->pt->tcache_count = tcaches;
		n = fill_again(w, &begin, out, max);
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
	w->at.run = first;
	w->last = first + count;
	w->measuring = measuring;
	w->rejoins = REJOINS;
	if (!measuring && first < pt->run_count)
		w->at.cached = mw_ptmalloc__cached_from(pt, pt->runs[first].start);
	return &w->base;
}

struct mw_blocks *mw_ptmalloc__walk_from(struct mw_ptmalloc *pt, size_t run, uint64_t p)
{
	struct walker *w = (struct walker *)mw_ptmalloc__walk(pt, run, 1, false);

	if (!w)
		return NULL;
	w->at.p = p;
	w->at.cached = mw_ptmalloc__cached_from(pt, p);
	return &w->base;
}

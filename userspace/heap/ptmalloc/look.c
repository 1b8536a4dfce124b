// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A look at some blocks of a process that runs on, again and again. What belongs to the file (its
 * layout) is kept from the heap's opening; arenas, runs and fastbins are read anew; chunks are
 * walked only where blocks are looked for.
 *
 * A walk needs a chunk to start from. Looks leave marks: chunks' addresses, every 4 MiB. A mark may
 * be stale, because its chunk was merged into another one that the program now fills, or has left
 * as it was, with the old headers in it. But no chunk of a heap is larger than the mmap threshold
 * can become. So a walk starts at a mark that lies further than that before the nearest one, and
 * nothing is believed of it until it has come to that one exactly.
 *
 * A chunk in a thread's cache looks live, but carries a key, which malloc() clears (tcache_put(),
 * tcache_get() in malloc/malloc.c): from glibc 2.34 on one of the process's, before that the
 * address of the cache itself. The process's key is learned from the lists of caches. Those of the
 * threads that came first lie where runs begin, others are met as looks walk over the heap. Up
 * to 2.29 every look is one at all of it.
 *
 * Walks stop after SLICE_BYTES: a look at a heap of any size can be ended soon, and goes on later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"
#include "util/search.h"

enum {
	MARK_BYTES = 4 << 20,
	BATCH = 512,
	LEAD_BYTES = 32 << 20, /* DEFAULT_MMAP_THRESHOLD_MAX in malloc/malloc.c */
	SLICE_BYTES = 256 << 20,
	/* Chunks from a run's first on among which the cache of the thread that made it is. */
	FIRST_CHUNKS = 16,
};

struct look {
	struct mw_ptmalloc *pt;
	struct mw_block_picker picker;
	uint64_t *marks; /* the new ones */
	size_t mark_count, mark_capacity;
	size_t old;	 /* first of the heap's marks that is neither taken over nor walked over */
	uint64_t at;	 /* a chunk that the walk has come to in this run; 0: none */
	uint64_t walked; /* bytes of walks that are believed */
};

/* Where a walk starts, and which chunk it must meet before it is believed; 0: it needs none. */
struct start {
	uint64_t from, proof;
};

static int put_mark(struct look *l, uint64_t p)
{
	if (l->mark_count && p < l->marks[l->mark_count - 1] + MARK_BYTES)
		return 0;
	if (mw_array_reserve(&l->marks, &l->mark_capacity, l->mark_count + 1, sizeof(*l->marks)))
		return -ENOMEM;
	l->marks[l->mark_count++] = p;
	return 0;
}

/* The heap's marks below END: they stay, or were walked OVER. */
static int pass_marks(struct look *l, uint64_t end, bool over)
{
	const struct mw_ptmalloc *pt = l->pt;
	int ret = 0;

	for (; !ret && l->old < pt->mark_count && pt->marks[l->old] < end; l->old++) {
		if (!over && mw_ptmalloc__run_at(pt, pt->marks[l->old]))
			ret = put_mark(l, pt->marks[l->old]);
	}
	return ret;
}

static bool is_up_to(const void *at, const void *key)
{
	return *(const uint64_t *)at <= *(const uint64_t *)key;
}

/* How many of the heap's marks are at ADDR or below. */
static size_t marks_up_to(const struct mw_ptmalloc *pt, uint64_t addr)
{
	return mw_search(pt->marks, pt->mark_count, sizeof(*pt->marks), is_up_to, &addr);
}

/* Where to start in run S for what is at ADDR: at a mark, or where S begins. */
static struct start start_for(const struct look *l, const struct mw_run *s, uint64_t addr)
{
	const struct mw_ptmalloc *pt = l->pt;
	uint64_t threshold = pt->settings.mmap_threshold;
	uint64_t lead = threshold > LEAD_BYTES ? threshold : LEAD_BYTES, proof;
	struct start start = {.from = s->start};
	size_t n = marks_up_to(pt, addr);

	if (!n || !pt->settings.mp_addr || !pt->settings.n_mmaps_max)
		return start;
	proof = pt->marks[n - 1];
	n = proof > lead ? marks_up_to(pt, proof - lead) : 0;
	if (n && pt->marks[n - 1] >= s->first)
		start = (struct start){pt->marks[n - 1], proof};
	return start;
}

static bool is_enough(const struct look *l, uint64_t more)
{
	return l->walked + more >= SLICE_BYTES;
}

/* The address that comes next, or UINT64_MAX. */
static uint64_t next_address(struct look *l, uint64_t passed)
{
	struct mw_block_picker *p = &l->picker;

	while (p->next < p->count && p->addrs[p->next] < passed)
		p->next++;
	return p->next < p->count ? p->addrs[p->next] : UINT64_MAX;
}

/* B comes next in a walk from START. 1: START is stale. */
static int see(struct look *l, struct start *start, const struct mw_block *b)
{
	int ret;

	if (start->proof) {
		if (b->start > start->proof || b->kind == MW_BLOCK_UNKNOWN)
			return 1;
		if (b->start < start->proof)
			return 0;
		start->proof = 0;
		ret = pass_marks(l, start->from, false) | put_mark(l, start->from);
		if (ret)
			return ret;
	}
	mw_block_picker__see(&l->picker, b);
	ret = pass_marks(l, b->start + b->size, true);
	if (!ret && b->kind != MW_BLOCK_UNKNOWN && b->kind != MW_BLOCK_RESERVE)
		ret = put_mark(l, b->start);
	return ret;
}

/*
 * Walk run S from START on, as long as that is no longer a way to the next address than from marks.
 * LIMIT: marks beyond it are not used. 1: START is stale.
 */
static int walk_from(struct look *l, const struct mw_run *s, struct start start, uint64_t limit)
{
	struct mw_blocks *blocks =
		mw_ptmalloc__walk_from(l->pt, (size_t)(s - l->pt->runs), start.from);
	uint64_t next = l->picker.addrs[l->picker.next], at = start.from;
	struct mw_block batch[BATCH];
	int ret = blocks ? 0 : -ENOMEM;

	if (!ret && !start.proof)
		ret = pass_marks(l, start.from, false);
	while (!ret && next < s->limit && (start.proof || !is_enough(l, at - start.from)) &&
	       start_for(l, s, next < limit ? next : limit).from <= at + MARK_BYTES) {
		size_t n = blocks->fill(blocks, batch, BATCH);

		for (size_t i = 0; !ret && i < n; i++) {
			ret = see(l, &start, &batch[i]);
			at = batch[i].start + batch[i].size;
		}
		if (!n) {
			at = s->limit;
			break;
		}
		if (!start.proof)
			next = next_address(l, at);
	}
	mw_blocks__close(blocks);
	if (!ret && !start.proof) {
		l->walked += at - start.from;
		l->at = at;
	}
	return ret ? ret : start.proof != 0;
}

static int look_at_run(struct look *l, const struct mw_run *s)
{
	uint64_t next = l->picker.addrs[l->picker.next], limit = UINT64_MAX;
	int ret = 0;

	l->at = 0;
	while (ret >= 0 && next < s->limit && !is_enough(l, 0)) {
		struct start start = start_for(l, s, next < limit ? next : limit);

		if (l->at >= start.from)
			start = (struct start){.from = l->at};
		ret = walk_from(l, s, start, limit);
		if (ret > 0) {
			limit = start.from - 1;
			continue;
		}
		next = next_address(l, l->at);
		limit = UINT64_MAX;
	}
	return ret;
}

/* The chunk with a mapping of its own that the program knows as ADDR, if there is one. */
static void look_at_mapping(struct look *l, uint64_t addr, struct mw_block *block)
{
	struct mw_ptmalloc *pt = l->pt;
	const struct mw_region *r = mw_image__find(pt->base.image, addr);
	uint64_t start, total = 0;

	if (r && r->map.writable && !r->map.inode && !r->map.shared && addr % 16 == 0)
		total = mw_ptmalloc__mmapped_at(pt, addr - CHUNK_HEADER, &start);
	if (total)
		mw_ptmalloc__set_block(pt, block, MW_BLOCK_MMAPPED, addr - CHUNK_HEADER,
				       start + total - (addr - CHUNK_HEADER), MW_BLOCK_NO_ARENA);
}

/*
 * Caches where runs begin, as candidates. They are read anew each time: until the key is known it
 * may be that they have been empty.
 */
static int find_first_caches(struct mw_ptmalloc *pt)
{
	struct mw_read_buffer w;

	if (mw_read_buffer__init(&w, pt->base.image))
		return -ENOMEM;
	for (size_t i = 0; i < pt->run_count; i++) {
		const struct mw_run *s = &pt->runs[i];
		uint64_t p = s->first, head;

		for (int k = 0; k < FIRST_CHUNKS && s->kind == MW_RUN_HEAP; k++) {
			const uint8_t *at = mw_read_buffer__at(&w, p, CHUNK_HEADER);

			if (!at)
				break;
			memcpy(&head, at + 8, sizeof(head));
			if (!mw_ptmalloc__plausible(pt, s, p, head))
				break;
			head &= ~(uint64_t)CHUNK_FLAGS;
			mw_ptmalloc__note_tcache(pt, &w, p, head, true);
			p += head;
		}
	}
	mw_read_buffer__free(&w);
	return 0;
}

/*
 * Is this the link of a cached chunk at P, by safe-linking (PROTECT_PTR() in malloc/malloc.c)? It
 * leads nowhere, which no other word says, or to another one with the same KEY.
 */
static bool is_link(struct mw_ptmalloc *pt, uint64_t p, uint64_t link, uint64_t key)
{
	uint64_t next = mw_reveal(pt, p + CHUNK_HEADER, link), words[2];

	return !next ||
	       (!(next & 15) && mw_ptmalloc__run_at(pt, next) &&
		mw_image__read_all(pt->base.image, next, words, sizeof(words)) && words[1] == key);
}

/* Is the chunk at P in a thread's cache? */
static bool is_cached(struct mw_ptmalloc *pt, uint64_t p)
{
	uint64_t words[4], key; /* prev_size, size, next, key */

	if (!pt->layout.tcache_size || !mw_image__read_all(pt->base.image, p, words, sizeof(words)))
		return false;
	key = words[3];
	if (pt->tcache_key || !key)
		return key && key == pt->tcache_key;
	/*
	 * The cache may lie anywhere: from 2.42 on it is made at the first free. But a key of the
	 * process's is no address of a cache.
	 */
	if (pt->layout.safe_linking && ((key & 15) || !mw_ptmalloc__run_at(pt, key)) &&
	    is_link(pt, p, words[2], key)) {
		pt->tcache_key = key;
		return true;
	}
	return !(key & 15) && mw_ptmalloc__run_at(pt, key) &&
	       mw_ptmalloc__try_tcache(pt, key - CHUNK_HEADER);
}

/* Of the addresses met those whose blocks are in a thread's cache. */
static void tell_cached(struct look *l)
{
	for (size_t i = 0; i < l->picker.next; i++) {
		struct mw_block *b = &l->picker.out[i];

		if (b->size && b->kind == MW_BLOCK_LIVE && is_cached(l->pt, b->start))
			mw_ptmalloc__set_block(l->pt, b, MW_BLOCK_TCACHE, b->start, b->size,
					       b->arena);
	}
}

static int look_at_parts(struct look *l)
{
	struct mw_ptmalloc *pt = l->pt;
	struct mw_block_picker *p = &l->picker;
	size_t known;
	int ret;

	pt->tcache_count = 0;
	pt->seeking = pt->layout.tcache_size && !pt->tcache_key;
	ret = pt->seeking ? find_first_caches(pt) : 0;
	known = pt->tcache_count;
	if (!ret)
		ret = mw_ptmalloc__read_caches(pt);
	while (!ret && p->next < p->count && !is_enough(l, 0)) {
		const struct mw_run *s = mw_ptmalloc__run_at(pt, p->addrs[p->next]);

		if (s && s->kind == MW_RUN_HEAP) {
			ret = look_at_run(l, s);
			continue;
		}
		if (s)
			mw_ptmalloc__set_block(pt, &p->out[p->next], MW_BLOCK_RESERVE, s->start,
					       s->end - s->start, s->arena);
		else
			look_at_mapping(l, p->addrs[p->next], &p->out[p->next]);
		p->next++;
	}
	pt->seeking = false;
	if (!ret && pt->tcache_count > known)
		ret = mw_ptmalloc__read_caches(pt);
	tell_cached(l);
	return ret ? ret : pass_marks(l, UINT64_MAX, false);
}

ssize_t mw_ptmalloc__look(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
			  size_t count)
{
	struct mw_ptmalloc *pt = (struct mw_ptmalloc *)heap;
	struct look l = {.pt = pt, .picker = {addrs, blocks, count, 0}};
	bool whole = pt->layout.tcache_count == 1;
	int ret;

	if (!mw_ptmalloc__is_there(pt))
		return -ESTALE;
	mw_glibc_settings__refresh(&pt->settings, heap->image);
	pt->measured = pt->bins_read = false;
	pt->cached_count = pt->tcache_count = 0;
	memset(&pt->mmapped, 0, sizeof(pt->mmapped));
	ret = mw_ptmalloc__find_runs(pt, whole);
	if (ret)
		return ret;
	if (whole) {
		ret = heap->ops->find(heap, addrs, blocks, count);
		return ret ? ret : (ssize_t)count;
	}
	ret = look_at_parts(&l);
	if (ret) {
		free(l.marks);
		return ret;
	}
	free(pt->marks);
	pt->marks = l.marks;
	pt->mark_count = l.mark_count;
	return (ssize_t)l.picker.next;
}

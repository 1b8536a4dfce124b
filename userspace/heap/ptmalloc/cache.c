// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks that a linear walk takes for live: fastbins and the threads' caches (tcache). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

enum {
	TCACHE_TRIES = 4,
	CACHES_MAX = 4096, /* candidates of a look */
	TCACHE_LIST_MAX = 65535,
	TCACHE_BINS_MAX = 76,
	TCACHE_STEPS_MAX = 1 << 25
};

int mw_ptmalloc__add_cached(struct mw_ptmalloc *pt, uint64_t chunk, enum mw_block_kind kind)
{
	int ret = mw_array_reserve(&pt->cached, &pt->cached_capacity, pt->cached_count + 1,
				   sizeof(*pt->cached));

	if (!ret)
		pt->cached[pt->cached_count++] = (chunk & ~(uint64_t)CACHED_MASK) | kind;
	return ret;
}

/* One list of fastbin chunks; Brent's algorithm ends a circular one. */
static int read_fastbin(struct mw_ptmalloc *pt, struct mw_heap_arena *arena, uint64_t chunk,
			uint64_t size, struct mw_doubts *doubts)
{
	uint64_t limit = arena->system_bytes / CHUNK_MIN, power = 1, lap = 0, tortoise = chunk;
	int ret = 0;

	for (uint64_t n = 0; chunk && !ret; n++) {
		uint64_t head[3];

		if (mw_ptmalloc__is_lost(pt, chunk))
			break;
		if (chunk & 15 || n > limit ||
		    !mw_image__read_all(pt->base.image, chunk, head, sizeof(head))) {
			mw_doubts__add(doubts, chunk, "fastbin leads astray", size);
			break;
		}
		if ((head[1] & ~(uint64_t)CHUNK_FLAGS) != size) {
			mw_doubts__add(doubts, chunk, "chunk of another size in a fastbin",
				       mw_seen(head[1], size));
			break;
		}
		ret = mw_ptmalloc__add_cached(pt, chunk, MW_BLOCK_FASTBIN);
		arena->sums[MW_BLOCK_FASTBIN].count++;
		arena->sums[MW_BLOCK_FASTBIN].bytes += size;
		chunk = mw_reveal(pt, chunk + 16, head[2]);
		if (chunk && chunk == tortoise) {
			mw_doubts__add(doubts, chunk, "fastbin runs in a circle", size);
			break;
		}
		if (++lap == power) {
			tortoise = chunk;
			power *= 2;
			lap = 0;
		}
	}
	return ret;
}

static int read_fastbins(struct mw_ptmalloc *pt, size_t arena, struct mw_doubts *doubts)
{
	uint64_t heads[MW_PTMALLOC_FASTBINS];
	int ret = 0;

	if (!pt->layout.fastbins ||
	    !mw_image__read_all(pt->base.image, pt->arenas[arena].addr + pt->layout.fastbins, heads,
				sizeof(heads)))
		return 0;
	for (uint64_t i = 0; i < MW_PTMALLOC_FASTBINS && !ret; i++)
		ret = read_fastbin(pt, &pt->arenas[arena], heads[i], CHUNK_MIN + 16 * i, doubts);
	return ret;
}

struct tcache {
	uint16_t counts[TCACHE_BINS_MAX];
	uint64_t entries[TCACHE_BINS_MAX];
};

static void decode(const struct mw_ptmalloc_layout *l, const uint8_t *data, struct tcache *t)
{
	for (size_t i = 0; i < l->tcache_bins; i++) {
		memcpy(&t->entries[i], data + (size_t)l->tcache_bins * l->tcache_count + 8 * i, 8);
		t->counts[i] = data[i];
		if (l->tcache_count == 2)
			memcpy(&t->counts[i], data + 2 * i, 2);
	}
}

/* Do counts and entries agree? All zeros do not count: any fresh chunk has those. */
static bool looks_right(const struct mw_ptmalloc_layout *l, const struct tcache *t)
{
	bool any = false;

	for (size_t i = 0; i < l->tcache_bins; i++) {
		if (t->entries[i] & 15 || (t->entries[i] && t->entries[i] < 65536) ||
		    t->entries[i] >> 56)
			return false;
		if (!l->tcache_slots_left && !t->counts[i] != !t->entries[i])
			return false;
		if (l->tcache_slots_left && t->counts[i] > 1024)
			return false;
		any |= t->entries[i] || t->counts[i];
	}
	return any;
}

bool mw_ptmalloc__is_tcache(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t chunk)
{
	const uint8_t *at = mw_read_buffer__at(w, chunk + CHUNK_HEADER, pt->layout.tcache_size);
	struct tcache t = {0};

	if (!at)
		return false;
	decode(&pt->layout, at, &t);
	return looks_right(&pt->layout, &t);
}

void mw_ptmalloc__note_tcache(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t chunk,
			      uint64_t size, bool again)
{
	const struct mw_ptmalloc_layout *l = &pt->layout;

	if (!l->tcache_size || size != ((l->tcache_size + 8u + 15) & ~15u) ||
	    (again && pt->tcache_count >= CACHES_MAX) || !mw_ptmalloc__is_tcache(pt, w, chunk))
		return;
	for (size_t i = 0; again && i < pt->tcache_count; i++) {
		if (pt->tcache_chunks[i] == chunk)
			return;
	}
	if (!mw_array_reserve(&pt->tcache_chunks, &pt->tcache_capacity, pt->tcache_count + 1,
			      sizeof(*pt->tcache_chunks)))
		pt->tcache_chunks[pt->tcache_count++] = chunk;
}

/* An entry of a tcache has KEY. The key that most have leads in the end (Boyer and Moore). */
static void vote(struct mw_ptmalloc *pt, uint64_t key)
{
	pt->votes.count++;
	if (key == pt->votes.key)
		pt->votes.lead++;
	else if (pt->votes.lead)
		pt->votes.lead--;
	else
		pt->votes.key = key, pt->votes.lead = 1;
}

/*
 * One key for all tcaches since 2.34; before, each has its own address as key, and up to 2.28
 * there is none.
 */
static void learn_key(struct mw_ptmalloc *pt)
{
	bool is_address = false;

	for (size_t i = 0; i < pt->tcache_count; i++)
		is_address |= pt->votes.key == pt->tcache_chunks[i] + CHUNK_HEADER;
	if (pt->layout.safe_linking && !is_address && pt->votes.lead > pt->votes.count / 2)
		pt->tcache_key = pt->votes.key;
}

/*
 * Walk one bin's list. Returns the number of entries, or -1 when one of them is no chunk of the
 * bin. Where a core was cut off the list ends. With ADD they are put among the cached ones.
 */
static long walk_bin(struct mw_ptmalloc *pt, uint64_t entry, size_t bin, bool add)
{
	long n = 0;

	for (; entry; n++) {
		uint64_t words[4], size; /* prev_size, size, next, key */

		if (entry & 15 || n > TCACHE_LIST_MAX || pt->tcache_steps++ > TCACHE_STEPS_MAX ||
		    !mw_image__read_all(pt->base.image, entry - CHUNK_HEADER, words, sizeof(words)))
			return mw_ptmalloc__is_lost(pt, entry) ? n : -1;
		size = words[1] & ~(uint64_t)CHUNK_FLAGS;
		if (bin < MW_PTMALLOC_SMALL_BINS
			    ? size != CHUNK_MIN + 16 * bin
			    : size <= CHUNK_MIN + 16 * MW_PTMALLOC_SMALL_BINS - 16)
			return -1;
		if (add && mw_ptmalloc__add_cached(pt, entry - CHUNK_HEADER, MW_BLOCK_TCACHE))
			return -1;
		if (add)
			vote(pt, words[3]);
		entry = mw_reveal(pt, entry, words[2]);
	}
	return n;
}

static bool read_struct(struct mw_ptmalloc *pt, uint64_t chunk, struct tcache *t)
{
	uint8_t data[768];

	memset(t, 0, sizeof(*t));
	if (!pt->layout.tcache_size ||
	    !mw_image__read_all(pt->base.image, chunk + CHUNK_HEADER, data, pt->layout.tcache_size))
		return false;
	decode(&pt->layout, data, t);
	return true;
}

/* 1 plus the number of chunks that T holds; 0: one of its lists is not valid. */
static unsigned int count_chunks(struct mw_ptmalloc *pt, const struct tcache *t, bool add)
{
	unsigned int sum = 0;

	if (!looks_right(&pt->layout, t))
		return 0;
	for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
		long n = walk_bin(pt, t->entries[i], i, add);

		if (n < 0 || (!pt->layout.tcache_slots_left && n != t->counts[i]))
			return 0;
		sum += (unsigned int)n;
	}
	return sum + 1;
}

unsigned int mw_ptmalloc__try_tcache(struct mw_ptmalloc *pt, uint64_t chunk)
{
	struct tcache t;

	return read_struct(pt, chunk, &t) ? count_chunks(pt, &t, false) : 0;
}

/* A tcache with a list that is damaged: the other lists count. */
static void read_damaged(struct mw_ptmalloc *pt, const struct tcache *t, struct mw_doubts *doubts)
{
	for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
		size_t before = pt->cached_count;

		if (walk_bin(pt, t->entries[i], i, true) >= 0)
			continue;
		pt->cached_count = before;
		mw_doubts__add(doubts, t->entries[i], "tcache list leads astray", i);
	}
}

/* One valid list distinguishes a damaged tcache from a chance match. */
static bool has_a_list(struct mw_ptmalloc *pt, const struct tcache *t)
{
	for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
		if (walk_bin(pt, t->entries[i], i, false) > 0)
			return true;
	}
	return false;
}

static int read_tcache(struct mw_ptmalloc *pt, uint64_t chunk, struct mw_doubts *doubts)
{
	int tries = mw_image__is_still(pt->base.image) ? 1 : TCACHE_TRIES;
	size_t before = pt->cached_count;
	bool valid = false;
	struct tcache t;

	/* In a process that runs its thread may use it meanwhile. */
	for (int i = 0; i < tries && !valid; i++) {
		if (!read_struct(pt, chunk, &t))
			return 0;
		pt->cached_count = before;
		valid = count_chunks(pt, &t, true) != 0;
	}
	if (!valid) {
		pt->cached_count = before;
		if (!has_a_list(pt, &t))
			return 0;
		read_damaged(pt, &t, doubts);
	}
	pt->tcaches++;
	return mw_ptmalloc__add_cached(pt, chunk, MW_BLOCK_OVERHEAD);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* In address order; a chunk that is there twice was freed twice. */
static void sort_cached(struct mw_ptmalloc *pt, struct mw_doubts *doubts)
{
	size_t out = 0;

	if (pt->cached_count)
		qsort(pt->cached, pt->cached_count, sizeof(*pt->cached), by_value);
	for (size_t i = 0; i < pt->cached_count; i++) {
		uint64_t chunk = pt->cached[i] & ~(uint64_t)CACHED_MASK;

		if (out && (pt->cached[out - 1] & ~(uint64_t)CACHED_MASK) == chunk)
			mw_doubts__add(doubts, chunk, "chunk is in two caches: freed twice",
				       mw_seen(pt->cached[out - 1], pt->cached[i]));
		else
			pt->cached[out++] = pt->cached[i];
	}
	pt->cached_count = out;
}

static int read_caches(struct mw_ptmalloc *pt, struct mw_doubts *doubts)
{
	int ret = 0;

	pt->cached_count = 0;
	pt->tcaches = 0;
	pt->tcache_steps = 0;
	memset(&pt->votes, 0, sizeof(pt->votes));
	for (size_t i = 0; i < pt->arena_count && !ret; i++) {
		memset(&pt->arenas[i].sums[MW_BLOCK_FASTBIN], 0, sizeof(struct mw_heap_sum));
		ret = read_fastbins(pt, i, doubts);
	}
	for (size_t c = 0; c < pt->tcache_count && !ret; c++)
		ret = read_tcache(pt, pt->tcache_chunks[c], doubts);
	if (!ret) {
		learn_key(pt);
		sort_cached(pt, doubts);
	}
	return ret;
}

int mw_ptmalloc__read_caches(struct mw_ptmalloc *pt)
{
	struct mw_doubts doubts;
	int ret;

	/* All of them are one part, as chunks go from one to another. */
	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		ret = read_caches(pt, &doubts);
	} while (!ret && mw_doubts__again(&doubts));
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks that a linear walk takes for live: fastbins and the threads' caches (tcache). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"

enum { TCACHE_LIST_MAX = 65535, TCACHE_BINS_MAX = 76, TCACHE_STEPS_MAX = 1 << 25 };

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
			uint64_t size)
{
	uint64_t limit = arena->system_bytes / CHUNK_MIN, power = 1, lap = 0, tortoise = chunk;
	int ret = 0;

	for (uint64_t n = 0; chunk && !ret; n++) {
		uint64_t head[3];

		if (chunk & 15 || n > limit ||
		    !mw_image__read_all(pt->base.image, chunk, head, sizeof(head))) {
			mw_heap__add_problem(&pt->base, chunk, "fastbin leads astray");
			break;
		}
		if ((head[1] & ~(uint64_t)CHUNK_FLAGS) != size) {
			mw_heap__add_problem(&pt->base, chunk,
					     "chunk of another size in a fastbin");
			break;
		}
		ret = mw_ptmalloc__add_cached(pt, chunk, MW_BLOCK_FASTBIN);
		arena->sums[MW_BLOCK_FASTBIN].count++;
		arena->sums[MW_BLOCK_FASTBIN].bytes += size;
		chunk = mw_reveal(pt, chunk + 16, head[2]);
		if (chunk && chunk == tortoise) {
			mw_heap__add_problem(&pt->base, chunk, "fastbin runs in a circle");
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

int mw_ptmalloc__read_fastbins(struct mw_ptmalloc *pt, size_t arena)
{
	uint64_t heads[MW_PTMALLOC_FASTBINS];
	int ret = 0;

	if (!pt->layout.fastbins ||
	    !mw_image__read_all(pt->base.image, pt->arenas[arena].addr + pt->layout.fastbins, heads,
				sizeof(heads)))
		return 0;
	for (uint64_t i = 0; i < MW_PTMALLOC_FASTBINS && !ret; i++)
		ret = read_fastbin(pt, &pt->arenas[arena], heads[i], CHUNK_MIN + 16 * i);
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

/*
 * Walk one bin's list. Returns the number of entries, or -1 when one of them is no chunk of the
 * bin. With ADD they are put among the cached ones.
 */
static long walk_bin(struct mw_ptmalloc *pt, uint64_t entry, size_t bin, bool add)
{
	long n = 0;

	for (; entry; n++) {
		uint64_t words[4], size; /* prev_size, size, next, key */

		if (entry & 15 || n > TCACHE_LIST_MAX || pt->tcache_steps++ > TCACHE_STEPS_MAX ||
		    !mw_image__read_all(pt->base.image, entry - CHUNK_HEADER, words, sizeof(words)))
			return -1;
		size = words[1] & ~(uint64_t)CHUNK_FLAGS;
		if (bin < MW_PTMALLOC_SMALL_BINS
			    ? size != CHUNK_MIN + 16 * bin
			    : size <= CHUNK_MIN + 16 * MW_PTMALLOC_SMALL_BINS - 16)
			return -1;
		if (add && mw_ptmalloc__add_cached(pt, entry - CHUNK_HEADER, MW_BLOCK_TCACHE))
			return -1;
		entry = mw_reveal(pt, entry, words[2]);
	}
	return n;
}

/* 1 plus the number of chunks that the tcache in CHUNK holds; 0: one of its lists is not valid. */
unsigned int mw_ptmalloc__try_tcache(struct mw_ptmalloc *pt, uint64_t chunk)
{
	uint8_t data[768];
	struct tcache t = {0};
	unsigned int sum = 0;

	if (!pt->layout.tcache_size ||
	    !mw_image__read_all(pt->base.image, chunk + CHUNK_HEADER, data, pt->layout.tcache_size))
		return 0;
	decode(&pt->layout, data, &t);
	if (!looks_right(&pt->layout, &t))
		return 0;
	for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
		long n = walk_bin(pt, t.entries[i], i, false);

		if (n < 0 || (!pt->layout.tcache_slots_left && n != t.counts[i]))
			return 0;
		sum += (unsigned int)n;
	}
	return sum + 1;
}

/* In a running process a list may change while it is read: then the other bins count. */
int mw_ptmalloc__read_tcaches(struct mw_ptmalloc *pt)
{
	for (size_t c = 0; c < pt->tcache_count; c++) {
		uint64_t chunk = pt->tcache_chunks[c];
		uint8_t data[768];
		struct tcache t = {0};
		bool good = true;

		if (!mw_image__read_all(pt->base.image, chunk + CHUNK_HEADER, data,
					pt->layout.tcache_size))
			continue;
		decode(&pt->layout, data, &t);
		if (!mw_ptmalloc__try_tcache(pt, chunk)) {
			/* One valid list distinguishes a damaged tcache from a chance match. */
			long best = 0;

			for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
				long n = walk_bin(pt, t.entries[i], i, false);

				best = n > best ? n : best;
			}
			if (best <= 0)
				continue;
			good = false;
		}
		for (size_t i = 0; i < pt->layout.tcache_bins; i++) {
			if (!good && walk_bin(pt, t.entries[i], i, false) < 0) {
				mw_heap__add_problem(&pt->base, t.entries[i],
						     "tcache list leads astray");
				continue;
			}
			walk_bin(pt, t.entries[i], i, true);
		}
		if (mw_ptmalloc__add_cached(pt, chunk, MW_BLOCK_OVERHEAD))
			return -ENOMEM;
		pt->tcaches++;
	}
	return 0;
}

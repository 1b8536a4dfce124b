// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bins as glibc itself sees them: doubly linked lists of free chunks. A linear walk finds the
 * same chunks without them; the lists show the bin of each, and damaged links.
 */
#include <errno.h>
#include <stdlib.h>

#include "heap/ptmalloc/impl.h"
#include "image/pages.h"
#include "util/array.h"

enum { FD = 16, BK = 24 };

/*
 * The smallest chunk of bin I, by malloc.c's smallbin_index() and largebin_index_64(): exact sizes
 * 16 bytes apart up to 1,008, then 64 bytes, 512, 4K, 32K and 256K apart. 0: unsorted.
 */
static uint64_t smallest(unsigned int i)
{
	static const struct {
		unsigned int from, base, shift;
	} large[] = {{124, 124, 18}, {120, 119, 15}, {112, 110, 12}, {97, 91, 9}, {64, 48, 6}};

	if (i <= 1)
		return 0;
	if (i < 64)
		return 16ULL * i;
	for (size_t k = 0; k < MW_ARRAY_SIZE(large); k++) {
		if (i >= large[k].from)
			return (uint64_t)(i - large[k].base) << large[k].shift;
	}
	return 0;
}

/* malloc/malloc.c: bin 1 is unsorted, 2 to 63 have one size each, 64 to 126 a range. */
static const char *kind_of(unsigned int i)
{
	return i < 2 ? "unsorted" : i < 64 ? "small" : "large";
}

static int add_bin(struct mw_ptmalloc *pt, const struct mw_heap_bin *bin)
{
	int ret = mw_array_reserve(&pt->bins, &pt->bin_capacity, pt->bin_count + 1,
				   sizeof(*pt->bins));

	if (!ret)
		pt->bins[pt->bin_count++] = *bin;
	return ret;
}

/* May CHUNK, which is in no run that is known, lie in memory that its arena got since? */
static bool is_new(struct mw_ptmalloc *pt, uint32_t arena, uint64_t chunk)
{
	uint64_t word;

	if (mw_image__is_still(pt->base.image) || chunk & 15)
		return false;
	mw_ptmalloc__refresh_arena(pt, arena);
	return pt->arenas[arena].changed && mw_image__read_u64(pt->base.image, chunk, &word);
}

static void walk_bin(struct mw_ptmalloc *pt, struct mw_pages *pages, struct mw_heap_bin *bin,
		     unsigned int i, struct mw_doubts *doubts)
{
	const struct mw_heap_arena *a = &pt->arenas[bin->arena];
	/* A bin looks like a chunk: its head is 16 bytes before its two links. */
	uint64_t head = a->addr + pt->layout.bins + 16ULL * (i - 1) - FD;
	uint64_t limit = a->system_bytes / CHUNK_MIN + 1, before = head;
	uint64_t chunk = mw_pages_word(pages, head + FD);

	while (chunk && chunk != head) {
		uint64_t size, back;

		if (!mw_ptmalloc__run_at(pt, chunk) && is_new(pt, bin->arena, chunk)) {
			mw_doubts__add_race(doubts);
			break;
		}
		/* The rest of the list is where the core was cut off. */
		if (mw_ptmalloc__is_lost(pt, chunk))
			break;
		if (chunk & 15 || !mw_ptmalloc__run_at(pt, chunk) || bin->free.count >= limit) {
			mw_doubts__add(doubts, before, "a bin's list leads astray from here",
				       chunk);
			break;
		}
		back = mw_pages_word(pages, chunk + BK);
		if (back != before) {
			mw_doubts__add(doubts, chunk, "a bin's chunk does not link back",
				       mw_seen(back, before));
			break;
		}
		size = mw_pages_word(pages, chunk + 8) & ~(uint64_t)CHUNK_FLAGS;
		if (size < CHUNK_MIN || size > a->system_bytes ||
		    (i > 1 && i < 64 && size != bin->smallest) ||
		    (i >= 64 && size < bin->smallest)) {
			mw_doubts__add(doubts, chunk, "a chunk in a bin of other sizes", size);
			break;
		}
		bin->free.count++;
		bin->free.bytes += size;
		before = chunk;
		chunk = mw_pages_word(pages, chunk + FD);
	}
}

static int read_bin(struct mw_ptmalloc *pt, struct mw_pages *pages, size_t arena, unsigned int i)
{
	struct mw_heap_bin bin = {
		.arena = (uint32_t)arena, .kind = kind_of(i), .smallest = smallest(i)};
	struct mw_doubts doubts;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		if (doubts.attempt)
			mw_pages__forget(pages);
		bin.free = (struct mw_heap_sum){0};
		walk_bin(pt, pages, &bin, i, &doubts);
	} while (mw_doubts__again(&doubts));
	return bin.free.count ? add_bin(pt, &bin) : 0;
}

int mw_ptmalloc__read_bins(struct mw_ptmalloc *pt)
{
	struct mw_pages pages;
	int ret;

	if (pt->bins_read)
		return 0;
	ret = mw_pages__init(&pages, pt->base.image);
	if (ret)
		return ret;
	for (size_t k = 0; k < pt->arena_count && !ret; k++) {
		for (unsigned int i = 1; i < MW_PTMALLOC_BINS && !ret; i++)
			ret = read_bin(pt, &pages, k, i);
	}
	mw_pages__free(&pages);
	pt->bins_read = !ret;
	return ret;
}

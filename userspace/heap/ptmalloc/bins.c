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

static int read_bin(struct mw_ptmalloc *pt, struct mw_pages *pages, size_t arena, unsigned int i)
{
	const struct mw_heap_arena *a = &pt->arenas[arena];
	/* A bin looks like a chunk: its head is 16 bytes before its two links. */
	uint64_t head = a->addr + pt->layout.bins + 16ULL * (i - 1) - FD;
	uint64_t limit = a->system_bytes / CHUNK_MIN + 1, before = head;
	struct mw_heap_bin bin = {
		.arena = (uint32_t)arena, .kind = kind_of(i), .smallest = smallest(i)};
	uint64_t chunk = mw_pages_word(pages, head + FD);

	while (chunk && chunk != head) {
		uint64_t size;

		if (chunk & 15 || !mw_ptmalloc__run_at(pt, chunk) || bin.free.count >= limit) {
			mw_heap__add_problem(&pt->base, before,
					     "a bin's list leads astray from here");
			break;
		}
		if (mw_pages_word(pages, chunk + BK) != before) {
			mw_heap__add_problem(&pt->base, chunk, "a bin's chunk does not link back");
			break;
		}
		size = mw_pages_word(pages, chunk + 8) & ~(uint64_t)CHUNK_FLAGS;
		if (size < CHUNK_MIN || size > a->system_bytes ||
		    (i > 1 && i < 64 && size != bin.smallest) || (i >= 64 && size < bin.smallest)) {
			mw_heap__add_problem(&pt->base, chunk, "a chunk in a bin of other sizes");
			break;
		}
		bin.free.count++;
		bin.free.bytes += size;
		before = chunk;
		chunk = mw_pages_word(pages, chunk + FD);
	}
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

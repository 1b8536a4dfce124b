// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks with a mapping of their own (sysmalloc_mmap() in malloc/malloc.c). */
#include <errno.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"

/* Bytes of the mapping whose chunk has HEAD at CHUNK, or 0. START is the mapping's. */
static uint64_t mapping_of(const struct mw_ptmalloc *pt, uint64_t chunk, const uint64_t head[2],
			   uint64_t *start)
{
	uint64_t lead = head[0], size = head[1] & ~(uint64_t)CHUNK_FLAGS, total;

	if ((head[1] & CHUNK_FLAGS) != CHUNK_MMAPPED)
		return 0;
	if (pt->layout.mmap_header)
		lead &= ~15ULL; /* the lowest bit: made of huge pages */
	if (lead & 15 || lead > chunk || __builtin_add_overflow(lead, size, &total))
		return 0;
	if (pt->layout.mmap_header)
		total += CHUNK_HEADER;
	*start = chunk - lead;
	if (!total || total % PAGE_BYTES || *start % PAGE_BYTES || total > 1ULL << 47)
		return 0;
	return total;
}

static bool read_head(struct mw_read_buffer *w, uint64_t chunk, uint64_t head[2])
{
	const uint8_t *at = mw_read_buffer__at(w, chunk, CHUNK_HEADER);

	if (at)
		memcpy(head, at, CHUNK_HEADER);
	return at;
}

/*
 * The chunk of the mapping that may begin at PAGE, in memory that ends at END. An aligned chunk
 * begins further in and says how far; before 2.43 the first header remains as well.
 */
static uint64_t chunk_in(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t page,
			 uint64_t end, uint64_t *chunk)
{
	uint64_t head[2], start, total = 0, first = 0;

	if (read_head(w, page, head) && !head[0]) {
		first = mapping_of(pt, page, head, &start);
		if (first && first <= end - page)
			total = first;
		*chunk = page;
	}
	for (uint64_t align = 32; align < end - page; align *= 2) {
		uint64_t user = (page + CHUNK_HEADER + align - 1) & ~(align - 1), other;

		if (user >= end || (total && user >= page + total))
			break;
		/* Try far ones only if the mapping is known: otherwise every page costs a jump. */
		if (!total && align > PAGE_BYTES && !pt->layout.mmap_header)
			break;
		if (!read_head(w, user - CHUNK_HEADER, head) || !head[0])
			continue;
		other = mapping_of(pt, user - CHUNK_HEADER, head, &start);
		if (other && start == page && (!total || other == total) && other <= end - page) {
			*chunk = user - CHUNK_HEADER;
			return other;
		}
	}
	return total;
}

bool mw_ptmalloc__mmapped_agrees(const struct mw_ptmalloc *pt)
{
	const struct mw_glibc_settings *s = &pt->settings;

	if (!s->mp_addr || pt->mmapped.count != s->n_mmaps)
		return false;
	/* 2.43 counts 16 bytes too many for every mremap of a chunk (mremap_chunk()). */
	if (pt->layout.mmap_header)
		return (s->mmapped_bytes - pt->mmapped.bytes) % CHUNK_HEADER == 0;
	return pt->mmapped.bytes == s->mmapped_bytes;
}

static int search_region(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t page,
			 uint64_t end, bool everywhere)
{
	while (page < end && !mw_ptmalloc__mmapped_agrees(pt)) {
		uint64_t chunk = 0, total = chunk_in(pt, w, page, end, &chunk);

		if (total) {
			const struct mw_run s = {.start = page,
						 .end = page + total,
						 .first = chunk,
						 .arena = MW_BLOCK_NO_ARENA,
						 .kind = MW_RUN_MMAPPED};
			int ret = mw_ptmalloc__add_run(pt, &s);

			if (ret)
				return ret;
			pt->mmapped.count++;
			pt->mmapped.bytes += total;
		} else if (!everywhere) {
			break;
		}
		page += total ? total : PAGE_BYTES;
	}
	return 0;
}

/* Search what the first HEAPS runs leave of region R: the kernel joins neighbouring mappings. */
static int search_gaps(struct mw_ptmalloc *pt, struct mw_read_buffer *w, const struct mw_region *r,
		       size_t heaps, bool everywhere)
{
	uint64_t page = r->map.start;
	int ret = 0;

	for (size_t i = 0; i < heaps && !ret && page < r->map.end; i++) {
		const struct mw_run heap = pt->runs[i];

		if (heap.end <= page || heap.start >= r->map.end)
			continue;
		if (heap.start > page)
			ret = search_region(pt, w, page, heap.start, everywhere);
		page = (heap.end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	}
	if (!ret && page < r->map.end)
		ret = search_region(pt, w, page, r->map.end, everywhere);
	return ret;
}

int mw_ptmalloc__find_mmapped(struct mw_ptmalloc *pt)
{
	const struct mw_regions *regions = mw_image__regions(pt->base.image);
	size_t heaps = pt->run_count;
	struct mw_read_buffer w;
	int ret = mw_read_buffer__init(&w, pt->base.image);

	if (ret)
		return ret;
	/* First only where mappings begin, which usually finds all; then page by page. */
	for (int everywhere = 0; everywhere < 2 && !mw_ptmalloc__mmapped_agrees(pt) && !ret;
	     everywhere++) {
		if (everywhere && !pt->settings.mp_addr)
			break; /* nothing to check chance matches against */
		pt->run_count = heaps;
		memset(&pt->mmapped, 0, sizeof(pt->mmapped));
		for (size_t i = 0; i < regions->count && !ret; i++) {
			const struct mw_region *r = &regions->regions[i];

			if (!r->map.writable || r->map.inode || r->map.shared || r->io ||
			    !(r->resident + r->swapped) || r->map.start % PAGE_BYTES)
				continue;
			ret = search_gaps(pt, &w, r, heaps, everywhere);
		}
	}
	mw_read_buffer__free(&w);
	return ret;
}

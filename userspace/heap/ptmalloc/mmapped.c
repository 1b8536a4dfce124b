// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks with a mapping of their own (sysmalloc_mmap() in malloc/malloc.c). */
#include <errno.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/parallel.h"

enum { SCAN_PAGES = 16384, SCAN_PART = 512, ALIGNED_MOST = 64 << 20 };

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

uint64_t mw_ptmalloc__mmapped_at(const struct mw_ptmalloc *pt, uint64_t chunk, uint64_t *start)
{
	uint64_t head[2];

	return mw_image__read_all(pt->base.image, chunk, head, sizeof(head))
		       ? mapping_of(pt, chunk, head, start)
		       : 0;
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
 * begins further in and says how far; before 2.43 the first header remains as well. MAY_GROW: a
 * chunk that reaches further than END has grown since END was read, and counts up to there.
 */
static uint64_t chunk_in(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t page,
			 uint64_t end, bool may_grow, uint64_t *chunk)
{
	uint64_t head[2], start, total = 0, first = 0;

	if (read_head(w, page, head) && !head[0]) {
		first = mapping_of(pt, page, head, &start);
		if (first > end - page)
			first = may_grow ? end - page : 0;
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

/* What is being searched. */
struct search {
	struct mw_read_buffer w;
	bool everywhere; /* at each page, not only where mappings begin */
	uint64_t region; /* where the present region begins: realloc() may grow a chunk there */
	uint64_t limit;	 /* where memory like that of the present region ends */
	uint64_t passed; /* the last chunk found ends here */
	/* Pages of the present region that several threads have looked at: may a chunk begin there?
	 */
	uint64_t scanned, scanned_end;
	uint8_t begins[SCAN_PAGES];
};

struct scan {
	struct mw_ptmalloc *pt;
	struct search *search;
};

static bool may_have_grown(const struct mw_ptmalloc *pt, const struct search *search, uint64_t page)
{
	return page == search->region && !mw_image__is_still(pt->base.image);
}

static int scan_part(void *arg, size_t part)
{
	const struct scan *scan = arg;
	struct search *s = scan->search;
	uint64_t page = s->scanned + (uint64_t)part * SCAN_PART * PAGE_BYTES, chunk;
	uint8_t *begins = s->begins + part * SCAN_PART;
	struct mw_read_buffer w;
	int ret = mw_read_buffer__init(&w, scan->pt->base.image);

	for (size_t i = 0; i < SCAN_PART && page < s->scanned_end && !ret; i++) {
		begins[i] = chunk_in(scan->pt, &w, page, s->limit,
				     may_have_grown(scan->pt, s, page), &chunk) != 0;
		page += PAGE_BYTES;
	}
	mw_read_buffer__free(&w);
	return ret;
}

/*
 * The first page from PAGE on that is worth a look: the image lacks what is far below the next
 * memory that it has, or END. Not all that it lacks is skipped, for the header of an aligned chunk
 * lies further in than the first page, which may never have been touched.
 */
static uint64_t worth_a_look(const struct mw_image *image, uint64_t page, uint64_t end)
{
	uint64_t held = mw_image__next_held(image, page, PAGE_BYTES, end);

	return held - page > ALIGNED_MOST ? (held - ALIGNED_MOST) & ~(PAGE_BYTES - 1ULL) : page;
}

/* The next page from PAGE on where a chunk may begin, or END. */
static int next_page(struct mw_ptmalloc *pt, struct search *s, uint64_t *page, uint64_t end)
{
	for (; *page < end; *page += PAGE_BYTES) {
		if (*page < s->scanned || *page >= s->scanned_end) {
			struct scan scan = {pt, s};
			uint64_t pages;
			int ret;

			*page = worth_a_look(pt->base.image, *page, end);
			pages = (end - *page) / PAGE_BYTES;
			pages = pages < SCAN_PAGES ? pages : SCAN_PAGES;
			s->scanned = *page;
			s->scanned_end = *page + pages * PAGE_BYTES;
			ret = mw_in_parallel(mw_image__readers(pt->base.image),
					     (pages + SCAN_PART - 1) / SCAN_PART, scan_part, &scan);
			if (ret)
				return ret;
		}
		if (s->begins[(*page - s->scanned) / PAGE_BYTES])
			break;
	}
	return 0;
}

static int search_region(struct mw_ptmalloc *pt, struct search *search, uint64_t page, uint64_t end)
{
	if (page < search->passed)
		page = search->passed;
	search->scanned = search->scanned_end = 0;
	while (page < end && !mw_ptmalloc__mmapped_agrees(pt)) {
		uint64_t chunk = 0, total;
		int ret = search->everywhere ? next_page(pt, search, &page, end) : 0;

		if (ret || page >= end)
			return ret;
		total = chunk_in(pt, &search->w, page, search->limit,
				 may_have_grown(pt, search, page), &chunk);
		if (total) {
			const struct mw_run s = {.start = page,
						 .end = page + total,
						 .first = chunk,
						 .arena = MW_BLOCK_NO_ARENA,
						 .kind = MW_RUN_MMAPPED};

			ret = mw_ptmalloc__add_run(pt, &s);
			if (ret)
				return ret;
			pt->mmapped.count++;
			pt->mmapped.bytes += total;
			search->passed = page + total;
		} else if (!search->everywhere) {
			break;
		}
		page += total ? total : PAGE_BYTES;
	}
	return 0;
}

/* Search what the first HEAPS runs leave of region R: the kernel joins neighbouring mappings. */
static int search_gaps(struct mw_ptmalloc *pt, struct search *search, const struct mw_region *r,
		       size_t heaps)
{
	uint64_t page = r->map.start, limit = search->limit;
	int ret = 0;

	search->region = r->map.start;
	for (size_t i = 0; i < heaps && !ret && page < r->map.end; i++) {
		const struct mw_run heap = pt->runs[i];

		if (heap.end <= page || heap.start >= limit)
			continue;
		search->limit = heap.start > page ? heap.start : page;
		if (heap.start > page)
			ret = search_region(pt, search, page,
					    heap.start < r->map.end ? heap.start : r->map.end);
		page = (heap.end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	}
	search->limit = limit;
	if (!ret && page < r->map.end)
		ret = search_region(pt, search, page, r->map.end);
	return ret;
}

static bool may_hold_chunks(const struct mw_region *r)
{
	return r->map.writable && !r->map.inode && !r->map.shared && !r->io &&
	       r->map.start % PAGE_BYTES == 0;
}

/* Where memory like that of region I ends: madvise(2) splits a chunk's mapping, as numpy does. */
static uint64_t limit_of(const struct mw_regions *regions, size_t i)
{
	enum { PARTS_MAX = 64 };
	uint64_t end = regions->regions[i].map.end;
	size_t last = i + PARTS_MAX;

	while (++i < regions->count && i < last && regions->regions[i].map.start == end &&
	       may_hold_chunks(&regions->regions[i]))
		end = regions->regions[i].map.end;
	return end;
}

int mw_ptmalloc__find_mmapped(struct mw_ptmalloc *pt)
{
	const struct mw_regions *regions = mw_image__regions(pt->base.image);
	size_t heaps = pt->run_count;
	struct search search = {0};
	int ret = mw_read_buffer__init(&search.w, pt->base.image);

	if (ret)
		return ret;
	/* First only where mappings begin, which usually finds all; then page by page. */
	for (int pass = 0; pass < 2 && !mw_ptmalloc__mmapped_agrees(pt) && !ret; pass++) {
		search.everywhere = pass;
		search.passed = 0;
		if (search.everywhere && !pt->settings.mp_addr)
			break; /* nothing to check chance matches against */
		pt->run_count = heaps;
		memset(&pt->mmapped, 0, sizeof(pt->mmapped));
		for (size_t i = 0; i < regions->count && !ret; i++) {
			const struct mw_region *r = &regions->regions[i];

			if (!may_hold_chunks(r) || !(r->resident + r->swapped))
				continue;
			search.limit = limit_of(regions, i);
			ret = search_gaps(pt, &search, r, heaps);
		}
	}
	mw_read_buffer__free(&search.w);
	return ret;
}

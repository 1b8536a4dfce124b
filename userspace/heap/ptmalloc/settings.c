// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mp_ by its symbol or by a search of the C library's data. Either way what is there must look like
 * mp_: its values are possible ones, and the main arena, if there is one, begins in private memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/bytes.h"
#include "util/cleanup.h"

/* sbrk_base is 0 before the first use. Where brk fails it may be in any anonymous mapping. */
static bool may_be_heap(struct mw_image *image, uint64_t base)
{
	const struct mw_region *r = base ? mw_image__find(image, base) : NULL;

	return !base || (r && r->map.writable && !r->map.inode && !r->map.shared);
}

/* Could P be mp_, and by which row? NULL: no. STRICT, for a search: as mw_ptmalloc_is_mp(). */
static const struct mw_ptmalloc_layout *match(struct mw_image *image, const uint8_t *p,
					      struct mw_ptmalloc_rows rows, bool strict)
{
	for (const struct mw_ptmalloc_layout *l = rows.first; l < rows.end; l++) {
		if (mw_ptmalloc_is_mp(p, l, strict) &&
		    may_be_heap(image, mw_u64_at(p + l->sbrk_base)))
			return l;
	}
	return NULL;
}

static void take(struct mw_glibc_settings *s, const uint8_t *p)
{
	const struct mw_ptmalloc_layout *l = s->layout;

	s->trim_threshold = mw_u64_at(p);
	s->top_pad = mw_u64_at(p + 8);
	s->mmap_threshold = mw_u64_at(p + 16);
	s->arena_test = mw_u64_at(p + 24);
	s->arena_max = mw_u64_at(p + 32);
	s->n_mmaps = mw_u32_at(p + l->n_mmaps);
	s->n_mmaps_max = mw_u32_at(p + l->n_mmaps_max);
	s->mmapped_bytes = mw_u64_at(p + l->mmapped_mem);
	s->sbrk_base = mw_u64_at(p + l->sbrk_base);
	s->dynamic = !mw_u32_at(p + l->no_dyn);
}

static int read_at(struct mw_glibc_settings *s, struct mw_image *image, uint64_t addr,
		   struct mw_ptmalloc_rows rows, const char *evidence)
{
	uint8_t p[MW_PTMALLOC_MP_BYTES];

	memset(s, 0, sizeof(*s));
	if (!mw_image__read_all(image, addr, p, sizeof(p)))
		return -ENOENT;
	s->layout = match(image, p, rows, false);
	if (!s->layout)
		return -ENOENT;
	s->mp_addr = addr;
	s->evidence = evidence;
	take(s, p);
	return 0;
}

/* The places in R that may be mp_: the number of them, and one of them in ADDR; or -ENOMEM. */
static int search_region(uint64_t *addr, struct mw_image *image, const struct mw_region *r,
			 struct mw_ptmalloc_rows rows)
{
	uint64_t len = r->map.end - r->map.start;
	_cleanup_free_ uint8_t *data = NULL;
	int hits = 0;
	ssize_t n;

	len = len < DATA_MAX ? len : DATA_MAX;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	n = mw_image__read(image, r->map.start, data, len);
	for (ssize_t off = 0; off + MW_PTMALLOC_MP_BYTES <= n; off += 8) {
		if (!match(image, data + off, rows, true))
			continue;
		*addr = r->map.start + (uint64_t)off;
		hits++;
	}
	return hits;
}

/* mp_ has values from the start, so it is in the file's data, not in its .bss. */
static int search(uint64_t *found, struct mw_image *image, uint64_t addr,
		  struct mw_ptmalloc_rows rows)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *file = mw_ptmalloc_file_of(image, addr);
	/* A core that has lost its files' names: what is around ADDR. */
	const struct mw_region *only = file ? NULL : mw_image__find(image, addr);
	int hits = 0;

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];
		bool here = file ? r->map.inode == file->map.inode &&
					    !strcmp(r->map.path, file->map.path)
				 : r == only;
		int n;

		if (!here || !r->map.writable || r->map.shared)
			continue;
		n = search_region(found, image, r, rows);
		if (n < 0)
			return n;
		hits += n;
	}
	return hits == 1 ? 0 : -ENOENT;
}

int mw_ptmalloc_find_settings(struct mw_glibc_settings *settings, struct mw_image *image,
			      uint64_t addr, uint64_t by_symbol, struct mw_ptmalloc_rows rows)
{
	uint64_t found = 0;
	int ret;

	if (by_symbol && !read_at(settings, image, by_symbol, rows, "mp_: symbol"))
		return 0;
	memset(settings, 0, sizeof(*settings));
	ret = search(&found, image, addr, rows);
	if (ret)
		return ret;
	return read_at(settings, image, found, rows,
		       "mp_: validated search of the C library's data");
}

int mw_glibc_settings__find(struct mw_glibc_settings *settings, struct mw_image *image,
			    uint64_t addr)
{
	struct mw_ptmalloc_rows rows = {mw_ptmalloc_layouts,
					mw_ptmalloc_layouts + mw_ptmalloc_layout_count};
	const struct mw_region *file = mw_ptmalloc_file_of(image, addr);
	const struct mw_ptmalloc_layout *row;
	struct mw_ptmalloc_debug debug = {0};
	const char *evidence;

	memset(settings, 0, sizeof(*settings));
	if (!file)
		return -ENOENT;
	row = mw_ptmalloc_layout_of(mw_ptmalloc_find_version(image, file, &evidence));
	if (row)
		rows = (struct mw_ptmalloc_rows){row, row + 1};
	mw_ptmalloc_read_debug(image, file->map.start, NULL, &debug);
	return mw_ptmalloc_find_settings(settings, image, addr, debug.mp, rows);
}

int mw_glibc_settings__refresh(struct mw_glibc_settings *settings, struct mw_image *image)
{
	uint8_t p[MW_PTMALLOC_MP_BYTES];

	if (!settings->mp_addr || !mw_image__read_all(image, settings->mp_addr, p, sizeof(p)))
		return -ENOENT;
	take(settings, p);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "image/elffile.h"
#include "util/bytes.h"

/* clang-format off */
const struct mw_ptmalloc_layout mw_ptmalloc_layouts[] = {
	/*
	 * versions  malloc_state                        heap_info
	 * mp_: n_mmaps max no_dyn mmapped sbrk   tcache
	 */
	{17, 22,   8, 88, 104, 2152, 2168, 2184, 0x20,   40, 44, 52, 56, 80,    0, 0,  0, false, false, false},
	{23, 24,   8, 88, 104, 2152, 2176, 2192, 0x20,   40, 44, 52, 56, 80,    0, 0,  0, false, false, false},
	{25, 25,   8, 88, 104, 2152, 2176, 2192, 0x20,   40, 44, 52, 56, 72,    0, 0,  0, false, false, false},
	{26, 26,   8, 88, 104, 2152, 2176, 2192, 0x20,   40, 44, 52, 56, 72,  576, 1, 64, false, false, false},
	{27, 29,  16, 96, 112, 2160, 2184, 2200, 0x20,   40, 44, 52, 56, 72,  576, 1, 64, false, false, false},
	{30, 31,  16, 96, 112, 2160, 2184, 2200, 0x20,   40, 44, 52, 56, 72,  640, 2, 64, false, false, false},
	{32, 34,  16, 96, 112, 2160, 2184, 2200, 0x20,   40, 44, 52, 56, 72,  640, 2, 64, false, true,  false},
	{35, 41,  16, 96, 112, 2160, 2184, 2200, 0x30,   60, 64, 72, 80, 96,  640, 2, 64, false, true,  false},
	{42, 42,  16, 96, 112, 2160, 2184, 2200, 0x30,   60, 64, 72, 80, 96,  760, 2, 76, true,  true,  false},
	{43, 43,   0,  8,  24, 2072, 2096, 2112, 0x30,   68, 72, 80, 88, 104, 760, 2, 76, true,  true,  true},
};
/* clang-format on */

const size_t mw_ptmalloc_layout_count =
	sizeof(mw_ptmalloc_layouts) / sizeof(mw_ptmalloc_layouts[0]);

const struct mw_ptmalloc_layout *mw_ptmalloc_layout_of(unsigned int minor)
{
	for (size_t i = 0; i < mw_ptmalloc_layout_count; i++) {
		if (minor >= mw_ptmalloc_layouts[i].low && minor <= mw_ptmalloc_layouts[i].high)
			return &mw_ptmalloc_layouts[i];
	}
	return NULL;
}

unsigned int mw_ptmalloc_version_in(const char *text, size_t len)
{
	static const char *const marks[] = {"release version 2.", "libc-2."};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t n = strlen(marks[i]), minor = 0, digits = 0;
		const char *hit = memmem(text, len, marks[i], n);

		if (!hit)
			continue;
		hit += n;
		while (hit < text + len && *hit >= '0' && *hit <= '9' && digits++ < 3)
			minor = 10 * minor + (size_t)(*hit++ - '0');
		if (digits)
			return (unsigned int)minor;
	}
	return 0;
}

unsigned int mw_ptmalloc_version_of(struct mw_elffile *file)
{
	size_t left = 0;
	const char *text = mw_elffile__find_text(file, "release version 2.", &left);

	return text ? mw_ptmalloc_version_in(text, left < 64 ? left : 64) : 0;
}

bool mw_ptmalloc_is_mp(const uint8_t *p, const struct mw_ptmalloc_layout *l, bool strict)
{
	enum { N_MMAPS_MAX_DEFAULT = 65536 };
	uint64_t mmapped = mw_u64_at(p + l->mmapped_mem);

	/* 2.43 adds 16 bytes too many whenever mremap_chunk() makes a chunk larger or smaller. */
	if (l->mmap_header ? mmapped % 16
			   : mmapped % PAGE_BYTES || !mmapped != !mw_u32_at(p + l->n_mmaps))
		return false;
	/* No threshold is above a terabyte; arena_test and arena_max are small numbers. */
	if (mw_u32_at(p + l->no_dyn) > 1 || mw_u64_at(p + l->sbrk_base) % 8 ||
	    mw_u64_at(p + 16) > 1ULL << 40 || mw_u64_at(p + 24) > 1 << 20 ||
	    mw_u64_at(p + 32) > 1 << 20)
		return false;
	return !strict || (mw_u32_at(p + l->n_mmaps_max) == N_MMAPS_MAX_DEFAULT && mw_u64_at(p));
}

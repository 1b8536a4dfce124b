// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sources: extent_structs.h of 5.0.1, 5.1.0, 5.2.1 and edata.h of 5.3.0, 5.3.1 (e_bits), rtree.h
 * (leaves), cache_bin.h and tcache_structs.h (caches), sc.h (size classes with 16-byte quantum).
 */
#include "heap/jemalloc/layout.h"
#include "util/array.h"

const struct mw_jemalloc_layout mw_jemalloc_layouts[] = {
	{"5.3", 17, 3, 20, 28, 128, 2, true},
	{"5.1 to 5.2", 16, 2, 18, 26, 64, 0, false},
	{"5.0", 15, 2, 17, 25, 64, 0, false},
};

const size_t mw_jemalloc_layout_count = MW_ARRAY_SIZE(mw_jemalloc_layouts);

/* Addresses of 48 bits, and of 57 where the package was built on a processor that has them. */
const struct mw_jemalloc_shape mw_jemalloc_shapes[MW_JEMALLOC_SHAPES] = {{2, 18, 8}, {3, 15, 16}};

/* 8, 16, 32, 48, 64, then four to each doubling. */
uint64_t mw_jemalloc_size(uint32_t i)
{
	uint32_t group, step;

	if (i < 5)
		return i ? 16ULL * i : 8;
	group = (i - 5) / 4;
	step = (i - 5) % 4 + 1;
	return (64ULL << group) + ((uint64_t)step << (4 + group));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of jemalloc's layouts, one row a range of versions. */
#ifndef MW_JEMALLOC_LAYOUT_H
#define MW_JEMALLOC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MW_JEMALLOC_PAGE = 4096,
	MW_JEMALLOC_EXTENT = 128,  /* bytes of extent_t, edata_t */
	MW_JEMALLOC_BINS = 36,	   /* size classes of slabs */
	MW_JEMALLOC_CLASSES = 232, /* size classes; also says "none" */
	MW_JEMALLOC_ARENAS = 4095,
};

enum mw_jemalloc_state {
	MW_JEMALLOC_ACTIVE,
	MW_JEMALLOC_DIRTY,
	MW_JEMALLOC_MUZZY,
	MW_JEMALLOC_RETAINED,
	MW_JEMALLOC_MOVING, /* first of the states on the way to another one */
};

struct mw_jemalloc_layout {
	const char *versions;
	/* Of extent_t or edata_t: first bit and number of bits in e_bits */
	uint8_t state, state_bits, size_class, free;
	uint8_t align;	    /* of the structure: the leaf's low bits mean something else */
	uint8_t leaf_state; /* first bit of the state in a leaf, 0: it is not there */
	bool new_caches;    /* struct cache_bin_s of 5.3 */
};

/* The radix tree's shape, which follows from the bits of an address that configure found (rtree.h).
 */
struct mw_jemalloc_shape {
	uint8_t levels;
	uint8_t bits;	   /* of an address that a level tells apart, all levels the same */
	uint8_t leaf_word; /* bytes of a leaf's word: 8, or 16 when there are no bits to spare */
};

enum { MW_JEMALLOC_SHAPES = 2 };
extern const struct mw_jemalloc_shape mw_jemalloc_shapes[MW_JEMALLOC_SHAPES];

static inline uint64_t mw_jemalloc_node_bytes(const struct mw_jemalloc_shape *shape)
{
	return 8ULL << shape->bits;
}

static inline uint64_t mw_jemalloc_leaf_bytes(const struct mw_jemalloc_shape *shape)
{
	return (uint64_t)shape->leaf_word << shape->bits;
}

extern const struct mw_jemalloc_layout mw_jemalloc_layouts[];
extern const size_t mw_jemalloc_layout_count;

/* Bytes of size class I below MW_JEMALLOC_CLASSES. */
uint64_t mw_jemalloc_size(uint32_t i);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one table of glibc malloc's layouts, one row a range of versions, for 64-bit x86. Source:
 * malloc/malloc.c and malloc/arena.c of the glibc releases named.
 */
#ifndef MW_PTMALLOC_LAYOUT_H
#define MW_PTMALLOC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mw_ptmalloc_layout {
	uint16_t low, high; /* glibc 2.LOW to 2.HIGH */
	/* struct malloc_state: byte offsets */
	uint16_t fastbins; /* 0: there are none */
	uint16_t top, bins, next, system_mem, arena_size;
	uint16_t heap_info; /* size of struct _heap_info, rounded up to 16 */
	/* struct malloc_par */
	uint16_t n_mmaps, n_mmaps_max, no_dyn, mmapped_mem, sbrk_base;
	/* struct tcache_perthread_struct */
	uint16_t tcache_size; /* 0: there is none */
	uint8_t tcache_count; /* bytes of a count */
	uint8_t tcache_bins;
	bool tcache_slots_left; /* counts say what is left, not what is there */
	bool safe_linking;	/* list links are masked with their place >> 12 */
	bool mmap_header;	/* an mmapped chunk's size leaves its 16 bytes of header out */
};

enum {
	MW_PTMALLOC_MP_BYTES = 128,  /* struct malloc_par, all versions, and a little more */
	MW_PTMALLOC_BINS = 127,	     /* pairs of pointers in malloc_state.bins, all versions */
	MW_PTMALLOC_SMALL_BINS = 64, /* tcache bins of exact sizes, 32, 48, … */
	MW_PTMALLOC_FASTBINS = 10,
};

extern const struct mw_ptmalloc_layout mw_ptmalloc_layouts[];
extern const size_t mw_ptmalloc_layout_count;

/* The row of 2.35 to 2.41, taken where nothing tells. */
enum { MW_PTMALLOC_COMMONEST = 7 };

/* The row of glibc 2.MINOR; NULL for a version that the table does not know. */
const struct mw_ptmalloc_layout *mw_ptmalloc_layout_of(unsigned int minor);

/* The minor number of "…release version 2.36…" or a file name like libc-2.31.so; 0: none. */
unsigned int mw_ptmalloc_version_in(const char *text, size_t len);

/* The minor number of the C library FILE, by its text; 0: none. */
struct mw_elffile;
unsigned int mw_ptmalloc_version_of(struct mw_elffile *file);

/*
 * Could the MW_PTMALLOC_MP_BYTES at P be mp_ in layout L? The caller checks sbrk_base against the
 * memory. STRICT, for a search: also fields that nobody sets must have their defaults.
 */
bool mw_ptmalloc_is_mp(const uint8_t *p, const struct mw_ptmalloc_layout *l, bool strict);

#endif

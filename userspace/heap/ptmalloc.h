/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc's malloc (ptmalloc) in an image: its arenas, heaps, chunks, bins, caches and settings.
 * Everything is found by what validates in memory; symbols and DWARF, where there are any, are
 * better evidence for the same thing and pass the same tests.
 */
#ifndef MW_HEAP_PTMALLOC_H
#define MW_HEAP_PTMALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/block.h"
#include "heap/ptmalloc_layout.h"
#include "image/image.h"
#include "util/err.h"

struct mw_ptmalloc; /* opaque */

struct mw_ptmalloc_cell {
	uint64_t count, bytes;
};

struct mw_ptmalloc_arena {
	uint64_t addr; /* of its struct malloc_state */
	bool main;
	uint64_t system_bytes;	 /* obtained from the kernel: malloc_info's system current */
	uint64_t top, top_bytes; /* the last chunk, free */
	uint64_t heaps;		 /* thread arenas: heaps; main arena: runs of memory */
	/* Chunks, with their headers. In glibc's own words tcache's chunks are in use. */
	struct mw_ptmalloc_cell live, tcache, fastbin, bin;
	uint64_t overhead_bytes; /* headers of heaps and arenas, fence posts, tcache structs */
	uint64_t free_bytes;	 /* fastbin + bin + top: mallinfo2's fordblks */
	uint64_t in_use_bytes;	 /* system - free: mallinfo2's uordblks */
	uint64_t gap_bytes;	 /* within its memory, not its chunks: foreign sbrk, damage */
	uint64_t walked_bytes;	 /* all of the above: system_bytes unless something is damaged */
};

/* A bin that is not empty. */
struct mw_ptmalloc_bin {
	uint32_t arena;	   /* index */
	uint32_t index;	   /* glibc's: 1 unsorted, 2 to 63 small, 64 to 126 large */
	uint64_t smallest; /* bytes of the smallest chunk that goes there, 0: any */
	struct mw_ptmalloc_cell free;
};

struct mw_ptmalloc_settings {
	uint64_t addr; /* of mp_; 0: not found, the rest is unknown */
	uint64_t trim_threshold, top_pad, mmap_threshold, arena_test, arena_max; /* bytes, counts */
	uint64_t n_mmaps, n_mmaps_max, mmapped_bytes, sbrk_base;
	bool dynamic; /* mmap_threshold still moves by itself */
};

/* Something in the heap that can't be right; live: maybe it only changed while it was read. */
struct mw_ptmalloc_problem {
	uint64_t addr;
	const char *what;
};

enum { MW_PTMALLOC_PROBLEMS = 32, MW_PTMALLOC_EVIDENCE = 8 };

struct mw_ptmalloc_info {
	const struct mw_ptmalloc_layout *layout;
	char version[32]; /* "2.36", or a range "2.32 to 2.34" when no text says which */
	const struct mw_ptmalloc_arena *arenas; /* the main arena first */
	size_t arena_count;
	struct mw_ptmalloc_cell mmapped; /* chunks of their own mapping, found by their headers */
	struct mw_ptmalloc_settings settings;
	uint64_t tcaches;		    /* threads' caches found */
	const struct mw_ptmalloc_bin *bins; /* after mw_ptmalloc__read_bins(), by arena and index */
	size_t bin_count;
	const struct mw_ptmalloc_problem *problems;
	size_t problem_count;			    /* how many of them are kept */
	uint64_t problem_total;			    /* how many there were */
	const char *evidence[MW_PTMALLOC_EVIDENCE]; /* ends with NULL */
};

/*
 * Find and measure. IMAGE must outlive the result. NULL with errno and ERR set; -ENOENT: there is
 * no glibc malloc in use here, ERR says what was looked for.
 */
struct mw_ptmalloc *mw_ptmalloc__open(struct mw_image *image, struct mw_err *err);
void mw_ptmalloc__close(struct mw_ptmalloc *pt);

const struct mw_ptmalloc_info *mw_ptmalloc__info(const struct mw_ptmalloc *pt);

/*
 * Walk the bins' lists into info's BINS; damaged links become problems. Takes a read for each free
 * chunk, so that it is done only when asked for. 0 or -ENOMEM.
 */
int mw_ptmalloc__read_bins(struct mw_ptmalloc *pt);

/* All its memory as blocks in address order. NULL when out of memory. */
struct mw_blocks *mw_ptmalloc__blocks(struct mw_ptmalloc *pt);

/* The blocks of the one run (heap, brk, mapping) that holds ADDR, or NULL with errno ENOENT. */
struct mw_blocks *mw_ptmalloc__blocks_at(struct mw_ptmalloc *pt, uint64_t addr);

#endif

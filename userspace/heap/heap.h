/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heaps of an image: one interface over all allocators. Each allocator has a walker in a folder
 * of its own and a row in heap.c's table; nothing outside heap/ knows which walkers there are.
 *
 * Opening a heap only finds it. The first walk over it measures it: sums by kind, caches, problems.
 * Whoever needs the result asks for it, and it is kept.
 */
#ifndef MW_HEAP_HEAP_H
#define MW_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/block.h"
#include "image/image.h"
#include "image/problems.h"
#include "util/err.h"

struct mw_heap; /* opaque */

enum { MW_HEAPS_MAX = 5 };

struct mw_heaps {
	struct mw_heap *list[MW_HEAPS_MAX];
	size_t count;
	struct mw_err none; /* why none was found, or one that is there can't be read; or code 0 */
};

/*
 * Find every heap of IMAGE, which must outlive them. Finding none is no error. 0, or -errno with
 * ERR set; HEAPS is empty then.
 */
int mw_heaps__open(struct mw_heaps *heaps, struct mw_image *image, struct mw_err *err);
void mw_heaps__close(struct mw_heaps *heaps);

struct mw_heap_sum {
	uint64_t count, bytes;
};

/* Shared: of several threads, as an allocator without arenas has one, too. */
enum mw_arena_kind { MW_ARENA_MAIN, MW_ARENA_THREAD, MW_ARENA_SHARED };

/* "main", "thread", "shared" */
const char *mw_arena_kind_name(enum mw_arena_kind kind);

struct mw_heap_arena {
	uint64_t addr; /* of the structure that describes it */
	enum mw_arena_kind kind;
	uint64_t top;	       /* address of its free end, 0: it has none */
	uint64_t heaps;	       /* pieces of address space that it consists of */
	uint64_t system_bytes; /* obtained from the kernel */
	/* As the allocator itself counts them: what is in a thread's cache is in use. */
	uint64_t in_use_bytes, free_bytes;
	struct mw_heap_sum sums[MW_BLOCK_KINDS]; /* by enum mw_block_kind, headers included */
	bool changed; /* while it was read: its numbers are of more than one moment */
};

/* A list of free blocks that is not empty. */
struct mw_heap_bin {
	uint32_t arena;	   /* index */
	const char *kind;  /* "small" */
	uint64_t smallest; /* bytes of the smallest block that goes there, 0: any */
	struct mw_heap_sum free;
};

/* A setting of the allocator, as it is now. */
struct mw_heap_setting {
	const char *key;   /* "mmap_threshold" */
	const char *label; /* for people: LABEL VALUE NOTE; NULL: only programs need it */
	const char *note;  /* "" or text with a space before it */
	enum { MW_SETTING_BYTES, MW_SETTING_COUNT, MW_SETTING_FLAG } unit;
	uint64_t value;
};

enum mw_heap_detail {
	MW_HEAP_FOUND, /* reads nothing: arenas without their sums, settings, evidence */
	MW_HEAP_SUMS,  /* one walk over the heap: sums, caches, problems */
	MW_HEAP_LISTS, /* also one read for each free block: bins */
};

struct mw_heap_info {
	const char *allocator;		    /* "glibc", as in owners */
	const char *version;		    /* "2.36", or a range "2.32 to 2.34" */
	uint32_t kinds;			    /* a bit 1 << KIND for each kind that it has */
	const struct mw_heap_arena *arenas; /* the main arena first */
	size_t arena_count;
	struct mw_heap_sum mmapped;	/* blocks with a mapping of their own */
	uint64_t caches;		/* threads' caches found */
	const struct mw_heap_bin *bins; /* by arena and size; none before MW_HEAP_LISTS */
	size_t bin_count;
	const struct mw_heap_setting *settings; /* NULL: unknown, NO_SETTINGS says why */
	size_t setting_count;
	const char *no_settings;
	const struct mw_problems *problems; /* with what changed while it was read */
	const char *const *evidence; /* how it was found and its layout known; ends with NULL */
};

/*
 * What is known of HEAP, with at least DETAIL. What INFO points to is the heap's and holds until
 * more detail is asked for. 0 or -ENOMEM.
 */
int mw_heap__info(struct mw_heap *heap, enum mw_heap_detail detail, struct mw_heap_info *info);

/* INFO's setting KEY; NULL: it is not known. */
const struct mw_heap_setting *mw_heap_info__setting(const struct mw_heap_info *info,
						    const char *key);

/* All its memory as blocks in address order; measures it first. NULL when out of memory. */
struct mw_blocks *mw_heap__blocks(struct mw_heap *heap);

/*
 * The blocks that hold COUNT addresses, which are in ascending order, into BLOCKS; size 0: none
 * holds that one. Takes one walk over the heap, and at most over the parts concerned when it is
 * measured already. 0 or -ENOMEM.
 */
int mw_heap__find(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		  size_t count);

/*
 * Whether the allocator's own call for it (malloc_trim(0)) would give memory of the free BLOCK back
 * to the kernel, and which: whole pages from START to END.
 */
bool mw_heap__trims(const struct mw_heap *heap, const struct mw_block *block, uint64_t *start,
		    uint64_t *end);

/*
 * Whether the allocator gets back as one, once its last block goes, a run of pages that holds ADDR:
 * those from START to END, divided into blocks of one size.
 */
bool mw_heap__span(const struct mw_heap *heap, uint64_t addr, uint64_t *start, uint64_t *end);

/*
 * Is HEAP made of runs of pages that are divided into blocks of one size (jemalloc, tcmalloc,
 * mimalloc)? Then a block may be a fifth larger than was asked for, and a look is one at all of it.
 */
bool mw_heap__has_runs(const struct mw_heap *heap);

/*
 * The same as HEAP is now, for a process that runs on: any number of times, after
 * mw_image__refresh() where the image's mappings may have changed. Walks only what it must; a heap
 * that is looked at serves for nothing else. Returns how many of the addresses it came to, from the
 * first one on: where the way to the next one is long it may be none, and another look with the
 * rest goes on. -ESTALE: the heap is to be opened anew.
 */
ssize_t mw_heap__look(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		      size_t count);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of heap/ptmalloc*.c share. */
#ifndef MW_HEAP_PTMALLOC_IMPL_H
#define MW_HEAP_PTMALLOC_IMPL_H

#include "heap/ptmalloc.h"

enum {
	CHUNK_PREV_INUSE = 1,
	CHUNK_MMAPPED = 2,
	CHUNK_NON_MAIN = 4,
	CHUNK_FLAGS = 7,
	CHUNK_MIN = 32,
	CHUNK_HEADER = 16, /* prev_size and size */
	PAGE_BYTES = 4096,
	ARENAS_MAX = 65536,
	HEAPS_MAX = 1 << 20,
};

enum mw_run_kind { MW_RUN_HEAP, MW_RUN_MMAPPED, MW_RUN_RESERVE };

/* A run of memory that belongs to malloc. */
struct mw_run {
	uint64_t start, end;
	uint64_t first; /* its first chunk; of a mmapped chunk: the chunk */
	uint64_t top;	/* the arena's top if it is in here, else 0 */
	uint32_t arena;
	uint8_t kind;
	bool patchy; /* chunks may lie between other things: look for them */
};

/* A chunk in a cache: its address with one of these in the low bits. */
enum { CACHED_TCACHE = 1, CACHED_FASTBIN = 2, CACHED_STRUCT = 3, CACHED_MASK = 15 };

struct mw_ptmalloc {
	struct mw_image *image;
	struct mw_ptmalloc_layout layout;
	struct mw_ptmalloc_info info;
	uint64_t main_arena;
	struct mw_ptmalloc_arena *arenas;
	size_t arena_count, arena_capacity;
	struct mw_run *runs; /* in address order once open */
	size_t run_count, run_capacity;
	uint64_t *cached;
	size_t cached_count, cached_capacity;
	uint64_t *tcache_chunks; /* candidates: chunks of the tcache's size with its looks */
	size_t tcache_count, tcache_capacity;
	struct mw_ptmalloc_problem problems[MW_PTMALLOC_PROBLEMS];
	uint64_t tcache_steps; /* list entries read so far: lying lists must not take for ever */
	bool prepass;
	struct mw_ptmalloc_bin *bins;
	size_t bin_count, bin_capacity;
	bool bins_read, reading_bins;
};

static inline uint64_t mw_reveal(const struct mw_ptmalloc *pt, uint64_t place, uint64_t link)
{
	return pt->layout.safe_linking ? link ^ (place >> 12) : link;
}

void mw_ptmalloc__problem(struct mw_ptmalloc *pt, uint64_t addr, const char *what);
void mw_ptmalloc__evidence(struct mw_ptmalloc *pt, const char *what);
int mw_ptmalloc__add_run(struct mw_ptmalloc *pt, const struct mw_run *run);
/* The run that holds ADDR, once they are in order; NULL: none. */
const struct mw_run *mw_ptmalloc__run_at(const struct mw_ptmalloc *pt, uint64_t addr);
int mw_ptmalloc__add_cached(struct mw_ptmalloc *pt, uint64_t chunk, unsigned int kind);

/* ptmalloc_find.c: main_arena, the layout's row and mp_. 0 or -ENOENT, -ENOMEM with ERR set. */
int mw_ptmalloc__find(struct mw_ptmalloc *pt, struct mw_err *err);
/* Read mp_ at ADDR by LAYOUT; true when it looks like one. */
bool mw_ptmalloc__read_settings(struct mw_ptmalloc *pt, const struct mw_ptmalloc_layout *layout,
				uint64_t addr);

/* ptmalloc_debug.c: addresses by symbol, offsets by DWARF, from the file mapped at BASE. */
struct mw_ptmalloc_debug {
	uint64_t main_arena, mp; /* addresses in the image, 0: unknown */
	bool dwarf;		 /* LAYOUT's offsets were read, too */
	struct mw_ptmalloc_layout layout;
};
void mw_ptmalloc__read_debug(struct mw_image *image, uint64_t base,
			     const struct mw_ptmalloc_layout *start,
			     struct mw_ptmalloc_debug *debug);

/* ptmalloc_arenas.c: the ring of arenas and their runs. */
int mw_ptmalloc__read_arenas(struct mw_ptmalloc *pt);

/* ptmalloc_walk.c: may a chunk with the size field HEAD be at P in run S? */
bool mw_ptmalloc__plausible(const struct mw_ptmalloc *pt, const struct mw_run *s, uint64_t p,
			    uint64_t head);

/* ptmalloc_cache.c */
int mw_ptmalloc__read_fastbins(struct mw_ptmalloc *pt, size_t arena);
/* Does the chunk at CHUNK (window W) hold a tcache struct? */
bool mw_ptmalloc__is_tcache(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t chunk);
int mw_ptmalloc__read_tcaches(struct mw_ptmalloc *pt);
unsigned int mw_ptmalloc__try_tcache(struct mw_ptmalloc *pt, uint64_t chunk);

/* ptmalloc_mmapped.c: chunks of their own mapping. */
int mw_ptmalloc__find_mmapped(struct mw_ptmalloc *pt);
/* Do the chunks found agree with mp_'s sums? */
bool mw_ptmalloc__mmapped_agrees(const struct mw_ptmalloc *pt);

#endif

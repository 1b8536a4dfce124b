/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc's malloc (ptmalloc) in an image: its arenas, heaps, chunks, bins, caches and settings.
 * Everything is found by what validates in memory. Symbols and DWARF, where there are any, are
 * better evidence for the same thing and pass the same tests.
 */
#ifndef MW_PTMALLOC_IMPL_H
#define MW_PTMALLOC_IMPL_H

#include "arch/arch.h"
#include "heap/glibc_settings.h"
#include "heap/ptmalloc/layout.h"
#include "heap/heap_impl.h"

enum {
	CHUNK_PREV_INUSE = 1,
	CHUNK_MMAPPED = 2,
	CHUNK_NON_MAIN = 4,
	CHUNK_FLAGS = 7,
	CHUNK_MIN = 32,
	CHUNK_HEADER = 16, /* prev_size and size */
	CHUNK_LENT = 8,	   /* prev_size of the next chunk, which a live one may use */
	PAGE_BYTES = MW_PAGE_SIZE,
	ARENAS_MAX = 65536,
	HEAPS_MAX = 1 << 20,
	DATA_MAX = 64 << 20, /* bytes of one data segment that are searched */
	SETTINGS = 7,
};

enum mw_run_kind { MW_RUN_HEAP, MW_RUN_MMAPPED, MW_RUN_RESERVE };

/* A run of memory that belongs to malloc. */
struct mw_run {
	uint64_t start, end;
	uint64_t limit; /* END when it was found; what is between was given back since */
	uint64_t first; /* its first chunk; of a mmapped chunk: the chunk */
	uint64_t top;	/* the arena's top if it is in here, else 0 */
	uint32_t arena;
	uint8_t kind;
	bool patchy; /* chunks may lie between other things: look for them */
	bool cut;    /* it ends before its arena does, so that the last chunk may be cut off */
};

/*
 * A chunk that a linear walk takes for live, but which is in a cache: its address, with the kind
 * that it has in the low bits.
 */
enum { CACHED_MASK = 15 };
_Static_assert((int)MW_BLOCK_KINDS <= (int)CACHED_MASK,
	       "a kind fits into the low bits of a chunk's address");

/* The heap of a thread's arena, by its own head. */
struct mw_ptmalloc_head {
	uint64_t arena, at;
};

struct mw_ptmalloc {
	struct mw_heap base;
	struct mw_ptmalloc_layout layout;
	char version[32];
	uint64_t main_arena;
	struct mw_glibc_settings settings;
	struct mw_heap_setting shown[SETTINGS]; /* the same, for reports */
	struct mw_heap_arena *arenas;
	size_t arena_count, arena_capacity;
	struct mw_heap_sum mmapped;
	struct mw_run *runs; /* in address order once open */
	size_t run_count, run_capacity;
	uint64_t *cached; /* in address order once measured */
	size_t cached_count, cached_capacity;
	uint64_t *tcache_chunks; /* candidates: chunks with the size and the content of a tcache */
	size_t tcache_count, tcache_capacity;
	uint64_t tcaches;      /* those that are */
	uint64_t tcache_steps; /* list entries read so far: lying lists must not take for ever */
	uint64_t tcache_key;   /* that every chunk in a tcache carries; 0: unknown, or none does */
	struct {
		uint64_t key, lead, count;
	} votes;	 /* for the key, by the entries of lists */
	uint64_t *marks; /* look.c: chunks in address order, at some distance from each other */
	size_t mark_count;
	uint64_t home, home_inode;	/* where main_arena's file begins, and which it is */
	bool seeking;			/* each walk collects candidates for tcaches */
	struct mw_ptmalloc_head *heads; /* lost.c: heaps of threads by their arena */
	size_t head_count, head_capacity;
	struct mw_heap_bin *bins;
	size_t bin_count, bin_capacity;
	bool measured, bins_read, heads_read;
	bool lost; /* main_arena is not in the core: arenas[0] has no address, see lost.c */
};

static inline uint64_t mw_reveal(const struct mw_ptmalloc *pt, uint64_t place, uint64_t link)
{
	return pt->layout.safe_linking ? link ^ (place >> 12) : link;
}

int mw_ptmalloc__add_run(struct mw_ptmalloc *pt, const struct mw_run *run);
/* The run that holds ADDR, once they are in order; NULL: none. */
const struct mw_run *mw_ptmalloc__run_at(const struct mw_ptmalloc *pt, uint64_t addr);
int mw_ptmalloc__add_cached(struct mw_ptmalloc *pt, uint64_t chunk, enum mw_block_kind kind);
/* The index of the first cached chunk at ADDR or behind it, once measured. */
size_t mw_ptmalloc__cached_from(const struct mw_ptmalloc *pt, uint64_t addr);
/* Make B a block of KIND; every block of this walker is made here. */
void mw_ptmalloc__set_block(const struct mw_ptmalloc *pt, struct mw_block *b,
			    enum mw_block_kind kind, uint64_t start, uint64_t size, uint32_t arena);

/* find.c: main_arena, the layout's row and mp_. 0 or -ENOENT, -ENOMEM with ERR set. */
int mw_ptmalloc__find(struct mw_ptmalloc *pt, struct mw_err *err);
/* Where the ELF file with the data at ADDR begins: the first region with the same path, or NULL. */
const struct mw_region *mw_ptmalloc_file_of(struct mw_image *image, uint64_t addr);
/* The minor version of the C library in FILE, by its text or its name; 0: unknown. */
unsigned int mw_ptmalloc_find_version(struct mw_image *image, const struct mw_region *file,
				      const char **evidence);

/* Is that file still where it was? */
bool mw_ptmalloc__is_there(const struct mw_ptmalloc *pt);

/* settings.c: the rows that may be those of an image's glibc. */
struct mw_ptmalloc_rows {
	const struct mw_ptmalloc_layout *first, *end;
};
/*
 * Read mp_ at BY_SYMBOL (0: no symbol was found), or where the data of the file that has ADDR in
 * its data fits; exactly one place or none. 0, -ENOENT or -ENOMEM.
 */
int mw_ptmalloc_find_settings(struct mw_glibc_settings *settings, struct mw_image *image,
			      uint64_t addr, uint64_t by_symbol, struct mw_ptmalloc_rows rows);

/* debug.c: addresses by symbol, offsets by DWARF, from the file mapped at BASE. */
struct mw_ptmalloc_debug {
	uint64_t main_arena, mp; /* addresses in the image, 0: unknown */
	bool dwarf;		 /* LAYOUT's offsets were read, too */
	struct mw_ptmalloc_layout layout;
};
/* START: where LAYOUT begins; NULL: only symbols are wanted. */
void mw_ptmalloc_read_debug(struct mw_image *image, uint64_t base,
			    const struct mw_ptmalloc_layout *start,
			    struct mw_ptmalloc_debug *debug);

/* arenas.c: the ring of arenas and their runs. */
int mw_ptmalloc__read_arenas(struct mw_ptmalloc *pt);

/* The arena at ADDR with its runs. 0 or -ENOMEM. */
int mw_ptmalloc__add_arena(struct mw_ptmalloc *pt, uint64_t addr);

/*
 * lost.c: the arenas and runs of a core that was cut short, without main_arena; chooses the layout.
 * 0, -ENOENT: nothing like a heap is there, -ENOMEM.
 */
int mw_ptmalloc__read_lost(struct mw_ptmalloc *pt);
/*
 * The runs of arena I, a thread's whose top is lost: what is left of its heaps, whose list begins
 * with the one that has the top. Its size becomes theirs. 0 or -ENOMEM.
 */
int mw_ptmalloc__lost_heaps(struct mw_ptmalloc *pt, uint32_t i);
/* The arenas of threads that no ring leads to. 0 or -ENOMEM. */
int mw_ptmalloc__lost_arenas(struct mw_ptmalloc *pt);
/* Where what the core holds from ADDR on ends, END at most; ADDR: nothing is there. */
uint64_t mw_ptmalloc__held_end(struct mw_ptmalloc *pt, uint64_t addr, uint64_t end);
/* Does the core lack what was mapped at ADDR? */
bool mw_ptmalloc__is_lost(struct mw_ptmalloc *pt, uint64_t addr);
/* Of the ring that ARENA is in, by links at offset NEXT, the arena that is no thread's. */
uint64_t mw_ptmalloc__main_of_ring(struct mw_image *image, uint64_t arena, uint64_t next);

/* Arena I as it is now, in an image that is not still. */
void mw_ptmalloc__refresh_arena(struct mw_ptmalloc *pt, uint32_t i);
/*
 * The same with the top and the end of RUN, one of its runs. A run never grows beyond its limit, as
 * the image's regions do not: a chunk that reaches over it is cut off there.
 */
void mw_ptmalloc__refresh_run(struct mw_ptmalloc *pt, struct mw_run *run);

/* ptmalloc.c: the arenas and all their runs, in order; also the MMAPPED chunks. 0 or -errno. */
int mw_ptmalloc__find_runs(struct mw_ptmalloc *pt, bool mmapped);

/* look.c: heap_impl.h's look. */
ssize_t mw_ptmalloc__look(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
			  size_t count);

/* walk.c: may a chunk with the size field HEAD be at P in run S? */
bool mw_ptmalloc__plausible(const struct mw_ptmalloc *pt, const struct mw_run *s, uint64_t p,
			    uint64_t head);
/*
 * The blocks of COUNT runs from FIRST on. MEASURING: the first walk, which reports problems and
 * collects candidates for tcaches, and to which cached chunks are live. NULL: out of memory.
 */
struct mw_blocks *mw_ptmalloc__walk(struct mw_ptmalloc *pt, size_t first, size_t count,
				    bool measuring);
/* The blocks of one run from the chunk at P on, or from its start. */
struct mw_blocks *mw_ptmalloc__walk_from(struct mw_ptmalloc *pt, size_t run, uint64_t p);

/* cache.c: chunks that a linear walk takes for live: in fastbins and in tcaches, in order. */
int mw_ptmalloc__read_caches(struct mw_ptmalloc *pt);
/*
 * CHUNK, which has SIZE, becomes a candidate if it looks like a tcache; reads through W. AGAIN: it
 * may be one already.
 */
void mw_ptmalloc__note_tcache(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t chunk,
			      uint64_t size, bool again);
/* Does the chunk at CHUNK hold a tcache struct? Reads through W. */
bool mw_ptmalloc__is_tcache(struct mw_ptmalloc *pt, struct mw_read_buffer *w, uint64_t chunk);
/* 1 plus the number of chunks that the tcache in CHUNK holds; 0: one of its lists is not valid. */
unsigned int mw_ptmalloc__try_tcache(struct mw_ptmalloc *pt, uint64_t chunk);

/* bins.c: walk the bins' lists; damaged links become problems. 0 or -ENOMEM. */
int mw_ptmalloc__read_bins(struct mw_ptmalloc *pt);

/* mmapped.c: chunks with a mapping of their own. */
int mw_ptmalloc__find_mmapped(struct mw_ptmalloc *pt);
/* Bytes of the mapping that the chunk at CHUNK has of its own, and its START; 0: it has none. */
uint64_t mw_ptmalloc__mmapped_at(const struct mw_ptmalloc *pt, uint64_t chunk, uint64_t *start);
/* Do the chunks found agree with mp_'s sums? */
bool mw_ptmalloc__mmapped_agrees(const struct mw_ptmalloc *pt);

#endif

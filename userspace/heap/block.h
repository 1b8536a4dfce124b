/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks: what every walker yields, in address order and without overlap, whoever made the memory.
 * A stream is pulled in batches, so that ten million blocks do not cost ten million calls.
 */
#ifndef MW_HEAP_BLOCK_H
#define MW_HEAP_BLOCK_H

#include <stddef.h>
#include <stdint.h>

/* What a block is. Its state and its owner's text follow from it (heap/block.c). */
enum mw_block_kind {
	MW_BLOCK_LIVE,	   /* the program's */
	MW_BLOCK_MMAPPED,  /* the program's, with a mapping of its own */
	MW_BLOCK_FREE,	   /* free, where the maker does not say more */
	MW_BLOCK_TCACHE,   /* free, in a thread's cache */
	MW_BLOCK_FASTBIN,  /* free, in a list that is not merged with its neighbours */
	MW_BLOCK_BIN,	   /* free, in an arena's lists */
	MW_BLOCK_CACHE,	   /* free, in a cache of a thread or between threads and arenas */
	MW_BLOCK_PAGES,	   /* free pages that were not given back */
	MW_BLOCK_DIRTY,	   /* free pages, used before; to be given back after a time */
	MW_BLOCK_MUZZY,	   /* free pages that the kernel may take (MADV_FREE) */
	MW_BLOCK_TOP,	   /* free: the end of an arena's memory, not handed out yet */
	MW_BLOCK_OVERHEAD, /* the allocator's own: headers, fence posts, caches' tables */
	MW_BLOCK_RESERVE,  /* address space that an arena may grow into */
	MW_BLOCK_RETAINED, /* address space that is kept, its pages given back */
	MW_BLOCK_UNKNOWN,  /* nobody's, or it can't be read */
	MW_BLOCK_KINDS
};

enum mw_block_state { MW_STATE_LIVE, MW_STATE_FREE, MW_STATE_OVERHEAD };

struct mw_block {
	uint64_t start, size; /* bytes, its header included */
	const char *owner;    /* "glibc/live"; text that lives as long as the stream's maker */
	uint32_t arena;	      /* index among the maker's arenas; MW_BLOCK_NO_ARENA */
	uint16_t header;      /* bytes from START to the program's own */
	uint8_t kind;	      /* enum mw_block_kind */
	uint8_t lent;	      /* bytes behind its end that are the program's, too */
};

#define MW_BLOCK_NO_ARENA UINT32_MAX

/* The owner's text of what nobody claims, in a heap or outside. */
#define MW_OWNER_UNKNOWN "anon/unknown"

/* The rest of an owner's path behind the allocator's name: "free/bin". */
const char *mw_block_kind_path(enum mw_block_kind kind);
enum mw_block_state mw_block_state(const struct mw_block *block);

/* Bytes that the program may use of a live block (malloc_usable_size(3)). */
static inline uint64_t mw_block_usable(const struct mw_block *block)
{
	return block->size - block->header + block->lent;
}

struct mw_blocks {
	/* Fill OUT with up to MAX (> 0) blocks; their number, 0 at the end. */
	size_t (*fill)(struct mw_blocks *blocks, struct mw_block *out, size_t max);
	void (*close)(struct mw_blocks *blocks);
};

static inline void mw_blocks__close(struct mw_blocks *blocks)
{
	if (blocks)
		blocks->close(blocks);
}

#endif

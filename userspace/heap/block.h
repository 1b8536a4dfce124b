/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks: what every heap walker yields, in address order and without overlap, whoever made the
 * memory. A stream is pulled in batches, so that ten million blocks cost no ten million calls.
 */
#ifndef MW_HEAP_BLOCK_H
#define MW_HEAP_BLOCK_H

#include <stddef.h>
#include <stdint.h>

enum mw_block_state { MW_BLOCK_LIVE, MW_BLOCK_FREE, MW_BLOCK_OVERHEAD };

struct mw_block {
	uint64_t start, size; /* bytes, its header included */
	const char *owner;    /* "glibc/live"; text that lives as long as the stream's maker */
	uint32_t arena;	      /* index among the maker's arenas; MW_BLOCK_NO_ARENA */
	uint16_t header;      /* bytes from START to the program's own */
	uint8_t state;	      /* enum mw_block_state */
};

#define MW_BLOCK_NO_ARENA UINT32_MAX

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces that are gone, by an exit or an exec, whose blocks no free will take out. */
#ifndef MW_TRACE_DEAD_SPACES_H
#define MW_TRACE_DEAD_SPACES_H

#include <stddef.h>
#include <stdint.h>

#include "trace/blocks.h"

/* All zero: none. */
struct mw_dead_spaces {
	struct mw_dead_space {
		uint32_t space, slot;
		uint64_t before; /* CLOCK_MONOTONIC ns: later blocks belong to the new program */
	} * list;
	size_t count, capacity;
};

void mw_dead_spaces__add(struct mw_dead_spaces *dead, uint32_t space, uint32_t slot,
			 uint64_t before);
void mw_dead_spaces__free(struct mw_dead_spaces *dead);

/*
 * Take their blocks out of BLOCKS; FN gets each that was there. Then there are no
 * dead spaces any more.
 */
typedef void (*mw_dead_block_fn)(uint32_t slot, const struct mw_alloc_record *block, void *arg);
void mw_dead_spaces__purge(struct mw_dead_spaces *dead, const struct mw_blocks *blocks,
			   mw_dead_block_fn fn, void *arg);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The blocks of a layer that the programs have seen made and not freed yet: malloc's in two tables
 * (bpf/blocks.bpf.h), samples of Python's in one. Keys are mw_block_key()s. What returns an int
 * returns 0 or -errno.
 */
#ifndef MW_TRACE_BLOCKS_H
#define MW_TRACE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "trace/options.h"

struct memwhere_bpf;

/* All zero: not open. */
struct mw_blocks {
	int outstanding;	   /* descriptor; the skeleton's */
	volatile uint32_t *used;   /* has that map had any block? NULL: not known */
	struct mw_block_set *sets; /* mapped from the kernel; NULL: there is only that map */
	uint32_t set_count;
};

/* Before the programs are loaded: room for as many blocks as OPTIONS want. */
void mw_blocks__configure(struct memwhere_bpf *bpf, const struct mw_tracer_options *options);

/* LAYER's, of programs that are loaded, which stay the caller's. */
int mw_blocks__open(struct mw_blocks *blocks, const struct memwhere_bpf *bpf, enum mw_layer layer);
void mw_blocks__close(struct mw_blocks *blocks);

/* BLOCK is valid during the call only. */
typedef void (*mw_block_fn)(uint64_t key, const struct mw_alloc_record *block, void *arg);

/*
 * FN for each block; it may take out blocks. While probes are in, blocks that come or go meanwhile
 * may be missed.
 */
int mw_blocks__each(const struct mw_blocks *blocks, mw_block_fn fn, void *arg);

/* The same while probes are out, and no block is left. FN may be NULL. */
int mw_blocks__take_all(const struct mw_blocks *blocks, mw_block_fn fn, void *arg);

/* The block with KEY into BLOCK; false: there is none. */
bool mw_blocks__find(const struct mw_blocks *blocks, uint64_t key, struct mw_alloc_record *block);

/* Take it out; false: it was not there. */
bool mw_blocks__remove(const struct mw_blocks *blocks, uint64_t key);

/* Put one in that is not there, while probes are out; false: no room. */
bool mw_blocks__put(const struct mw_blocks *blocks, uint64_t key,
		    const struct mw_alloc_record *block);

#endif

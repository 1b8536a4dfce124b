/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of malloc's layer that are not freed yet. A hash table costs two calls and an allocation
 * in the kernel for each of them, so most are in an array of sets instead: a block's address says
 * in which set it is, in any of its places. Blocks whose set is full go into `outstanding`, the
 * hash table.
 *
 * No lock: the key of a place says whose it is, and changes by atomic exchanges only. 0 is a free
 * place, MW_BUSY one that is being filled. A block never moves.
 */
#ifndef MW_BLOCKS_BPF_H
#define MW_BLOCKS_BPF_H

#include "bpf/hit.bpf.h"

static __always_inline struct mw_block_set *mw_set_of(__u64 key)
{
	__u32 index = mw_set_index(key, mw_set_count);

	return bpf_map_lookup_elem(&block_sets, &index);
}

/* The place in SET that has KEY; MW_SET_BLOCKS: none has. */
static __always_inline __u32 mw_place_of(const struct mw_block_set *set, __u64 key)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < MW_SET_BLOCKS; i++) {
		if (*(const volatile __u64 *)&set->keys[i] == key)
			break;
	}
	return i;
}

static __always_inline bool mw_swap_key(struct mw_block_set *set, __u32 place, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(mw_element(set->keys, place), old, new) == old;
}

/* Take ADDR out of the tables into BLOCK. False when it isn't there. */
static __always_inline bool mw_take_seen(__u32 space, __u64 addr, struct mw_alloc_record *block)
{
	__u64 key = mw_block_key(space, addr);
	struct mw_block_set *set = mw_set_of(key);
	__u32 place;

	if (set && key) {
		place = mw_place_of(set, key);
		if (place < MW_SET_BLOCKS) {
			*block = *mw_element(set->blocks, place); /* before the place is reused */
			return mw_swap_key(set, place, key, 0);
		}
	}
	return mw_outstanding_used && mw_take_block(&outstanding, space, addr, block);
}

/* Put BLOCK in at ADDR, which was taken out before. False: no room for it. */
static __always_inline bool mw_put_seen(__u32 space, __u64 addr,
					const struct mw_alloc_record *block)
{
	__u64 key = mw_block_key(space, addr);
	struct mw_block_set *set = mw_set_of(key);
	__u32 place;

	if (set) {
		place = mw_place_of(set, 0);
		if (place < MW_SET_BLOCKS && mw_swap_key(set, place, 0, MW_BUSY)) {
			*mw_element(set->blocks, place) = *block;
			/* Not a plain store: what it says must be there before it. */
			return mw_swap_key(set, place, MW_BUSY, key);
		}
	}
	mw_outstanding_used = 1;
	return !bpf_map_update_elem(&outstanding, &key, block, BPF_ANY);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs at allocators' probes share: whose hit it is, how many there may be. */
#ifndef MW_HIT_BPF_H
#define MW_HIT_BPF_H

#include "bpf/state.bpf.h"

/*
 * Whose call is it? Without --follow a link belongs to one process, which its cookie names. With
 * --follow the probes are in the file and every process that runs it hits them; those that are not
 * watched leave here.
 */
static __always_inline bool mw_find_owner(__u64 cookie, __u32 *slot, __u32 *space)
{
	struct mw_proc *proc;
	__u32 tgid;

	if (!mw_with_children) {
		*slot = MW_COOKIE_SLOT(cookie);
		*space = MW_COOKIE_SPACE(cookie);
		return true;
	}
	tgid = bpf_get_current_pid_tgid() >> 32;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc)
		return false;
	*slot = proc->slot;
	*space = proc->space;
	return true;
}

static __always_inline bool mw_is_asked_for(__u64 size)
{
	return size >= mw_min_size && size <= mw_max_size;
}

enum { MW_HITS_STEP = 8 };

/* Tell userspace that LAYER's quota is used up. */
int mw_tell_quota(__u32 layer);

/*
 * COUNT is this thread's or this CPU's. Tell userspace at once when LAYER's probes cost more than
 * they may: it takes them out.
 */
static __always_inline void mw_count_hit(__u32 layer, __u32 *count)
{
	volatile struct mw_layer_state *state = &mw_layers[layer];
	__u64 hits, quota = state->quota;

	if (!quota || ++*count % MW_HITS_STEP)
		return;
	hits = __sync_fetch_and_add(&state->hits, MW_HITS_STEP) + MW_HITS_STEP;
	if (hits >= quota && hits - MW_HITS_STEP < quota)
		mw_tell_quota(layer);
}

/* Take ADDR out of MAP, of outstanding blocks, into BLOCK. False when it isn't there. */
static __always_inline bool mw_take_block(void *map, __u32 space, __u64 addr,
					  struct mw_alloc_record *block)
{
	__u64 key = mw_block_key(space, addr);
	struct mw_alloc_record *found = bpf_map_lookup_elem(map, &key);

	if (!found)
		return false;
	*block = *found; /* before the entry is reused */
	return !bpf_map_delete_elem(map, &key);
}

#endif

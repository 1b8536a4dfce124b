/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sites for the other programs: take a stack, and count under its site. */
#ifndef MW_SITE_BPF_H
#define MW_SITE_BPF_H

#include "bpf/state.bpf.h"

/* What mw_site_take() is to do, in one number. */
#define MW_TAKE(slot, kind) ((__u64)(slot) << 32 | (__u64)(kind))
enum {
	MW_TAKE_KIND = 0xff,
	MW_TAKE_RETURN = 0x100, /* ip is a return address */
	MW_TAKE_LEAF = 0x200,	/* the innermost frame only */
};

/*
 * The stack of the running thread, whose registers are IP, SP and BP, as a site: its id, or 0 when
 * there is no place for it, which is counted. A stack seen for the first time goes to userspace.
 */
__u64 mw_site_take(__u64 ip, __u64 sp, __u64 bp, __u64 what);

enum { MW_WALK_ONE_IN = 16 };

/*
 * For how many events this one stands: 0: its stack is not taken. Take every stack until the budget
 * is used (5 to 10 us each: at most 0.5 % of the time for faults, 0.1 % for growth), then one in
 * 16, at random. Faults come a few at a time between growth and would crowd it out, so each has its
 * own budget; growth, of which each event is much memory, has a longer period: a server that begins
 * a thread for each request maps a stack each time.
 */
static __always_inline __u32 mw_walk_weight(struct mw_walk_budget *budget, __u64 period,
					    __u32 walks)
{
	__u64 now = bpf_ktime_get_ns();

	/* Threads may race here: a few more or less don't matter. */
	if (now - budget->since > period) {
		budget->since = now;
		budget->walks = 0;
	}
	if (budget->walks++ < walks)
		return 1;
	return bpf_get_prandom_u32() % MW_WALK_ONE_IN ? 0 : MW_WALK_ONE_IN;
}

static __always_inline __u32 mw_growth_weight(struct mw_proc *proc)
{
	return mw_walk_weight(&proc->growth, 10000000000ULL, 1000);
}

static __always_inline __u32 mw_fault_weight(struct mw_proc *proc)
{
	return mw_walk_weight(&proc->faults, 100000000, 50);
}

/* Add or take off one block of SIZE bytes, with the weight that its sample stands for. */
int mw_site_count(__u64 site, __u64 size, __u64 lifetime_ns, __u32 how);
enum { MW_COUNT_ALLOC, MW_COUNT_RESIZE, MW_COUNT_FREE, MW_COUNT_TEMPORARY };

/* A thread has ended. */
int mw_site_forget_thread(__u32 tid);

/* Bytes to LAYER's next sample: exponential, with its period as the mean. A global function. */
__u64 mw_draw_period(__u32 layer, __u32 random);

/* By how many bits an allocation of SIZE bytes of LAYER counts as larger when samples are drawn. */
static __always_inline __u32 mw_favour(__u32 layer, __u64 size)
{
	__u32 class = mw_size_class(size);

	if (layer == MW_LAYER_PYTHON)
		return *mw_element(mw_layers[MW_LAYER_PYTHON].favoured, class) ? MW_FAVOUR_SHIFT
									       : 0;
	return *mw_element(mw_layers[MW_LAYER_MALLOC].favoured, class) ? MW_FAVOUR_SHIFT : 0;
}

/* Is an allocation of SIZE bytes by CALL's thread a sample? */
static __always_inline bool mw_is_sample(struct mw_call *call, __u64 size)
{
	if (mw_sites_mode != MW_SITES_SAMPLED)
		return mw_sites_mode != MW_SITES_NONE;
	if (!call->until)
		call->until = mw_draw_period(MW_LAYER_MALLOC, bpf_get_prandom_u32()) + 1;
	size <<= mw_favour(MW_LAYER_MALLOC, size);
	if (size < (__u64)call->until) {
		call->until -= size;
		return false;
	}
	call->until = mw_draw_period(MW_LAYER_MALLOC, bpf_get_prandom_u32()) + 1;
	return true;
}

#endif

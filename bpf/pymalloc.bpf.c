// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Python's small objects, at the places where pymalloc hands out a block and takes one back
 * (userspace/probe/pymalloc_places.h). All of them are counted; a sample has its stack taken and is
 * looked out for until it is freed, like malloc's (alloc.bpf.c), from which it differs in having no
 * return to wait for: pool and block are in registers, and the pool says what size its blocks have.
 */
#include "bpf/hit.bpf.h"
#include "bpf/site.bpf.h"

#define LAYER (mw_layers[MW_LAYER_PYTHON])

/* struct pool_header of CPython's Objects/obmalloc.c */
enum { POOL_CLASS = 36, CLASSES = 64 };

/* One CPU's; a task that preempts another may add to its numbers, which does no harm. */
struct pymalloc_cpu {
	__s64 until; /* bytes until the next sample; 0: not drawn yet */
	__u32 hits, window;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pymalloc_cpu);
} pymalloc_cpus SEC(".maps");

static __always_inline bool is_sample(struct pymalloc_cpu *cpu, __u64 size)
{
	if (mw_sites_mode != MW_SITES_SAMPLED)
		return mw_sites_mode != MW_SITES_NONE;
	if (!cpu->until)
		cpu->until = mw_draw_period(MW_LAYER_PYTHON, bpf_get_prandom_u32()) + 1;
	size <<= mw_favour(MW_LAYER_PYTHON, size);
	if ((__s64)size < cpu->until) {
		cpu->until -= size;
		return false;
	}
	cpu->until = mw_draw_period(MW_LAYER_PYTHON, bpf_get_prandom_u32()) + 1;
	return true;
}

/* Register number REG, as a word of struct pt_regs. */
static __always_inline __u64 register_at(struct pt_regs *ctx, __u32 reg)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + reg * sizeof(value));
	return value;
}

static __always_inline __u64 block_at(struct pt_regs *ctx, __u32 how)
{
	__u64 block = register_at(ctx, MW_PYMALLOC_BLOCK(how));

	if (how & MW_PYMALLOC_IN_MEMORY)
		bpf_probe_read_user(&block, sizeof(block),
				    (void *)(block + MW_PYMALLOC_OFFSET(how)));
	return block;
}

/* Bytes of the blocks of POOL; 0: not known. */
static __always_inline __u64 size_of(__u64 pool, __u32 how)
{
	__u32 class = CLASSES;

	bpf_probe_read_user(&class, sizeof(class), (void *)(pool + POOL_CLASS));
	return class < CLASSES ? (class + 1) << (how & MW_PYMALLOC_ALIGN_16 ? 4 : 3) : 0;
}

static __always_inline void keep(struct mw_counts *c, __u32 space, __u64 addr, __u64 site,
				 __u64 size)
{
	struct mw_alloc_record block = {size, bpf_ktime_get_ns(), site}, old;
	__u64 key = mw_block_key(space, addr);

	/* Its free was missed, or another thread has not come to count it yet. */
	if (mw_take_block(&outstanding_small, space, addr, &old) && old.site &&
	    old.time >= LAYER.tracking_since)
		mw_site_count(old.site, old.size, block.time - old.time, MW_COUNT_FREE);
	if (bpf_map_update_elem(&outstanding_small, &key, &block, BPF_ANY))
		MW_ADD(c->lost[MW_LOST_MAP], 1);
}

static __always_inline void count_alloc(struct mw_counts *c, __u64 size)
{
	struct mw_cell *cell =
		mw_element(c->alloc[MW_PLACE_PYTHON], (size + MW_CLASS_WIDTH - 1) / MW_CLASS_WIDTH);

	mw_add_cell(cell, size);
}

static __always_inline void on_free(struct mw_counts *c, __u32 space, __u64 addr)
{
	struct mw_alloc_record block;
	__u64 now;

	MW_ADD(c->python_frees, 1);
	if (!addr || !mw_take_block(&outstanding_small, space, addr, &block) || !block.site ||
	    block.time < LAYER.tracking_since)
		return;
	now = bpf_ktime_get_ns();
	mw_site_count(block.site, block.size, now - block.time, MW_COUNT_FREE);
}

/* The running CPU's state, NULL where the hit is not to be counted. */
static __always_inline struct pymalloc_cpu *begin_hit(bool is_free)
{
	struct pymalloc_cpu *cpu;
	__u32 zero = 0;

	if (!LAYER.counting) {
		if (!is_free)
			__sync_fetch_and_add(&LAYER.idle_hits, 1);
		return NULL;
	}
	cpu = bpf_map_lookup_elem(&pymalloc_cpus, &zero);
	if (!cpu)
		return NULL;
	if (cpu->window != LAYER.window) {
		cpu->window = LAYER.window;
		cpu->until = 0; /* samples may come more often, or less */
	}
	mw_count_hit(MW_LAYER_PYTHON, &cpu->hits);
	return cpu;
}

SEC("uprobe")
int pymalloc_hit(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), size, site;
	__u32 how = MW_PYMALLOC_HOW(cookie), slot, space;
	bool is_free = MW_PYMALLOC_KIND(how) == MW_PYMALLOC_HIT_FREE;
	struct pymalloc_cpu *cpu = begin_hit(is_free);
	struct mw_counts *c;

	if (!cpu || !mw_find_owner(cookie, &slot, &space))
		return 0;
	c = mw_counts_of(slot);
	if (!c)
		return 0;
	if (is_free) {
		on_free(c, space, LAYER.mode == MW_MODE_EXACT ? block_at(ctx, how) : 0);
		return 0;
	}
	size = size_of(register_at(ctx, MW_PYMALLOC_POOL(how)), how);
	if (!mw_is_asked_for(size))
		return 0;
	count_alloc(c, size);
	/* A pool that is new does not know its block yet. */
	if (MW_PYMALLOC_KIND(how) != MW_PYMALLOC_HIT_ALLOC || !size || !LAYER.sampling ||
	    !is_sample(cpu, size))
		return 0;
	site = mw_site_take(MW_REG_IP(ctx), MW_REG_SP(ctx), MW_REG_FP(ctx),
			    MW_TAKE(slot, MW_KIND_PYTHON) |
				    (mw_sites_mode == MW_SITES_LEAF ? MW_TAKE_LEAF : 0));
	if (!site)
		return 0;
	mw_site_count(site, size, 0, MW_COUNT_ALLOC);
	if (LAYER.mode == MW_MODE_EXACT)
		keep(c, space, block_at(ctx, how), site, size);
	return 0;
}

/* The function that takes a new pool returns its first block. */
SEC("uprobe")
int pymalloc_new_pool(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), size, site, block = MW_REG_RESULT(ctx);
	struct pymalloc_cpu *cpu = begin_hit(false);
	__u32 how = MW_PYMALLOC_HOW(cookie), slot, space;
	struct mw_counts *c;

	if (!cpu || !block || !mw_find_owner(cookie, &slot, &space))
		return 0;
	c = mw_counts_of(slot);
	if (!c)
		return 0;
	size = size_of(block & -(1ULL << MW_PYMALLOC_POOL(how)), how);
	if (!mw_is_asked_for(size))
		return 0;
	count_alloc(c, size);
	if (!size || !LAYER.sampling || !is_sample(cpu, size))
		return 0;
	site = mw_site_take(MW_REG_IP(ctx), MW_REG_SP(ctx), MW_REG_FP(ctx),
			    MW_TAKE(slot, MW_KIND_PYTHON) | MW_TAKE_RETURN |
				    (mw_sites_mode == MW_SITES_LEAF ? MW_TAKE_LEAF : 0));
	if (!site)
		return 0;
	mw_site_count(site, size, 0, MW_COUNT_ALLOC);
	if (LAYER.mode == MW_MODE_EXACT)
		keep(c, space, block, site, size);
	return 0;
}

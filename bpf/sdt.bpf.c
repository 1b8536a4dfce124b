// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Probes that a runtime was built with (USDT). otel_memory:alloc(ptr, size, weighted_bytes)
 * and otel_memory:free(ptr) are samples that an allocator has drawn itself (OpenTelemetry's eBPF
 * profiler, design document 00003): they cost nothing between two samples. glibc's, where a
 * distribution builds it with them, are hit when its heap grows and when its thresholds move.
 */
#include "bpf/site.bpf.h"
#include <bpf/usdt.bpf.h>

/* A sampled block that was not freed yet. */
struct sdt_block {
	__u64 site, size, weighted;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct sdt_block);
} sdt_blocks SEC(".maps");

static __always_inline void add_sample(struct mw_counts *c, struct pt_regs *ctx,
				       struct mw_proc *proc, __u64 addr, __u64 size, __u64 weighted)
{
	struct sdt_block block = {.size = size, .weighted = weighted};
	__u64 key = mw_block_key(proc->space, addr);
	struct mw_site_counts *site;

	block.site = mw_site_take(MW_REG_IP(ctx), MW_REG_SP(ctx), MW_REG_FP(ctx),
				  MW_TAKE(proc->slot, MW_KIND_ALLOC));
	site = bpf_map_lookup_elem(&sites, &block.site);
	if (!site)
		return;
	MW_ADD(site->samples, 1);
	MW_ADD(site->allocs, size ? (weighted << MW_COUNT_SHIFT) / size : 1 << MW_COUNT_SHIFT);
	MW_ADD(site->alloc_bytes, weighted);
	if (bpf_map_update_elem(&sdt_blocks, &key, &block, BPF_ANY))
		MW_ADD(c->lost[MW_LOST_MAP], 1);
}

static __always_inline void end_sample(struct mw_proc *proc, __u64 addr)
{
	__u64 key = mw_block_key(proc->space, addr);
	struct sdt_block *found = bpf_map_lookup_elem(&sdt_blocks, &key);
	struct mw_site_counts *site;
	struct sdt_block block;

	if (!found)
		return;
	block = *found;
	bpf_map_delete_elem(&sdt_blocks, &key);
	site = bpf_map_lookup_elem(&sites, &block.site);
	if (!site)
		return;
	MW_ADD(site->frees,
	       block.size ? (block.weighted << MW_COUNT_SHIFT) / block.size : 1 << MW_COUNT_SHIFT);
	MW_ADD(site->freed_bytes, block.weighted);
}

/*
 * otel_memory:alloc(ptr, size, weighted bytes), libc:memory_heap_new(heap, size) and
 * memory_sbrk_more(brk, size), which is hit by a refusal, too: brk is -1 then. Of memory_arena_new
 * the second is what was asked of malloc, of memory_mallopt_free_dyn_thresholds the trim threshold.
 */
static __always_inline bool has_bytes(__u32 which, long first)
{
	return which == MW_SDT_ALLOC || which == MW_SDT_HEAP_NEW ||
	       (which == MW_SDT_SBRK_MORE && first != -1);
}

SEC("usdt")
int sdt_hit(struct pt_regs *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, which = bpf_usdt_cookie(ctx);
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);
	long first = 0, second = 0, third = 0;
	struct mw_counts *c;
	struct mw_cell *sdt;

	if (!proc || !mw_active)
		return 0;
	c = mw_counts_of(proc->slot);
	if (!c || which >= MW_SDTS)
		return 0;
	bpf_usdt_arg(ctx, 0, &first);
	bpf_usdt_arg(ctx, 1, &second);
	bpf_usdt_arg(ctx, 2, &third);
	sdt = mw_element(c->sdt, which);
	MW_ADD(sdt->count, 1);
	if (has_bytes(which, first))
		MW_ADD(sdt->bytes, second);
	/* Where the allocator's functions are probed, the same allocations are sampled there. */
	if (mw_layers[MW_LAYER_MALLOC].mode != MW_MODE_GROWTH)
		return 0;
	if (which == MW_SDT_ALLOC)
		add_sample(c, ctx, proc, first, second, third > second ? third : second);
	else if (which == MW_SDT_FREE)
		end_sample(proc, first);
	return 0;
}

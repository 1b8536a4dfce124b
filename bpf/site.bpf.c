// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sites: stacks of Python and native frames, interned in the kernel by a hash of their frames, with
 * counters for each. Userspace gets each new stack once and reads the counters when a report is
 * due.
 */
#include "bpf/site.bpf.h"
#include "bpf/walker.bpf.h"

/*
 * One for each thread: another task's program may preempt this one, so two would mix in a CPU's.
 * Within a thread they don't nest.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct mw_walker);
} walkers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mw_walker);
} no_walker SEC(".maps");

#include "bpf/native.bpf.h"
#include "bpf/python.bpf.h"

/* log2(1 + i / 64) in units of 2^-16, for mw_draw_period(); entry 64 is for the interpolation. */
const volatile __u32 mw_log2_table[MW_LOG2_STEPS + 1];

static __always_inline __u64 period_of(__u32 layer)
{
	return mw_layers[layer == MW_LAYER_PYTHON ? MW_LAYER_PYTHON : MW_LAYER_MALLOC]
		.sample_period;
}

__noinline __u64 mw_draw_period(__u32 layer, __u32 random)
{
	__u64 bits, fraction, table, log2, part;
	__u32 index, top;

	random |= 1;
	top = mw_log2(random);
	/* The 16 bits below the highest. */
	bits = ((__u64)random << 32 >> top) & 0xffffffff;
	index = bits >> 26 & 63;
	part = bits >> 10 & 0xffff;
	table = *mw_element(mw_log2_table, index);
	fraction = table + ((*mw_element(mw_log2_table, index + 1) - table) * part >> 16);
	log2 = ((__u64)top << 16) + fraction;
	/* -ln(random / 2^32) = (32 - log2(random)) * ln 2 */
	return ((period_of(layer) * ((32ULL << 16) - log2)) >> 16) * 45426 >> 16;
}

/*
 * Bytes that a sample of SIZE bytes stands for: SIZE / (1 - e^(-SIZE / period)); of a size that is
 * favoured, which is drawn as if it were larger, as much less.
 */
static __always_inline __u64 weigh(__u64 size, __u32 layer)
{
	__u64 x, part, a, b, period = period_of(layer);
	__u32 index, favour = mw_favour(layer, size);

	if (mw_sites_mode != MW_SITES_SAMPLED || !period ||
	    size << favour >= MW_WEIGHT_MAX * period)
		return size;
	/* SIZE is below 2^33; sizes are only favoured with periods of a few KiB. */
	x = ((size << favour) * MW_WEIGHT_STEPS << 16) / period;
	index = x >> 16;
	part = x & 0xffff;
	if (index > MW_WEIGHTS - 2)
		return size;
	a = *mw_element(mw_weights, index);
	b = *mw_element(mw_weights, index + 1);
	return period * (a + ((b - a) * part >> 16)) >> (20 + favour);
}

__noinline int mw_site_count(__u64 id, __u64 size, __u64 lifetime_ns, __u32 how)
{
	struct mw_site_counts *site = bpf_map_lookup_elem(&sites, &id);
	__u64 bytes, count, variance;

	if (!site)
		return 0;
	bytes = weigh(size, mw_layer_of(site->kind));
	count = size ? (bytes << MW_COUNT_SHIFT) / size : 1 << MW_COUNT_SHIFT;
	variance = (bytes >> 10) * ((bytes - size) >> 10);
	if (how <= MW_COUNT_RESIZE) {
		if (how == MW_COUNT_RESIZE)
			MW_ADD(site->resized, count);
		MW_ADD(site->samples, 1);
		MW_ADD(site->allocs, count);
		MW_ADD(site->alloc_bytes, bytes);
		MW_ADD(site->alloc_variance, variance);
		return 0;
	}
	MW_ADD(site->frees, count);
	MW_ADD(site->freed_bytes, bytes);
	MW_ADD(site->freed_variance, variance);
	if (bpf_ktime_get_ns() - lifetime_ns >= mw_interval_began) {
		MW_ADD(site->young_frees, count);
		MW_ADD(site->young_freed_bytes, bytes);
	}
	MW_ADD(site->lifetime_us, lifetime_ns / 1000 * count >> MW_COUNT_SHIFT);
	if (how == MW_COUNT_TEMPORARY)
		MW_ADD(site->temporaries, count);
	return 0;
}

static __always_inline struct mw_walker *walker_of_thread(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), zero = 0;
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);

	if (w)
		return w;
	w = bpf_map_lookup_elem(&no_walker, &zero);
	if (!w)
		return NULL;
	bpf_map_update_elem(&walkers, &tid, w, BPF_NOEXIST);
	return bpf_map_lookup_elem(&walkers, &tid);
}

__noinline int mw_site_forget_thread(__u32 tid)
{
	return bpf_map_delete_elem(&walkers, &tid);
}

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static __always_inline __u64 hash_of(const struct mw_stack *stack)
{
	/* Blocks of two layers are never of one site, nor are blocks and containers. */
	__u64 hash = mix(stack->slot, stack->flags | (stack->kind == MW_KIND_PYTHON) << 8 |
					      (stack->kind == MW_KIND_LENGTH) << 9);

	for (__u32 i = 0; i < MW_NATIVE_FRAMES && i < stack->native_count; i++)
		hash = mix(hash, stack->native[i]);
	for (__u32 i = 0; i < MW_PY_FRAMES && i < stack->python_count; i++) {
		const struct mw_py_frame *f = &stack->python[i];

		hash = mix(mix(hash, f->code), (__u64)f->offset << 32 | f->check);
	}
	return hash ? hash : 1;
}

/* The stack that W holds, as a site. */
static __always_inline __u64 intern(struct mw_walker *w, struct mw_counts *c)
{
	struct mw_stack *stack = &w->stack;
	__u64 id = hash_of(stack), size;

	if (bpf_map_lookup_elem(&sites, &id))
		return id;
	w->fresh.slot = stack->slot;
	w->fresh.kind = stack->kind;
	if (bpf_map_update_elem(&sites, &id, &w->fresh, BPF_NOEXIST)) {
		if (bpf_map_lookup_elem(&sites, &id))
			return id; /* another thread was quicker */
		MW_ADD(c->lost[MW_LOST_SITES], 1);
		return 0;
	}
	stack->id = id;
	size = stack->python_count;
	if (size > MW_PY_FRAMES)
		size = MW_PY_FRAMES;
	size = __builtin_offsetof(struct mw_stack, python) + size * sizeof(struct mw_py_frame);
	if (bpf_ringbuf_output(&stacks, stack, size, 0)) {
		bpf_map_delete_elem(&sites, &id);
		MW_ADD(c->lost[MW_LOST_STACKS], 1);
		return 0;
	}
	return id;
}

static __always_inline __u64 thread_pointer(void)
{
	__u64 fs = 0;

	if (mw_fsbase_offset)
		bpf_probe_read_kernel(&fs, sizeof(fs),
				      (void *)bpf_get_current_task() + mw_fsbase_offset);
	return fs;
}

__noinline __u64 mw_site_take(__u64 ip, __u64 sp, __u64 bp, __u64 what)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, kind = what & MW_TAKE_KIND, index;
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);
	struct mw_counts *c = mw_counts_of(what >> 32);
	struct mw_walker *w;
	__u64 now = bpf_ktime_get_ns();
	bool leaf = what & MW_TAKE_LEAF;

	if (!proc || !c)
		return 0;
	w = walker_of_thread();
	if (!w) {
		MW_ADD(c->lost[MW_LOST_SITES], 1);
		return 0;
	}
	w->stack.time = now;
	w->stack.tgid = tgid;
	w->stack.slot = what >> 32;
	w->stack.kind = kind;
	w->stack.flags = 0;
	w->stack.native_count = 0;
	w->stack.python_count = 0;
	w->registers.ip = ip;
	w->registers.sp = sp;
	w->registers.bp = bp;
	index = proc->python;
	if (index)
		mw_walk_python(w, index, thread_pointer(), now, leaf ? 1 : MW_PY_FRAMES);
	if (leaf) {
		w->stack.flags = 0; /* only the leaf was asked for: not incomplete */
		if (!w->stack.python_count) {
			w->stack.native[0] = ip - !!(what & MW_TAKE_RETURN);
			w->stack.native_count = 1;
		}
	} else {
		mw_walk_native(w, (__u64)proc->maps_first << 32 | proc->maps_count,
			       what & MW_TAKE_RETURN);
	}
	return intern(w, c);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The allocator's functions. `alloc_entry` runs at the entry of each of them (or a few cheap
 * instructions later, see probe/prologue.h), `alloc_return` when one that gives memory returns.
 *
 * Only the outermost call counts: calloc may call malloc, realloc may call malloc and free. A
 * thread's open call is known by the stack pointer at its entry: a probe hit at the same or a
 * lower stack pointer is inside it (the same: a tail jump); a hit at a higher one means that the
 * open call has gone without returning. The return of the open call is the one that comes with
 * the stack pointer just above its return address.
 */
#include "bpf/blocks.bpf.h"
#include "bpf/hit.bpf.h"
#include "bpf/kernel.bpf.h"
#include "bpf/site.bpf.h"
#include <bpf/bpf_core_read.h>

#define LAYER (mw_layers[MW_LAYER_MALLOC])

/* In glibc's chunk header, the size word before the block (malloc/malloc.c). */
enum { CHUNK_MMAPPED = 2, CHUNK_NON_MAIN_ARENA = 4 };

/*
 * Thread arenas are made of heaps that are aligned to their own size, 8 MiB at least
 * (malloc/arena.c, heap_max_size): what lies in one such stretch is all a thread arena's, or all
 * the main arena's, apart from blocks with a mapping of their own. Those begin 16 bytes into a
 * page, if no alignment was asked for. So most headers need not be read, which costs as much as all
 * the rest.
 */
enum { STRETCH_SHIFT = 23, CHUNK_HEAD = 16 };

static __always_inline bool may_have_mapping(__u32 func, __u64 addr)
{
	return addr % MW_PAGE == CHUNK_HEAD || (func != MW_FUNC_MALLOC && func != MW_FUNC_CALLOC);
}

static __always_inline __u32 place_of(struct mw_counts *c, struct mw_call *call, __u32 func,
				      __u64 addr)
{
	__u64 header;

	if (!(call->flags & MW_COOKIE_CHUNKS))
		return MW_PLACE_OTHER;
	if (call->stretch == addr >> STRETCH_SHIFT && !may_have_mapping(func, addr))
		return call->place;
	if (bpf_probe_read_user(&header, sizeof(header), (void *)(addr - sizeof(header)))) {
		MW_ADD(c->lost[MW_LOST_HEADER], 1);
		return MW_PLACE_OTHER;
	}
	if (header & CHUNK_MMAPPED)
		return MW_PLACE_MMAP;
	call->stretch = addr >> STRETCH_SHIFT;
	call->place = header & CHUNK_NON_MAIN_ARENA ? MW_PLACE_THREAD : MW_PLACE_BRK;
	return call->place;
}

/*
 * Global functions are verified once, separately: their branches don't multiply with those of the
 * callers (alloc_return: 2,000 instructions verified instead of 297,000).
 */
__noinline __u32 log2_of(__u64 n)
{
	return mw_log2(n);
}

__noinline __u32 large_class(__u64 size)
{
	return mw_size_class(size);
}

static __always_inline __u32 class_of(__u64 size)
{
	if (size <= MW_CLASS_FINE_MAX)
		return (size + MW_CLASS_WIDTH - 1) / MW_CLASS_WIDTH;
	return large_class(size);
}

static __always_inline void count_call(struct mw_counts *c, __u32 func)
{
	MW_ADD(*mw_element(c->calls, func), 1);
}

static __always_inline void count_alloc(struct mw_counts *c, __u32 func, __u32 place, __u64 size)
{
	struct mw_cell(*at)[MW_CLASSES] = mw_element(c->alloc, place);

	mw_add_cell(mw_element(*at, class_of(size)), size);
	count_call(c, func);
}

static __always_inline void count_freed(struct mw_counts *c, const struct mw_alloc_record *block,
					__u64 now, bool at_once)
{
	mw_add_cell(mw_element(c->freed, class_of(block->size)), block->size);
	MW_ADD(*mw_element(c->lifetime, log2_of(now - block->time)), 1);
	if (block->site)
		mw_site_count(block->site, block->size, now - block->time,
			      at_once ? MW_COUNT_TEMPORARY : MW_COUNT_FREE);
}

/* The return address of a function that was entered with the stack pointer SP. */
static __always_inline __u64 take_site(struct pt_regs *ctx, __u64 sp, __u32 slot)
{
	__u64 ret = 0;

	bpf_probe_read_user(&ret, sizeof(ret), (void *)sp);
	return mw_site_take(ret, sp + MW_CALL_PUSHES, MW_REG_FP(ctx),
			    MW_TAKE(slot, MW_KIND_ALLOC) | MW_TAKE_RETURN |
				    (mw_sites_mode == MW_SITES_LEAF ? MW_TAKE_LEAF : 0));
}

static __always_inline void keep_block(struct mw_counts *c, __u32 space, __u64 addr,
				       const struct mw_alloc_record *block)
{
	struct mw_alloc_record old;

	/* The tables still have a block at this address: its free was missed. */
	if (mw_take_seen(space, addr, &old) && old.time >= LAYER.tracking_since) {
		MW_ADD(c->lost[MW_LOST_MISSED_FREE], 1);
		mw_add_cell(mw_element(c->freed, class_of(old.size)), old.size);
		if (old.site)
			mw_site_count(old.site, old.size, block->time - old.time, MW_COUNT_FREE);
	}
	if (mw_put_seen(space, addr, block))
		return;
	MW_ADD(c->lost[MW_LOST_MAP], 1);
	mw_add_cell(&c->unkept, block->size);
}

__noinline int mw_tell_quota(__u32 layer)
{
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_QUOTA, .layer = layer};

	event.tgid = bpf_get_current_pid_tgid() >> 32;
	event.time = bpf_ktime_get_ns();
	bpf_ringbuf_output(&events, &event, sizeof(event), BPF_RB_FORCE_WAKEUP);
	return 0;
}

/* Make the record of thread TID, which has none. */
__noinline int make_call(__u32 tid)
{
	static const struct mw_call none;
	__u32 index = tid % MW_CALLS;
	struct mw_call *call = bpf_map_lookup_elem(&calls, &index);

	if (call && !__sync_val_compare_and_swap(&call->tid, 0, tid))
		return 0;
	return bpf_map_update_elem(&more_calls, &tid, &none, BPF_NOEXIST);
}

/* The thread's record, made at its first hit. */
static __always_inline struct mw_call *call_of_thread(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_call *call = mw_find_call(tid);

	if (call)
		return call;
	make_call(tid);
	return mw_find_call(tid);
}

static __always_inline void count_lost(__u32 slot, enum mw_lost why)
{
	struct mw_counts *c = mw_counts_of(slot);

	if (c)
		MW_ADD(c->lost[why], 1);
}

static __always_inline __u64 saturating_product(__u64 a, __u64 b)
{
	__u64 limit;

	if (!((a | b) >> 32) || !b)
		return a * b;
	limit = ~0ULL / b;
	barrier_var(limit); /* or clang asks for a 128-bit product, which BPF lacks */
	return a > limit ? ~0ULL : a * b;
}

static __always_inline bool is_realloc(__u32 func)
{
	return func == MW_FUNC_REALLOC || func == MW_FUNC_REALLOCARRAY;
}

/* The requested size in bytes. A product that overflows makes the call fail: counted at its return.
 */
static __always_inline __u64 requested_size(struct pt_regs *ctx, __u32 func)
{
	switch (func) {
	case MW_FUNC_CALLOC:
		return saturating_product(MW_REG_ARG1(ctx), MW_REG_ARG2(ctx));
	case MW_FUNC_REALLOCARRAY:
		return saturating_product(MW_REG_ARG2(ctx), MW_REG_ARG3(ctx));
	case MW_FUNC_REALLOC:
	case MW_FUNC_ALIGNED_ALLOC:
	case MW_FUNC_MEMALIGN:
		return MW_REG_ARG2(ctx);
	case MW_FUNC_POSIX_MEMALIGN:
		return MW_REG_ARG3(ctx);
	default:
		return MW_REG_ARG1(ctx);
	}
}

/* Was the function whose stack pointer at the entry is SP called by the allocator itself? */
static __always_inline bool is_called_by_allocator(__u64 sp)
{
	__u64 ret;
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (!proc || bpf_probe_read_user(&ret, sizeof(ret), (void *)sp))
		return false;
	for (__u32 i = 0; i < MW_RANGES && i < proc->ranges_count; i++) {
		if (ret >= proc->ranges[i].start && ret < proc->ranges[i].end)
			return true;
	}
	return false;
}

static __always_inline void on_free(struct mw_counts *c, struct mw_call *call, __u64 addr, __u64 sp,
				    __u32 func, __u32 space)
{
	struct mw_alloc_record block;
	bool at_once = false;

	if (!addr) {
		if (LAYER.counting)
			MW_ADD(c->free_null, 1);
		return;
	}
	if (call) {
		/* operator delete that calls free: the same block, deeper in the stack. */
		if (call->freed == addr && sp <= call->freed_sp)
			return;
		at_once = call->result == addr;
		call->freed = addr;
		call->freed_sp = sp;
	}
	if (!LAYER.counting)
		return;
	if (LAYER.mode == MW_MODE_EXACT && mw_take_seen(space, addr, &block) &&
	    block.time >= LAYER.tracking_since) {
		count_freed(c, &block, bpf_ktime_get_ns(), at_once);
	} else if (is_called_by_allocator(sp)) {
		/*
		 * When a thread ends, glibc calls free for each block in the thread's cache
		 * (malloc.c, tcache_thread_shutdown): the program has freed those before.
		 */
		MW_ADD(c->free_internal, 1);
		return;
	} else if (LAYER.mode == MW_MODE_EXACT) {
		MW_ADD(c->free_unknown, 1);
	}
	count_call(c, func);
}

/*
 * Return probes of anybody in the same place, of another watch of another process as well, have the
 * function return through the first bytes of the process's area for uprobes.
 */
static __always_inline bool is_return_probe(__u64 ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return ret && bpf_core_field_exists(task->mm->uprobes_state.xol_area->vaddr) &&
	       ret == BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
}

/*
 * Sizes mode has no returns, so it can't know whether a call is still open. It recognises a nested
 * call otherwise: it comes right after its outer one, deeper in the stack and from the allocator's
 * own code, or by a tail jump with the same stack pointer and return address, or that of a return
 * probe, which a call would not have at its entry.
 */
static __always_inline void count_entry_only(struct pt_regs *ctx, struct mw_counts *c,
					     struct mw_call *call, __u64 sp, __u32 func, __u64 size,
					     __u32 slot)
{
	__u64 ret = 0, addr = MW_REG_ARG1(ctx);

	bpf_probe_read_user(&ret, sizeof(ret), (void *)sp);
	if (call->func && call->func != func &&
	    ((sp == call->sp && (ret == call->ret || is_return_probe(ret))) ||
	     (sp < call->sp && is_called_by_allocator(sp))))
		return;
	call->func = func;
	call->sp = sp;
	call->ret = ret;
	if (is_realloc(func) && !size && addr) {
		/* A free; the call of free that may be inside is its twin. */
		call->freed = addr;
		call->freed_sp = sp;
		if (LAYER.counting)
			MW_ADD(c->freed_by_realloc, 1);
		return;
	}
	if (!LAYER.counting || !mw_is_asked_for(size))
		return;
	count_alloc(c, func, MW_PLACE_OTHER, size);
	if (LAYER.sampling && mw_is_sample(call, size))
		mw_site_count(take_site(ctx, sp, slot), size, 0, MW_COUNT_ALLOC);
}

SEC("uprobe")
int alloc_entry(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	__u32 func = MW_COOKIE_FUNC(cookie);
	__u64 sp = MW_REG_SP(ctx) + MW_COOKIE_SHIFT(cookie);
	struct mw_counts *c;
	struct mw_call *call;
	__u32 slot, space;
	__u64 size;

	if (!mw_find_owner(cookie, &slot, &space))
		return 0;
	if (!LAYER.counting && func < MW_FUNC_FREE)
		__sync_fetch_and_add(&LAYER.idle_hits, 1);
	call = call_of_thread();
	if (call)
		mw_count_hit(MW_LAYER_MALLOC, &call->hits);
	if (call && call->window != LAYER.window) {
		call->window = LAYER.window;
		call->func = MW_FUNC_NONE;
		call->result = call->freed = 0;
		call->until = 0; /* samples may come more often, or less */
	}
	if (call && call->func && LAYER.mode == MW_MODE_EXACT) {
		if (sp <= call->sp)
			return 0;
		call->func = MW_FUNC_NONE;
		/*
		 * At the end of a watch the return probes may be out before the entry probes are.
		 */
		if (call->counted && LAYER.counting)
			count_lost(slot, MW_LOST_NO_RETURN);
	}
	if (func >= MW_FUNC_FREE) {
		c = mw_counts_of(slot);
		if (c)
			on_free(c, call, MW_REG_ARG1(ctx), sp, func, space);
		return 0;
	}
	if (!call) {
		if (LAYER.counting)
			count_lost(slot, MW_LOST_THREADS);
		return 0;
	}
	call->freed = 0;
	size = requested_size(ctx, func);
	if (LAYER.mode != MW_MODE_EXACT) {
		c = mw_counts_of(slot);
		if (c)
			count_entry_only(ctx, c, call, sp, func, size, slot);
		return 0;
	}
	call->slot = slot;
	call->space = space;
	call->flags = MW_COOKIE_FLAGS(cookie);
	call->sp = sp;
	call->size = size;
	call->func = func;
	call->in_watch = LAYER.counting;
	call->counted = call->in_watch && mw_is_asked_for(size);
	call->arg = MW_REG_ARG1(ctx);
	call->old.time = 0;
	call->site = 0;
	/* Now, not at the return: kernels before 6.11 show a broken stack while that is awaited. */
	if (call->counted && mw_is_sample(call, size))
		call->site = take_site(ctx, sp, slot);
	/*
	 * The old block leaves the map now: once realloc has freed it, another thread may get the
	 * address before this one returns. A failed realloc puts it back.
	 */
	if (is_realloc(func) && call->arg)
		mw_take_seen(space, call->arg, &call->old);
	return 0;
}

/* The block that a realloc was given: freed, or KEPT because it failed. */
static __always_inline void settle_old_block(struct mw_counts *c, struct mw_call *call, __u32 space,
					     bool kept, __u64 now)
{
	if (kept) {
		if (call->old.time && !mw_put_seen(space, call->arg, &call->old)) {
			MW_ADD(c->lost[MW_LOST_MAP], 1);
			mw_add_cell(&c->unkept, call->old.size);
		}
		return;
	}
	if (call->old.time && call->old.time >= LAYER.tracking_since) {
		count_freed(c, &call->old, now, false);
		MW_ADD(c->freed_by_realloc, 1);
	} else if (LAYER.counting) {
		MW_ADD(c->free_unknown, 1);
	}
}

/*
 * The cookie is not asked for: of two functions that return with the same stack pointer one has
 * jumped to the other, and what they return is the same.
 */
SEC("uprobe")
int alloc_return(struct pt_regs *ctx)
{
	struct mw_call *call = mw_find_call((__u32)bpf_get_current_pid_tgid());
	struct mw_counts *c;
	struct mw_alloc_record block;
	__u64 addr = MW_REG_RESULT(ctx);
	__u32 func, slot, space;

	/* While probes go in and out, some calls are seen at their return only. */
	if (!LAYER.counting && (!call || call->window != LAYER.window || !call->func) &&
	    mw_find_owner(bpf_get_attach_cookie(ctx), &slot, &space))
		__sync_fetch_and_add(&LAYER.idle_hits, 1);
	/* Without a record the call began before the watch, or was counted as lost. */
	if (!call || call->window != LAYER.window)
		return 0;
	c = mw_counts_of(call->slot);
	if (!c)
		return 0;
	func = call->func;
	space = call->space;
	if (!func) {
		/*
		 * A tail jump from one function to another: both return, at once. And while probes
		 * go in, a call that is seen at its return only may last until it is counted.
		 */
		if (LAYER.counting && call->in_watch &&
		    !(MW_REG_SP(ctx) == call->sp + MW_CALL_PUSHES && addr == call->result))
			MW_ADD(c->lost[MW_LOST_UNMATCHED], 1);
		return 0;
	}
	if (MW_REG_SP(ctx) != call->sp + MW_CALL_PUSHES)
		return 0; /* a nested call's return */
	call->func = MW_FUNC_NONE;
	call->result = addr;

	if (func == MW_FUNC_POSIX_MEMALIGN) {
		if (addr || bpf_probe_read_user(&addr, sizeof(addr), (void *)call->arg)) {
			if (!addr && call->counted)
				MW_ADD(c->lost[MW_LOST_HEADER], 1);
			addr = 0;
		}
	}
	block.size = call->size;
	block.time = bpf_ktime_get_ns();
	block.site = call->site;
	if (is_realloc(func) && call->arg)
		settle_old_block(c, call, space, !addr && call->size, block.time);
	if (!call->counted)
		return 0;
	if (!addr) {
		/* realloc(p, 0) has freed: neither a failure nor an allocation. */
		if (!(is_realloc(func) && call->arg && !call->size))
			MW_ADD(c->failed, 1);
		return 0;
	}
	count_alloc(c, func, place_of(c, call, func, addr), block.size);
	if (block.site)
		mw_site_count(block.site, block.size, 0,
			      is_realloc(func) && call->arg ? MW_COUNT_RESIZE : MW_COUNT_ALLOC);
	keep_block(c, space, addr, &block);
	return 0;
}

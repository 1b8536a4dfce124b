// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel gave and took back: brk, mmap, munmap, mremap, madvise. One program at the exit
 * of system calls, because there the registers still hold the arguments and the result is known.
 * It costs every system call of the machine about 16 ns (docs/overhead.md) and needs neither
 * kprobes nor fentry, which a kernel may lack or refuse.
 */
#include "bpf/kernel.bpf.h"
#include "bpf/site.bpf.h"
#include <bpf/bpf_core_read.h>

/* include/uapi/asm-generic/mman-common.h: the advice that gives memory back */
enum { ADV_DONTNEED = 4, ADV_FREE = 8, ADV_REMOVE = 9, ADV_PAGEOUT = 21, ADV_DONTNEED_LOCKED = 24 };

enum { PROT_EXEC = 4 };

/* glibc's struct malloc_par begins with these three in every version (malloc/malloc.c). */
struct malloc_par_head {
	__u64 trim_threshold, top_pad, mmap_threshold;
};

static __always_inline long read_regs(struct mw_regs *regs, const struct pt_regs *from)
{
	return bpf_probe_read_kernel(regs, sizeof(*regs), MW_REGS_BEGIN(from));
}

static __always_inline __u64 pages(__u64 bytes)
{
	return (bytes + MW_PAGE - 1) & ~(MW_PAGE - 1ULL);
}

/*
 * free() of a chunk with its own mapping moves the threshold just before the munmap: read now, the
 * event has the right time and the size that moved it. A separate function, so that the event is
 * not on the stack below the walks.
 */
static __noinline void check_threshold(struct mw_counts *c, struct mw_proc *proc, __u32 tgid,
				       __u64 unmapped)
{
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_THRESHOLD, .tgid = tgid};
	struct malloc_par_head mp;

	if (!proc->mp_addr || bpf_probe_read_user(&mp, sizeof(mp), (void *)proc->mp_addr) ||
	    mp.mmap_threshold == proc->mmap_threshold)
		return;
	event.time = bpf_ktime_get_ns();
	event.threshold.mmap_threshold = mp.mmap_threshold;
	event.threshold.trim_threshold = mp.trim_threshold;
	event.threshold.old_mmap_threshold = proc->mmap_threshold;
	/* The mapping moved it if it held a chunk that large; else it went earlier, unseen. */
	if (mp.mmap_threshold > proc->mmap_threshold && unmapped >= mp.mmap_threshold &&
	    mp.trim_threshold == 2 * mp.mmap_threshold)
		event.threshold.size = unmapped;
	proc->mmap_threshold = mp.mmap_threshold;
	proc->trim_threshold = mp.trim_threshold;
	mw_send(c, &event);
}

static __always_inline void on_brk(struct mw_vm_counts *vm, struct mw_proc *proc, __u64 ret)
{
	MW_ADD(vm->brk_calls, 1);
	if (proc->brk && ret > proc->brk)
		MW_ADD(vm->brk_grown, ret - proc->brk);
	else if (proc->brk && ret < proc->brk)
		MW_ADD(vm->brk_shrunk, proc->brk - ret);
}

static __always_inline void on_mremap(struct mw_vm_counts *vm, __u64 old, __u64 new, bool failed)
{
	MW_ADD(vm->mremap_calls, 1);
	if (failed)
		return;
	if (new > old)
		MW_ADD(vm->mremap_grown, new - old);
	else
		MW_ADD(vm->mremap_shrunk, old - new);
}

static __always_inline void on_madvise(struct mw_vm_counts *vm, __u64 len, __u64 advice,
				       bool failed)
{
	MW_ADD(vm->madvise_calls, 1);
	if (!failed && (advice == ADV_DONTNEED || advice == ADV_FREE || advice == ADV_REMOVE ||
			advice == ADV_PAGEOUT || advice == ADV_DONTNEED_LOCKED))
		MW_ADD(vm->madvise_freed, len);
}

/* Count BYTES more under the site of the system call that asked for them: its id, or 0. */
static __always_inline __u64 grow(struct mw_regs *regs, struct mw_proc *proc, __u32 kind,
				  __u64 bytes, __u32 weight)
{
	__u64 id = mw_site_take(MW_REG_IP(regs), MW_REG_SP(regs), MW_REG_FP(regs),
				MW_TAKE(proc->slot, kind));
	struct mw_site_counts *s = bpf_map_lookup_elem(&sites, &id);

	if (!s)
		return 0;
	MW_ADD(s->samples, 1);
	MW_ADD(s->grown_calls, weight);
	MW_ADD(s->grown_bytes, weight * bytes);
	return id;
}

static __always_inline void grow_mapping(struct mw_regs *regs, struct mw_counts *c,
					 struct mw_proc *proc, __u64 addr, __u64 bytes)
{
	struct mw_region_site region = {.size = bytes, .weight = mw_growth_weight(proc)};
	__u64 key = mw_block_key(proc->space, addr);

	if (!region.weight)
		return;
	region.site = grow(regs, proc, MW_KIND_MMAP, bytes, region.weight);
	if (!region.site)
		return;
	proc->last_mapping = addr;
	if (bpf_map_update_elem(&regions, &key, &region, BPF_ANY))
		MW_ADD(c->lost[MW_LOST_MAP], 1);
}

static __always_inline void grow_brk(struct mw_regs *regs, struct mw_proc *proc, __u64 bytes)
{
	__u32 weight = mw_growth_weight(proc);

	if (weight)
		grow(regs, proc, MW_KIND_BRK, bytes, weight);
}

static __always_inline void give_back(const struct mw_region_site *region, __u64 bytes)
{
	__u64 site = region->site;
	struct mw_site_counts *s = bpf_map_lookup_elem(&sites, &site);

	if (s)
		MW_ADD(s->returned_bytes, region->weight * bytes);
}

/*
 * The end of the latest mapping: allocators that want it aligned ask for more and cut both edges
 * off. Ends of older ones are not looked for.
 */
static __always_inline void shrink_end(struct mw_proc *proc, __u64 addr, __u64 bytes)
{
	__u64 start = proc->last_mapping, key = mw_block_key(proc->space, start);
	struct mw_region_site *region;

	if (!start || addr <= start)
		return;
	region = bpf_map_lookup_elem(&regions, &key);
	if (!region || addr >= start + region->size || addr + bytes < start + region->size)
		return;
	give_back(region, start + region->size - addr);
	region->size = addr - start;
}

/* What a mapping brought goes back, as far as it began here. */
static __always_inline void shrink_mapping(struct mw_proc *proc, __u64 addr, __u64 bytes)
{
	__u64 key = mw_block_key(proc->space, addr);
	struct mw_region_site *region = bpf_map_lookup_elem(&regions, &key);
	struct mw_region_site rest;

	if (!region) {
		shrink_end(proc, addr, bytes);
		return;
	}
	rest = *region;
	bpf_map_delete_elem(&regions, &key);
	if (bytes < rest.size) {
		rest.size -= bytes;
		key = mw_block_key(proc->space, addr + bytes);
		bpf_map_update_elem(&regions, &key, &rest, BPF_ANY);
		if (proc->last_mapping == addr)
			proc->last_mapping = addr + bytes;
	} else {
		bytes = rest.size;
	}
	give_back(&rest, bytes);
}

enum { MAP_SHARED_ = 1, MAP_FIXED_ = 16 };

static __always_inline void take_growth(struct mw_regs *regs, struct mw_counts *c,
					struct mw_proc *proc, __u64 nr, __u64 ret)
{
	switch (nr) {
	case NR_BRK:
		if (proc->brk && ret > proc->brk)
			grow_brk(regs, proc, ret - proc->brk);
		break;
	case NR_MMAP:
		/* In place of what was there: of address space that was only reserved. */
		if (MW_REG_SYSCALL_ARG4(regs) & MAP_FIXED_)
			shrink_mapping(proc, ret, pages(MW_REG_ARG2(regs)));
		/* Private and without a file: what allocators ask for. */
		if ((__s32)MW_REG_SYSCALL_ARG5(regs) < 0 &&
		    !(MW_REG_SYSCALL_ARG4(regs) & MAP_SHARED_))
			grow_mapping(regs, c, proc, ret, pages(MW_REG_ARG2(regs)));
		break;
	case NR_MUNMAP:
		shrink_mapping(proc, MW_REG_ARG1(regs), pages(MW_REG_ARG2(regs)));
		break;
	case NR_MREMAP:
		shrink_mapping(proc, MW_REG_ARG1(regs), pages(MW_REG_ARG2(regs)));
		grow_mapping(regs, c, proc, ret, pages(MW_REG_ARG3(regs)));
		break;
	}
}

/* A page that is touched for the first time, or came back: one of mw_fault_period is counted. */
SEC("raw_tp/page_fault_user")
int vm_fault(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *fault_regs = (void *)ctx->args[1];
	struct mw_site_counts *s;
	struct mw_regs regs;
	struct mw_proc *proc;
	__u32 weight, tgid;
	struct mw_counts *c;
	__u64 site, began;

	/* Drawn first: the faults of all processes come here. */
	if (!mw_active || ctx->args[2] & MW_FAULT_PRESENT || !mw_fault_period ||
	    (__u64)bpf_get_prandom_u32() * mw_fault_period >> 32)
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	c = proc ? mw_counts_of(proc->slot) : NULL;
	if (!c)
		return 0;
	began = bpf_ktime_get_ns();
	MW_ADD(c->page_faults, mw_fault_period);
	weight = mw_fault_weight(proc);
	if (!weight || read_regs(&regs, fault_regs))
		return 0;
	site = mw_site_take(MW_REG_IP(&regs), MW_REG_SP(&regs), MW_REG_FP(&regs),
			    MW_TAKE(proc->slot, MW_KIND_FAULT));
	s = bpf_map_lookup_elem(&sites, &site);
	if (s) {
		MW_ADD(s->samples, 1);
		MW_ADD(s->faults, weight * mw_fault_period);
	}
	mw_took(c, began);
	return 0;
}

static __noinline void send_module(struct mw_counts *c, __u32 tgid)
{
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_MODULE, .tgid = tgid};

	event.time = bpf_ktime_get_ns();
	mw_send(c, &event);
}

static __always_inline bool is_about_memory(__u64 nr)
{
	return nr == NR_MMAP || nr == NR_MUNMAP || nr == NR_BRK || nr == NR_MREMAP ||
	       nr == NR_MADVISE;
}

static __always_inline int on_syscall(const struct pt_regs *kernel_regs, __u64 nr, __u64 ret)
{
	bool failed = ret > -4096ULL;
	struct mw_counts *c;
	struct mw_proc *proc;
	struct mw_regs regs;
	__u32 tgid;
	__u64 began;

	tgid = bpf_get_current_pid_tgid() >> 32;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc)
		return 0;
	began = bpf_ktime_get_ns();
	c = mw_counts_of(proc->slot);
	if (!c || read_regs(&regs, kernel_regs))
		return 0;
	if (mw_active) {
		switch (nr) {
		case NR_BRK:
			on_brk(&c->vm, proc, ret);
			break;
		case NR_MMAP:
			MW_ADD(c->vm.mmap.count, 1);
			if (!failed)
				MW_ADD(c->vm.mmap.bytes, pages(MW_REG_ARG2(&regs)));
			break;
		case NR_MUNMAP:
			MW_ADD(c->vm.munmap.count, 1);
			if (!failed)
				MW_ADD(c->vm.munmap.bytes, pages(MW_REG_ARG2(&regs)));
			check_threshold(c, proc, tgid, pages(MW_REG_ARG2(&regs)));
			break;
		case NR_MREMAP:
			on_mremap(&c->vm, pages(MW_REG_ARG2(&regs)), pages(MW_REG_ARG3(&regs)),
				  failed);
			break;
		case NR_MADVISE:
			on_madvise(&c->vm, pages(MW_REG_ARG2(&regs)), MW_REG_ARG3(&regs), failed);
			break;
		}
		if (nr == NR_MMAP && !failed && (MW_REG_ARG3(&regs) & PROT_EXEC) &&
		    (__s32)MW_REG_SYSCALL_ARG5(&regs) >= 0)
			send_module(c, tgid);
		if (failed && nr != NR_BRK)
			MW_ADD(c->vm.failed, 1);
		else if (mw_sites_mode != MW_SITES_NONE)
			take_growth(&regs, c, proc, nr, ret);
	}
	/* Also before the watch begins, so that it begins with the right value. */
	if (nr == NR_BRK)
		proc->brk = ret;
	mw_took(c, began);
	return 0;
}

static __noinline void count_syscall(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mw_proc *proc = bpf_map_lookup_elem(&procs, &tgid);
	struct mw_counts *c = proc ? mw_counts_of(proc->slot) : NULL;

	if (c)
		MW_ADD(c->syscalls, 1);
}

/* The kernel knows what its argument is and lets it be read, without a call for each system call.
 */
SEC("tp_btf/sys_exit")
int vm_syscall(__u64 *ctx)
{
	const struct pt_regs *kernel_regs = (void *)ctx[0];
	__u64 nr = MW_REG_SYSCALL(kernel_regs);

	if (mw_syscalls_counted)
		count_syscall();
	return is_about_memory(nr) ? on_syscall(kernel_regs, nr, ctx[1]) : 0;
}

/* The same where the kernel has no BTF. */
SEC("raw_tp/sys_exit")
int vm_syscall_raw(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *kernel_regs = (void *)ctx->args[0];
	__u64 nr = 0;

	if (mw_syscalls_counted)
		count_syscall();
	bpf_probe_read_kernel(&nr, sizeof(nr), &MW_REG_SYSCALL(kernel_regs));
	return is_about_memory(nr) ? on_syscall(kernel_regs, nr, ctx->args[1]) : 0;
}

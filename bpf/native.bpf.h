/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Native frames. Libraries are built without frame pointers, so callers are found by the rows that
 * userspace made of each file's .eh_frame (symbol/unwind.h); where there is no row (code made at
 * run time) by frame pointers. Also compiled as ordinary code by the unit tests.
 */
#ifndef MW_NATIVE_BPF_H
#define MW_NATIVE_BPF_H

#include "bpf/arch.bpf.h"
#include "bpf/walker.bpf.h"

enum { MAP_STEPS = 15, ROW_STEPS = 21 }; /* log2 of the tables' sizes, and one */

/*
 * The row for the code at ADDR of a process that has MAPS (first << 32 | count) of executable
 * memory, as a number: 0 when there is none. A global function: verified once, on its own.
 */
__noinline __u64 mw_unwind_row(__u64 addr, __u64 maps)
{
	__u32 low = maps >> 32, high = low + (__u32)maps, pc;
	struct mw_unwind_map *map;
	union {
		struct mw_unwind_row row;
		__u64 number;
	} found = {.number = 0};

	/* The last map that starts at or below ADDR. */
	for (int i = 0; i < MAP_STEPS && low < high; i++) {
		__u32 middle = low + (high - low) / 2;

		map = bpf_map_lookup_elem(&unwind_maps, &middle);
		if (!map)
			return 0;
		if (map->start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low <= (__u32)(maps >> 32))
		return 0;
	low--;
	map = bpf_map_lookup_elem(&unwind_maps, &low);
	if (!map || addr >= map->end || addr - map->base > 0xffffffff)
		return 0;
	pc = addr - map->base;
	low = map->first_row;
	high = low + map->row_count;
	for (int i = 0; i < ROW_STEPS && low < high; i++) {
		__u32 middle = low + (high - low) / 2;
		struct mw_unwind_row *row = bpf_map_lookup_elem(&unwind_rows, &middle);

		if (!row)
			return 0;
		if (row->pc <= pc) {
			found.row = *row;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return found.number;
}

static __always_inline bool read_word(__u64 addr, __u64 *value)
{
	return !bpf_probe_read_user(value, sizeof(*value), (void *)addr);
}

/* Without a row: code that keeps a frame pointer. */
static __always_inline bool step_by_frame_pointer(struct mw_registers *r)
{
	__u64 pair[2];

	if (r->bp < r->sp || r->bp - r->sp > 1 << 20 || r->bp & 7 ||
	    bpf_probe_read_user(pair, sizeof(pair), (void *)r->bp) || !pair[1])
		return false;
	r->sp = r->bp + 16;
	r->bp = pair[0];
	r->ip = pair[1];
	return true;
}

static __always_inline bool step_by_signal(struct mw_registers *r)
{
	__u64 sp = r->sp;

	return read_word(sp + MW_UCONTEXT_FP, &r->bp) && read_word(sp + MW_UCONTEXT_SP, &r->sp) &&
	       read_word(sp + MW_UCONTEXT_IP, &r->ip);
}

/* From a function to its caller by ROW. False: no caller; CUT: because none could be found. */
static __always_inline bool step_by_row(struct mw_registers *r, struct mw_unwind_row row, bool *cut)
{
	__u64 cfa, ip, bp = r->bp;
	__s64 offset = (__s64)row.cfa_offset * 8;

	*cut = true;
	switch (row.rule) {
	case MW_CFA_END:
		*cut = false;
		return false;
	case MW_CFA_SP:
		cfa = r->sp + offset;
		break;
	case MW_CFA_FP:
		cfa = r->bp + offset;
		break;
	case MW_CFA_DEREF:
		if (!read_word(r->bp + offset, &cfa))
			return false;
		break;
	case MW_CFA_PLT:
		cfa = r->sp + 8 + (r->ip % MW_PLT_ENTRY >= MW_PLT_PUSHED ? 8 : 0);
		break;
	case MW_CFA_SIGNAL:
		return step_by_signal(r);
	default:
		return step_by_frame_pointer(r);
	}
	/* A stack only gets shorter on the way out. */
	if (cfa <= r->sp || !read_word(cfa - 8, &ip))
		return false;
	if (row.fp == 255) {
		if (!read_word(r->bp, &bp))
			return false;
	} else if (row.fp && !read_word(cfa - 8 * (__u64)row.fp, &bp)) {
		return false;
	}
	r->bp = bp;
	r->sp = cfa;
	r->ip = ip;
	*cut = !ip ? false : true;
	return ip != 0;
}

/*
 * Write the frame of the walker's registers into its stack as the N-th and go on to its caller. 0:
 * that was the last frame. Else whether the caller's ip is a return address, which stands for the
 * call before it.
 */
enum { NATIVE_END, NATIVE_RETURN, NATIVE_EXACT };

__noinline __u32 mw_native_step(__u32 n, __u64 maps, __u32 how)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	union {
		__u64 number;
		struct mw_unwind_row row;
	} found;
	bool cut = false;
	__u64 pc;

	if (!w || n >= MW_NATIVE_FRAMES)
		return NATIVE_END;
	pc = w->registers.ip - (how == NATIVE_RETURN);
	*mw_element(w->stack.native, n) = pc;
	w->stack.native_count = n + 1;
	found.number = mw_unwind_row(pc, maps);
	if (step_by_row(&w->registers, found.row, &cut))
		return found.row.rule == MW_CFA_SIGNAL ? NATIVE_EXACT : NATIVE_RETURN;
	if (cut)
		w->stack.flags |= MW_STACK_NATIVE_CUT;
	return NATIVE_END;
}

/* The native frames from the walker's registers on into its stack. */
static __always_inline void mw_walk_native(struct mw_walker *w, __u64 maps, bool is_return)
{
	__u32 how = is_return ? NATIVE_RETURN : NATIVE_EXACT;

	for (__u32 n = 0; n < MW_NATIVE_FRAMES && how; n++)
		how = mw_native_step(n, maps, how);
	if (how)
		w->stack.flags |= MW_STACK_TRUNCATED;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps and settings that the programs share; how they count and send events. */
#ifndef MW_STATE_BPF_H
#define MW_STATE_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/arch.bpf.h"
#include "bpf/memwhere.h"

/* Set before loading. The defaults let the object load on its own. */
extern const volatile __u64 mw_min_size, mw_max_size;
extern const volatile __u8 mw_with_children;
extern const volatile __u32 mw_set_count;	    /* in block_sets; a power of two */
extern const volatile __u32 mw_sites_mode;	    /* enum mw_sites_mode */
extern const volatile __u32 mw_weights[MW_WEIGHTS]; /* f(x), see memwhere.h */
extern const volatile __u32 mw_fault_period;	    /* faults between two samples; 0: none */
extern const volatile __u32 mw_fsbase_offset;	    /* in struct task_struct; 0: not known */

/* Nothing is counted while this is 0: a watch begins and ends for all probes at once. */
extern volatile __u32 mw_active;

extern volatile struct mw_layer_state mw_layers[MW_LAYERS];

/* Are all system calls of the targets counted? For a moment now and then, to know how many come. */
extern volatile __u32 mw_syscalls_counted;

/* When the present interval of the report began, CLOCK_MONOTONIC ns. */
extern volatile __u64 mw_interval_began;

/* Has the outstanding map had any block? Until then it needs no look-up. */
extern volatile __u32 mw_outstanding_used;

/* Number of the next followed child's address space. */
extern __u32 mw_next_space;

/* A thread's call that has begun and not returned, and what the next call needs of it. */
struct mw_call {
	__u64 sp;   /* at the entry of the outermost function; valid while func is set */
	__u64 size; /* requested */
	__u64 arg;  /* posix_memalign: where the result goes; realloc: the old block */
	__u64 ret;  /* sizes mode: return address of the last call counted */
	struct mw_alloc_record
		old;	       /* realloc: what the map knew of the old block; time 0: nothing */
	__u64 result;	       /* of the last call that returned */
	__u64 freed, freed_sp; /* the last free, to recognise a nested one by */
	__u64 site;	       /* where the open call was made, 0: no stack was taken */
	__s64 until;	       /* bytes until the next sample; 0: not drawn yet */
	__u32 func;
	__u32 counted;		  /* began while counting, and its size is asked for */
	__u32 window;		  /* in which it began */
	__u32 hits;		  /* of this thread; every MW_HITS_STEP they are added to the sum */
	__u32 slot, space, flags; /* of the open call: where to count, MW_COOKIE_… */
	__u32 place;		  /* of the blocks of ... */
	__u64 stretch;		  /* ... this stretch of addresses, see alloc.bpf.c */
	__u32 in_watch;		  /* it began while counting */
	__u32 tid; /* whose record it is; 0: nobody's. The last that is cleared at its end */
};

struct mw_counts_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MW_SLOTS);
	__type(key, __u32);
	__type(value, struct mw_counts);
};
extern struct mw_counts_map counts SEC(".maps");

struct mw_procs_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MW_PROCS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct mw_proc);
};
extern struct mw_procs_map procs SEC(".maps");

/* The threads' records: in the place that its number says, or where that is another's, in a table.
 */
enum { MW_CALLS = 4096 };
struct mw_calls_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_CALLS);
	__type(key, __u32);
	__type(value, struct mw_call);
};
extern struct mw_calls_map calls SEC(".maps");

struct mw_more_calls_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct mw_call);
};
extern struct mw_more_calls_map more_calls SEC(".maps");

struct mw_outstanding_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct mw_alloc_record);
};
extern struct mw_outstanding_map outstanding SEC(".maps");	 /* of malloc's layer */
extern struct mw_outstanding_map outstanding_small SEC(".maps"); /* of Python's */

struct mw_block_sets_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_SETS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct mw_block_set);
};
extern struct mw_block_sets_map block_sets SEC(".maps");

struct mw_unwind_maps_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_UNWIND_MAPS);
	__type(key, __u32);
	__type(value, struct mw_unwind_map);
};
extern struct mw_unwind_maps_map unwind_maps SEC(".maps");

struct mw_unwind_rows_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_UNWIND_ROWS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct mw_unwind_row);
};
extern struct mw_unwind_rows_map unwind_rows SEC(".maps");

struct mw_pythons_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_PYTHONS);
	__type(key, __u32);
	__type(value, struct mw_py_walk);
};
extern struct mw_pythons_map pythons SEC(".maps");

struct mw_sites_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MW_SITES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct mw_site_counts);
};
extern struct mw_sites_map sites SEC(".maps");

/* Mappings by where they begin; keys as in the outstanding map. */
struct mw_regions_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MW_REGIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct mw_region_site);
};
extern struct mw_regions_map regions SEC(".maps");

struct mw_stacks_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
};
extern struct mw_stacks_map stacks SEC(".maps");

struct mw_events_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
};
extern struct mw_events_map events SEC(".maps");

/*
 * Counters are per CPU, but a program of another task may preempt this one between the load and
 * the store of a plain "+=": the atomic form, on a line that no other CPU writes, costs about
 * 5 ns and loses nothing.
 */
#define MW_ADD(field, n) __sync_fetch_and_add(&(field), (n))

/*
 * A pointer to element INDEX of ARRAY, which lies in the value of a map; to the first element when
 * INDEX is too large. Every variable index goes through it.
 *
 * The verifier must see the bound in the register that is added to the pointer, and a bound written
 * in C does not always arrive there: clang tests a copy in another register, or drops a test that
 * it can prove (clang 21 knows that log2_of() is below 64), and verifiers before Linux 6.3 forget
 * the bound of a scalar that was spilled. So test, multiplication and sum are one statement of
 * assembly; the pointer that leaves it keeps its bounds wherever it goes.
 */
#define mw_element(array, index)                                                                   \
	({                                                                                         \
		typeof(&(array)[0]) element_ = (array);                                            \
		__u64 offset_ = (index);                                                           \
		asm volatile(                                                                      \
			"if %[offset] < %[count] goto +1\n\t"                                      \
			"%[offset] = 0\n\t"                                                        \
			"%[offset] *= %[size]\n\t"                                                 \
			"%[element] += %[offset]"                                                  \
			: [element] "+r"(element_), [offset] "+r"(offset_)                         \
			: [count] "i"(sizeof(array) / sizeof((array)[0])), [size] "i"(sizeof(      \
										   (array)[0])));  \
		element_;                                                                          \
	})

static __always_inline void mw_add_cell(struct mw_cell *cell, __u64 bytes)
{
	MW_ADD(cell->count, 1);
	MW_ADD(cell->bytes, bytes);
}

static __always_inline struct mw_counts *mw_counts_of(__u32 slot)
{
	return bpf_map_lookup_elem(&counts, &slot);
}

/* A program that is there all the time has run since BEGAN for the target of C. */
static __always_inline void mw_took(struct mw_counts *c, __u64 began)
{
	if (c)
		MW_ADD(c->standing_ns, bpf_ktime_get_ns() - began);
}

static __always_inline struct mw_call *mw_find_call(__u32 tid)
{
	__u32 index = tid % MW_CALLS;
	struct mw_call *call = bpf_map_lookup_elem(&calls, &index);

	return call && call->tid == tid ? call : bpf_map_lookup_elem(&more_calls, &tid);
}

static __always_inline void mw_send(struct mw_counts *c, const struct mw_bpf_event *event)
{
	if (bpf_ringbuf_output(&events, (void *)event, sizeof(*event), 0) && c)
		MW_ADD(c->lost[MW_LOST_RING], 1);
}

#endif

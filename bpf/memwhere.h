/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the BPF programs and userspace share: size classes, counters, events, the cookie of a
 * probe. Sizes are bytes, times are nanoseconds of CLOCK_MONOTONIC, unless a name says otherwise.
 */
#ifndef MEMWHERE_H
#define MEMWHERE_H

#ifdef __bpf__
#include <linux/types.h>
typedef __s8 int8_t;
typedef __u8 uint8_t;
typedef __s16 int16_t;
typedef __u16 uint16_t;
typedef __s32 int32_t;
typedef __s64 int64_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#else
#include <stdint.h>
#endif

/* ---- size classes -------------------------------------------------------------------------- */

/*
 * Class 0 holds requests of 0 bytes; 1 to 64 are 16 bytes wide each, up to 1 KiB (1-16, 17-32, …,
 * 1009-1024); above, each class doubles: 1025-2048, 2049-4096, …
 */
enum {
	MW_CLASS_WIDTH = 16,
	MW_CLASS_FINE = 64,				    /* the last of the 16-byte classes */
	MW_CLASS_FINE_MAX = MW_CLASS_FINE * MW_CLASS_WIDTH, /* 1 KiB */
	MW_CLASSES = MW_CLASS_FINE + 1 + 54,		    /* up to 2^64 - 1 */
};

/* floor(log2(n)), 0 for n < 2; without a loop or a table, for the verifier's sake. */
static inline __attribute__((always_inline)) uint32_t mw_log2(uint64_t n)
{
	uint32_t bits = 0;

	if (n >> 32) {
		n >>= 32;
		bits += 32;
	}
	if (n >> 16) {
		n >>= 16;
		bits += 16;
	}
	if (n >> 8) {
		n >>= 8;
		bits += 8;
	}
	if (n >> 4) {
		n >>= 4;
		bits += 4;
	}
	if (n >> 2) {
		n >>= 2;
		bits += 2;
	}
	return bits + (n >> 1 ? 1 : 0);
}

static inline __attribute__((always_inline)) uint32_t mw_size_class(uint64_t size)
{
	if (size <= MW_CLASS_FINE_MAX)
		return (uint32_t)((size + MW_CLASS_WIDTH - 1) / MW_CLASS_WIDTH);
	return MW_CLASS_FINE - 9 + mw_log2(size - 1);
}

/* ---- what is counted ----------------------------------------------------------------------- */

/* The allocator's functions. Those from MW_FUNC_FREE on give memory back. */
enum mw_func {
	MW_FUNC_NONE,
	MW_FUNC_MALLOC,
	MW_FUNC_CALLOC,
	MW_FUNC_REALLOC,
	MW_FUNC_REALLOCARRAY,
	MW_FUNC_POSIX_MEMALIGN,
	MW_FUNC_ALIGNED_ALLOC,
	MW_FUNC_MEMALIGN,
	MW_FUNC_VALLOC,
	MW_FUNC_PVALLOC,
	MW_FUNC_NEW, /* operator new and new[], every overload with the size first */
	MW_FUNC_FREE,
	MW_FUNC_CFREE,
	MW_FUNC_FREE_SIZED,
	MW_FUNC_FREE_ALIGNED_SIZED,
	MW_FUNC_DELETE, /* operator delete and delete[], every overload */
	MW_FUNCS,
};

/* Where a block came from, as its chunk header says. */
enum mw_place {
	MW_PLACE_BRK,	 /* glibc: main arena, the brk heap */
	MW_PLACE_THREAD, /* glibc: a thread arena */
	MW_PLACE_MMAP,	 /* glibc: a mapping for this block alone */
	MW_PLACE_OTHER,	 /* another allocator, whose blocks carry no such mark, or not known */
	MW_PLACE_PYTHON, /* a pool of Python's own allocator, in what the C library never sees */
	MW_PLACES,
};

/* Why something is missing from the numbers. */
enum mw_lost {
	MW_LOST_RING,	     /* event ring full: a fork, exec, exit or threshold event */
	MW_LOST_MAP,	     /* map of blocks or mappings full: its free can't be recognised */
	MW_LOST_THREADS,     /* thread map full: the call was not counted */
	MW_LOST_UNMATCHED,   /* return without its entry: the call was not counted */
	MW_LOST_NO_RETURN,   /* entry whose return never came: the call was not counted */
	MW_LOST_HEADER,	     /* result or chunk header unreadable: counted as placed elsewhere */
	MW_LOST_MISSED_FREE, /* an address came again without a free in between */
	MW_LOST_LATE,	     /* a program or library may have run before its allocator was probed */
	MW_LOST_RECURSION,   /* the kernel skipped a program that would have interrupted itself */
	MW_LOST_SITES,	     /* table of sites full: counted, but under no site */
	MW_LOST_STACKS,	     /* stack ring full: counted, but under no site */
	MW_LOSTS,
};

/* Probes that programs were built with. */
enum mw_sdt_probe {
	MW_SDT_ALLOC,	   /* otel_memory:alloc */
	MW_SDT_FREE,	   /* otel_memory:free */
	MW_SDT_HEAP_NEW,   /* libc:memory_heap_new */
	MW_SDT_ARENA_NEW,  /* libc:memory_arena_new */
	MW_SDT_SBRK_MORE,  /* libc:memory_sbrk_more */
	MW_SDT_THRESHOLDS, /* libc:memory_mallopt_free_dyn_thresholds */
	MW_SDTS,
};

struct mw_cell {
	uint64_t count, bytes;
};

/* What the kernel was asked for. "calls" count every call, failed ones too. */
struct mw_vm_counts {
	uint64_t brk_calls, brk_grown, brk_shrunk; /* bytes */
	struct mw_cell mmap, munmap;		   /* bytes: those that succeeded, whole pages */
	uint64_t mremap_calls, mremap_grown, mremap_shrunk;
	uint64_t madvise_calls, madvise_freed; /* bytes of MADV_DONTNEED, _FREE, _REMOVE, _COLD */
	uint64_t failed;		       /* calls of those five that returned an error */
};

/*
 * One CPU's counters of one target; all only ever grow.
 *
 * The order of the members has a meaning: userspace adds, subtracts and estimates them as an array
 * of 64-bit words. `alloc` is first (mw_alloc_word()); what the allocator's probes count comes
 * before `vm` (MW_PROBE_WORDS) and is estimated where probes are in for windows only; `vm` and what
 * follows is always exact.
 */
struct mw_counts {
	struct mw_cell alloc[MW_PLACES]
			    [MW_CLASSES]; /* successful requests, by the size asked for */
	struct mw_cell freed[MW_CLASSES]; /* blocks whose allocation and free were seen */
	struct mw_cell unkept;		  /* blocks for which the tables had no room */
	uint64_t lifetime[64];		  /* of those freed; class i: 2^i to 2^(i+1) - 1 ns */
	uint64_t calls[MW_FUNCS];	  /* outermost calls; NULL frees and failures apart */
	uint64_t failed;		  /* calls that returned no memory */
	uint64_t free_null;		  /* free(NULL) */
	uint64_t free_unknown;	/* frees of blocks that are older than the watch (or were lost) */
	uint64_t free_internal; /* by glibc itself: a thread's cache, when the thread ends */
	uint64_t freed_by_realloc; /* of `freed`: by a realloc */
	uint64_t python_frees;	   /* of blocks of MW_PLACE_PYTHON, seen allocated or not */
	struct mw_vm_counts vm;
	struct mw_cell sdt[MW_SDTS]; /* hits, and bytes by their arguments */
	/*
	 * Of the programs that are there all the time: how long they ran for the target (ns), at
	 * the calls that `vm` counts, at page faults whose stack was taken, at the end of threads
	 * and where a watched length changed; page faults, by those of which a stack might be
	 * taken; changes of lengths; system calls of any kind, while they are counted.
	 */
	uint64_t standing_ns, page_faults, length_hits, syscalls;
	uint64_t lost[MW_LOSTS];
};

enum {
	MW_COUNT_WORDS = sizeof(struct mw_counts) / sizeof(uint64_t),
	MW_PROBE_WORDS = __builtin_offsetof(struct mw_counts, vm) / sizeof(uint64_t),
	MW_ALLOC_WORDS = 2 * MW_PLACES * MW_CLASSES,
};

/* The word of alloc[PLACE][CLASS].count; its bytes are the next one. */
static inline __attribute__((always_inline)) uint32_t mw_alloc_word(uint32_t place, uint32_t class)
{
	return 2 * (place * MW_CLASSES + class);
}

_Static_assert(sizeof(struct mw_cell) == 2 * sizeof(uint64_t), "a cell is two words");
_Static_assert(sizeof(struct mw_counts) == sizeof(uint64_t) * MW_COUNT_WORDS, "words only");
_Static_assert(__builtin_offsetof(struct mw_counts, alloc) == 0 &&
		       sizeof(((struct mw_counts *)0)->alloc) == sizeof(uint64_t) * MW_ALLOC_WORDS,
	       "alloc is the first MW_ALLOC_WORDS");
_Static_assert(__builtin_offsetof(struct mw_counts, python_frees) + sizeof(uint64_t) ==
		       __builtin_offsetof(struct mw_counts, vm),
	       "python_frees is the last of what the allocator's probes count");

/* ---- stacks ---------------------------------------------------------------------------------- */

/*
 * How to get from a frame to its caller's, by .eh_frame: what the stack pointer was before the
 * call. SP and FP are the stack and the frame pointer, OFFSET counts words of 8 bytes.
 */
enum mw_cfa_rule {
	MW_CFA_NONE,   /* not known, or an expression that is none of those below */
	MW_CFA_END,    /* the outermost frame: .eh_frame says that there is no caller */
	MW_CFA_SP,     /* SP + OFFSET */
	MW_CFA_FP,     /* FP + OFFSET */
	MW_CFA_DEREF,  /* the word at FP + OFFSET (gcc: functions that realign their stack) */
	MW_CFA_PLT,    /* SP + 8, and 8 more once the PLT entry has pushed (bpf/arch.bpf.h) */
	MW_CFA_SIGNAL, /* the kernel's signal frame: registers are in a ucontext at SP */
};

/* Code from PC on, up to the next row. The return address is always at CFA - 8. */
struct mw_unwind_row {
	uint32_t pc;	    /* bytes from the module's lowest address, rounded down to a page */
	int16_t cfa_offset; /* OFFSET */
	uint8_t rule;	    /* enum mw_cfa_rule */
	uint8_t fp;	    /* caller's FP: 0: as it is; 255: the word at FP; n: at CFA - 8 * n */
};

/* Executable memory of a process, and where the rows of its file are in the table of rows. */
struct mw_unwind_map {
	uint64_t start, end; /* addresses */
	uint64_t base;	     /* address that the rows' pc counts from */
	uint32_t first_row, row_count;
};

enum {
	MW_PY_FRAMES = 128,
	MW_PY_TASKS = 8, /* asyncio tasks beyond the one that runs, each awaiting the one before */
	MW_PY_AWAITS = 32, /* coroutines of such a task, each awaited by the one before */
	MW_NATIVE_FRAMES = 64,
	MW_UNWIND_MAPS = 16384,
	MW_UNWIND_ROWS = 1 << 20,
	MW_PYTHONS = 256, /* interpreters, one per watched process; number 0 is none */
	MW_SITES = 65536,
	MW_REGIONS = 65536, /* mappings that are remembered until their munmap */
	MW_OWNERS_ON_C_STACK =
		3, /* pycore_frame.h: from this owner on a frame belongs to no Python function */
};

/*
 * Where a process's Python keeps its threads and frames: offsets in bytes, from the table of
 * layouts (userspace/python/layout_fields.h has their names), MW_PY_NONE for what a version lacks.
 */
#define MW_PY_NONE 0xffff
struct mw_py_walk {
	uint64_t interp_head; /* address of the pointer to the first interpreter */
	uint64_t current;     /* address of the pointer to the thread that holds the GIL; 0: none */
	uint64_t code_type;   /* address of PyCode_Type; 0: not known */
	uint64_t coro_type, gen_type;	/* of PyCoro_Type and PyGen_Type; 0: not known */
	uint64_t agen_type, asend_type; /* of PyAsyncGen_Type and what stands for its next value */
	uint32_t version;		/* MW_PY_VERSION */
	uint16_t interp_next, interp_threads;
	uint16_t tstate_next, tstate_interp, tstate_thread_id, tstate_frame, tstate_status;
	uint16_t cframe_frame; /* in what tstate_frame points to; MW_PY_NONE: that is the frame
				  itself */
	uint16_t frame_previous, frame_code, frame_instr, frame_owner, frame_is_entry;
	uint16_t frame_size, code_size; /* bytes of them that are read */
	uint16_t ob_type, co_first_line, co_name, co_table, co_code, name_hash;
	uint16_t instr_is_index; /* to 3.10: not a pointer but a count; bytes each */
	/* Tasks and who awaits them, from 3.14 on; without the first none of it is read. */
	uint16_t tstate_task, task_coro, task_is_task, task_awaited_by, task_awaited_by_is_set;
	uint16_t set_used, set_mask, set_table;
	uint16_t gen_state, gen_frame, asend_gen, frame_top;
	uint16_t awaited_below; /* bytes from the top of a frame's stack down to what it awaits */
	int8_t gen_suspended,
		gen_awaiting_last; /* states: this, and from the next on awaiting others */
};

/* One Python frame. */
struct mw_py_frame {
	uint64_t code;	 /* address of the code object */
	uint32_t offset; /* bytes into its bytecode */
	uint32_t check;	 /* mw_py_check() of the code object, with MW_PY_… marks */
};

enum {
	MW_PY_ENTERED = 1, /* the C stack enters Python here */
	MW_PY_AWAITER = 2, /* the innermost of a task that awaits the task of the frames before */
	MW_PY_MARKS = MW_PY_ENTERED | MW_PY_AWAITER,
};

/*
 * Distinguishes a code object from another one that later lives at the same address. Never 0; the
 * marks' bits are left free.
 */
static inline __attribute__((always_inline)) uint32_t mw_py_check(uint64_t name_hash,
								  uint64_t table,
								  uint32_t first_line)
{
	uint64_t x =
		(name_hash ^ table * 0x9e3779b97f4a7c15ULL ^ first_line) * 0xff51afd7ed558ccdULL;

	return ((uint32_t)(x >> 32) & ~(uint32_t)MW_PY_MARKS) | 4;
}

/* Why a stack may be less than the whole; the same bits as MW_SITE_… of userspace/model/sites.h. */
enum {
	MW_STACK_TRUNCATED = 1,
	MW_STACK_PARTIAL = 2,
	MW_STACK_NATIVE_CUT = 8,
};

/* The kind of event at which a stack was taken. */
enum mw_site_kind {
	MW_KIND_ALLOC,
	MW_KIND_BRK,
	MW_KIND_MMAP,
	MW_KIND_FAULT,
	MW_KIND_PYTHON,
	MW_KIND_LENGTH, /* a watched container got longer or shorter */
};

/*
 * Allocators above each other, whose probes go in and out apart: what the C library gives, and
 * Python's small objects, which it never sees.
 */
enum mw_layer { MW_LAYER_MALLOC, MW_LAYER_PYTHON, MW_LAYERS };

/* A sample of a size that is favoured is drawn as if it were so many bits larger. */
enum { MW_FAVOUR_SHIFT = 6 };

static inline __attribute__((always_inline)) uint32_t mw_layer_of(uint32_t kind)
{
	return kind == MW_KIND_PYTHON ? MW_LAYER_PYTHON : MW_LAYER_MALLOC;
}

/* What programs and userspace tell each other about one layer's probes. */
struct mw_layer_state {
	/*
	 * Hits since userspace set this to 0, and how many there may be before it is told (0: any
	 * number). Threads add theirs a few at a time.
	 */
	uint64_t hits, quota;
	uint64_t idle_hits; /* while nothing was counted: they cost as much */
	/*
	 * Under a budget: when the window was opened (CLOCK_MONOTONIC ns; 0: no windows). Counters
	 * ignore blocks older than the window; only their site tracks them.
	 */
	uint64_t tracking_since;
	uint64_t sample_period; /* bytes between two samples, on average */
	/* Classes of sizes that are sampled as if they were larger by MW_FAVOUR_SHIFT bits. */
	uint8_t favoured[MW_CLASSES];
	uint32_t mode;	   /* which probes are in (enum mw_mode) */
	uint32_t counting; /* do they count? */
	uint32_t window;   /* its number */
	uint32_t sampling; /* are stacks taken? Not in windows that don't see frees. */
};

/* A stack on its way to userspace, once for each new site. `python` is cut to its count. */
struct mw_stack {
	uint64_t id;
	uint64_t time;
	uint32_t tgid, slot;
	uint32_t flags, kind;
	uint32_t native_count, python_count;
	uint64_t native[MW_NATIVE_FRAMES];	 /* innermost first: an address in each function */
	struct mw_py_frame python[MW_PY_FRAMES]; /* innermost first */
};

enum { MW_COUNT_SHIFT = 10 }; /* weighted counts are in 1/1024 */

/* What one site has seen; all only ever grow. */
struct mw_site_counts {
	uint32_t slot, kind;
	uint64_t samples;
	uint64_t allocs, frees;		   /* weighted, in 1/1024 */
	uint64_t alloc_bytes, freed_bytes; /* weighted */
	uint64_t resized;		   /* of allocs: a realloc of another block, in 1/1024 */
	uint64_t young_frees,
		young_freed_bytes; /* of these: of blocks made since mw_interval_began */
	uint64_t alloc_variance, freed_variance; /* KiB squared */
	uint64_t temporaries;			 /* weighted, in 1/1024 */
	uint64_t lifetime_us;			 /* of samples freed, weighted */
	uint64_t grown_calls, grown_bytes, returned_bytes;
	uint64_t faults; /* pages, weighted */
};

enum { MW_LENGTHS = 64, MW_LENGTH_CHANGES = 4096, MW_LENGTH_HITS = 32 };

/* A container whose length is watched; where in the map it is, its id says. */
struct mw_length {
	uint64_t id;	  /* never used again */
	uint64_t address; /* of the word that holds the length */
	uint64_t last;	  /* as last seen there */
	uint32_t slot;
	uint32_t round, seen_round; /* userspace begins a round when it lets hits come again */
	uint32_t hits;		    /* of this round; after MW_LENGTH_HITS it is told */
};

/* What the line at SITE did to it. */
struct mw_length_change {
	uint64_t id, site;
	uint64_t samples, added, removed; /* hits; elements */
};

/* f(x) = x / (1 - e^-x), from x = 0 on in steps of 1/64, in units of 2^-20. */
enum { MW_WEIGHT_STEPS = 64, MW_WEIGHT_MAX = 8, MW_WEIGHTS = MW_WEIGHT_STEPS * MW_WEIGHT_MAX + 2 };

enum { MW_LOG2_STEPS = 64 };

/* ---- processes ----------------------------------------------------------------------------- */

/* The numbers of one process. Where userspace runs in the initial PID namespace they are equal. */
struct mw_pid {
	uint32_t tgid;	/* in the initial PID namespace: by it the programs know a process */
	uint32_t pid;	/* in that of userspace */
	uint32_t level; /* of the latter: how many namespaces are around it */
};

/* CPU time of one thread, ns. Clocks of CPUs have an origin of their own. */
struct mw_thread_cpu {
	uint64_t ns;	       /* accounted until SINCE, by the clock of its CPU less BEHIND */
	uint64_t since;	       /* when it was last accounted */
	uint64_t behind;       /* what that CPU spent on interrupts, or the host on others */
	uint64_t ended_ns;     /* of threads of its process that have ended */
	uint64_t sleeps;       /* how often it gave up its CPU by itself */
	uint64_t ended_sleeps; /* and those that have ended */
	uint64_t at;	       /* now, by CLOCK_MONOTONIC */
	uint64_t reader_clock; /* the clock of the reader's CPU, when it was last brought up to date
				*/
	uint32_t tgid;
	uint32_t running;
};

/* ---- maps' keys and values ----------------------------------------------------------------- */

enum {
	MW_SLOTS = 64,	  /* targets named on the command line */
	MW_PROCS = 16384, /* processes watched at the same time, children included */
	MW_RANGES = 20,	  /* code of one allocator's functions */
};

struct mw_range {
	uint64_t start, end;
};

/* How many stacks were taken since a time, to keep within what they may cost. */
struct mw_walk_budget {
	uint64_t since, walks;
};

/* One watched process, by its tgid (struct mw_pid). */
struct mw_proc {
	uint32_t slot;	  /* of the target whose counters it adds to */
	uint32_t space;	  /* number of its address space, part of the outstanding map's key */
	uint64_t brk;	  /* present program break, 0 while unknown */
	uint64_t mp_addr; /* glibc's struct malloc_par in the target, 0 when unknown */
	uint64_t mmap_threshold, trim_threshold; /* as last seen there */
	uint64_t exited_min_flt, exited_maj_flt; /* of threads that have ended */
	uint8_t exited_known;			 /* the two above hold all ended threads */
	uint32_t ranges_count;
	struct mw_range ranges[MW_RANGES]; /* its allocators' code */
	uint32_t python;		   /* index among the interpreters, 0: none */
	uint32_t maps_first, maps_count;   /* its executable memory, for walking stacks */
	struct mw_walk_budget growth, faults;
	uint64_t last_mapping; /* address of the latest one whose site is known */
};

/* A block that is not freed yet. */
struct mw_alloc_record {
	uint64_t size;
	uint64_t time;
	uint64_t site; /* id of where it was asked for, 0: no stack was taken */
};

/* Where most of them are (bpf/blocks.bpf.h). */
enum { MW_SET_BLOCKS = 8, MW_SETS_MAX = 65536 };
struct mw_block_set {
	uint64_t keys[MW_SET_BLOCKS]; /* 0: a free place; MW_BUSY: one that is being filled */
	struct mw_alloc_record blocks[MW_SET_BLOCKS];
};

/* A mapping whose site is known. */
struct mw_region_site {
	uint64_t site, size;
	uint64_t weight; /* how many mappings it stands for */
};

/*
 * A block's key: an address without its low 3 bits (blocks are 8-aligned at least), below 19 bits
 * of the address space's number. User addresses have 47 bits, so 44 remain; the highest is free.
 */
enum { MW_SPACE_SHIFT = 44, MW_SPACES = 1 << 19 };
#define MW_BUSY (1ULL << 63)

static inline __attribute__((always_inline)) uint64_t mw_block_key(uint32_t space, uint64_t addr)
{
	return ((uint64_t)space << MW_SPACE_SHIFT) ^ (addr >> 3);
}

/*
 * In which of COUNT sets a block is; COUNT is a power of two. One has 128 bytes of a heap, so that
 * few are full; heaps of threads all begin at a multiple of 64 MiB, with blocks of the same sizes.
 */
static inline __attribute__((always_inline)) uint32_t mw_set_index(uint64_t key, uint32_t count)
{
	return (uint32_t)(key >> 4 ^ (key >> 23) * 0x9e3779b1) & (count - 1);
}

/*
 * A probe's cookie: which function, how far the stack pointer has moved since the entry, where
 * to count. Kept in the link, so that programs need no look-up. Only with --follow, where one
 * link serves all processes, slot and space come from the process.
 */
#define MW_COOKIE_FUNC(cookie)	((uint32_t)((cookie)&0xff))
#define MW_COOKIE_SHIFT(cookie) ((uint32_t)((cookie) >> 8 & 0xff) * 8) /* bytes */
#define MW_COOKIE_FLAGS(cookie) ((uint32_t)((cookie) >> 16 & 0xff))
#define MW_COOKIE_SLOT(cookie)	((uint32_t)((cookie) >> 24 & 0xff))
#define MW_COOKIE_SPACE(cookie) ((uint32_t)((cookie) >> 32))
enum {
	MW_COOKIE_CHUNKS = 1, /* blocks have glibc's chunk header */
};

static inline uint64_t mw_cookie(uint32_t func, uint32_t shift, uint32_t flags, uint32_t slot,
				 uint32_t space)
{
	return (uint64_t)func | (uint64_t)(shift / 8) << 8 | (uint64_t)flags << 16 |
	       (uint64_t)slot << 24 | (uint64_t)space << 32;
}

/*
 * The same of a probe at a place of pymalloc's (userspace/probe/pymalloc_places.h): in the 24 bits
 * of function, shift and flags is what it is and where pool and block are to be found. Registers
 * are words of struct pt_regs. At the return of the function that takes a new pool, the pool's
 * register is the binary logarithm of a pool's size instead.
 */
#define MW_PYMALLOC_HOW(cookie) ((uint32_t)((cookie)&0xffffff))
#define MW_PYMALLOC_KIND(how)	((how)&3)
#define MW_PYMALLOC_POOL(how)	((how) >> 2 & 31)
#define MW_PYMALLOC_BLOCK(how)	((how) >> 7 & 31)
#define MW_PYMALLOC_OFFSET(how) ((int64_t)((int32_t)((how) << 8) >> 22) * 8) /* bytes */
enum {
	MW_PYMALLOC_HIT_ALLOC,
	MW_PYMALLOC_HIT_FREE,
	MW_PYMALLOC_HIT_NEW_POOL,
	MW_PYMALLOC_IN_MEMORY = 1 << 12, /* the block's address is not in the register but there */
	MW_PYMALLOC_ALIGN_16 = 1 << 13,	 /* sizes go up by 16 bytes, not by 8 */
};

static inline uint64_t mw_pymalloc_cookie(uint32_t kind, uint32_t pool, uint32_t block,
					  uint32_t flags, int32_t offset, uint32_t slot,
					  uint32_t space)
{
	uint32_t how =
		kind | pool << 2 | block << 7 | flags | ((uint32_t)(offset / 8) & 0x3ff) << 14;

	return (uint64_t)how | (uint64_t)slot << 24 | (uint64_t)space << 32;
}

/* ---- events -------------------------------------------------------------------------------- */

enum mw_bpf_event_type {
	MW_BPF_EVENT_FORK = 1,
	MW_BPF_EVENT_EXEC,
	MW_BPF_EVENT_EXIT,
	MW_BPF_EVENT_THRESHOLD,
	MW_BPF_EVENT_QUOTA,  /* hits of probes have used up what they may */
	MW_BPF_EVENT_MODULE, /* code was mapped: dlopen, perhaps of an allocator */
	MW_BPF_EVENT_LENGTH, /* a watched container has had the hits of its round */
};

struct mw_bpf_event {
	uint32_t type;
	uint32_t tgid; /* as of struct mw_pid */
	uint64_t time;
	union {
		struct {
			uint32_t child; /* its tgid */
			uint32_t pid;	/* and its number in userspace's PID namespace */
			uint32_t space;
		} fork;
		struct {
			uint64_t min_flt, maj_flt; /* of the whole process, since its start */
			uint32_t status;	   /* as of wait(2) */
			uint64_t cpu_ns; /* of the process; threads that end now may be missing */
		} exit;
		struct {
			uint64_t mmap_threshold, trim_threshold; /* the new ones */
			uint64_t old_mmap_threshold;
			uint64_t size; /* of the mapping whose free moved it; 0: another's */
		} threshold;
		uint32_t layer;	 /* QUOTA: whose */
		uint64_t length; /* LENGTH: the container's id */
	};
};

/* ---- modes --------------------------------------------------------------------------------- */

enum mw_mode {
	MW_MODE_GROWTH, /* no allocator probe */
	MW_MODE_SIZES,	/* entry probes */
	MW_MODE_EXACT,	/* entry and return probes */
};

/* Of which allocations the stack is taken. */
enum mw_sites_mode {
	MW_SITES_NONE,
	MW_SITES_SAMPLED, /* by byte-Poisson sampling, whole stacks */
	MW_SITES_LEAF,	  /* of all, the innermost frame only */
	MW_SITES_ALL,	  /* of all, whole stacks */
};

#endif

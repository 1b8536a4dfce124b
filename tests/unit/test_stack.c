// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The BPF programs' walks as ordinary code, against memory that is made here: threads and frames as
 * different versions of CPython lay them out, stacks with and without frame pointers, and damage.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

#undef __always_inline
#undef __noinline
#define __always_inline inline
#define __noinline	static

#define mw_element(array, index) (&(array)[index])

/* The target's memory: addresses from BASE on. */
enum { BASE = 0x10000, SIZE = 1 << 16, THREAD = 0x7f00, TYPE = 0x42000 };
static unsigned char memory[SIZE];

static long bpf_probe_read_user(void *dst, __u32 size, const void *src)
{
	uint64_t addr = (uint64_t)(uintptr_t)src;

	if (addr < BASE || addr + size > BASE + SIZE)
		return -14;
	memcpy(dst, memory + (addr - BASE), size);
	return 0;
}

static __u64 bpf_get_current_pid_tgid(void)
{
	return 1;
}

static int unwind_maps, unwind_rows, pythons, walkers;
static void *bpf_map_lookup_elem(const void *map, const void *key);

#include "bpf/native.bpf.h"
#include "bpf/python.bpf.h"

static struct mw_walker walker;
static struct mw_py_walk python;
static struct mw_unwind_map maps[4];
static struct mw_unwind_row rows[64];
static uint32_t row_count, map_count;

static void *bpf_map_lookup_elem(const void *map, const void *key)
{
	uint32_t i = *(const uint32_t *)key;

	if (map == &walkers)
		return &walker;
	if (map == &pythons)
		return &python;
	if (map == &unwind_maps)
		return i < map_count ? &maps[i] : NULL;
	return i < row_count ? &rows[i] : NULL;
}

static void put(uint64_t addr, uint64_t value)
{
	memcpy(memory + (addr - BASE), &value, 8);
}

/* As in 3.13, but for the places, which are nobody's. */
static void reset(void)
{
	memset(memory, 0, sizeof(memory));
	memset(&walker, 0, sizeof(walker));
	python = (struct mw_py_walk){
		.interp_head = BASE + 0x10,
		.code_type = TYPE,
		.interp_next = 0,
		.interp_threads = 8,
		.tstate_next = 0,
		.tstate_interp = 8,
		.tstate_thread_id = 16,
		.tstate_frame = 24,
		.tstate_status = 32,
		.cframe_frame = MW_PY_NONE,
		.frame_previous = 8,
		.frame_code = 0,
		.frame_instr = 56,
		.frame_owner = 70,
		.frame_is_entry = MW_PY_NONE,
		.frame_size = 72,
		.code_size = 120,
		.ob_type = 8,
		.co_first_line = 68,
		.co_name = 80,
		.co_table = 88,
		.co_code = 104,
		.name_hash = 24,
		.tstate_task = MW_PY_NONE,
	};
	put(BASE + 0x10, BASE + 0x100);	     /* the first interpreter */
	put(BASE + 0x100, BASE + 0x140);     /* and the next */
	put(BASE + 0x100 + 8, BASE + 0x200); /* its threads */
}

static void put_thread(uint64_t at, uint64_t next, uint64_t interp, uint64_t thread, uint64_t frame,
		       uint64_t status)
{
	put(at, next);
	put(at + 8, interp);
	put(at + 16, thread);
	put(at + 24, frame);
	put(at + 32, status);
}

static void put_code(uint64_t at, uint64_t hash, uint32_t line)
{
	put(at + 8, TYPE);
	memcpy(memory + (at + 68 - BASE), &line, 4);
	put(at + 80, at + 0x90);
	put(at + 0x90 + 24, hash);
	put(at + 88, at + 0x80);
}

static void put_frame(uint64_t at, uint64_t previous, uint64_t code, uint32_t offset, uint8_t owner)
{
	put(at, code);
	put(at + 8, previous);
	put(at + 56, code + 104 + offset);
	memory[at + 70 - BASE] = owner;
}

static void walk(uint32_t max)
{
	memset(&walker.stack, 0, sizeof(walker.stack));
	mw_walk_python(&walker, 0, THREAD, 1000, max);
}

TEST(frames_of_the_thread_that_runs)
{
	reset();
	put_thread(BASE + 0x200, BASE + 0x280, BASE + 0x100, THREAD + 1, BASE + 0x5000, 16);
	put_thread(BASE + 0x280, 0, BASE + 0x100, THREAD, BASE + 0x1000, 16);
	put_code(BASE + 0x2000, 77, 5);
	put_code(BASE + 0x2200, 78, 6);
	put_frame(BASE + 0x1000, BASE + 0x1080, BASE + 0x2000, 10, 0);
	put_frame(BASE + 0x1080, BASE + 0x1100, BASE + 0x2200, 20, 1);
	put_frame(BASE + 0x1100, BASE + 0x1180, 0, 0, 3); /* C enters Python here */
	put_frame(BASE + 0x1180, 0, BASE + 0x2000, 30, 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 3);
	CHECK_INT(walker.stack.flags, 0);
	CHECK_INT(walker.stack.python[0].code, BASE + 0x2000);
	CHECK_INT(walker.stack.python[0].offset, 10);
	CHECK_INT(walker.stack.python[0].check, mw_py_check(77, BASE + 0x2080, 5));
	CHECK_INT(walker.stack.python[1].offset, 20);
	CHECK_INT(walker.stack.python[1].check & 1, 1);
	CHECK_INT(walker.stack.python[2].offset, 30);
	CHECK_INT(walker.stack.python[2].check & 1, 0);
	walk(1);
	CHECK_INT(walker.stack.python_count, 1);
}

TEST(of_several_states_the_active_one)
{
	reset();
	put_thread(BASE + 0x200, 0, BASE + 0x100, THREAD, BASE + 0x1000, 0);
	put(BASE + 0x140 + 8, BASE + 0x300); /* the second interpreter's thread */
	put_thread(BASE + 0x300, 0, BASE + 0x140, THREAD, BASE + 0x1080, 16);
	put_code(BASE + 0x2000, 1, 1);
	put_frame(BASE + 0x1000, 0, BASE + 0x2000, 2, 0);
	put_frame(BASE + 0x1080, 0, BASE + 0x2000, 4, 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python[0].offset, 4);
	/* It lets go of the GIL: none is active, but the thread has not left Python. */
	put(BASE + 0x300 + 32, 0);
	memset(&walker, 0, sizeof(walker));
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1);
	/* A thread of nobody's. */
	memset(&walker, 0, sizeof(walker));
	mw_walk_python(&walker, 0, THREAD + 99, 1000, MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 0);
}

TEST(frames_as_objects_with_an_index)
{
	reset();
	python.frame_previous = 24;
	python.frame_code = 32;
	python.frame_instr = 96;
	python.frame_owner = MW_PY_NONE;
	python.frame_size = 128;
	python.instr_is_index = 2;
	put_thread(BASE + 0x200, 0, BASE + 0x100, THREAD, BASE + 0x1000, 16);
	put_code(BASE + 0x2000, 1, 1);
	put(BASE + 0x1000 + 24, BASE + 0x1100);
	put(BASE + 0x1000 + 32, BASE + 0x2000);
	put(BASE + 0x1000 + 96, 21);
	put(BASE + 0x1100 + 32, BASE + 0x2000);
	put(BASE + 0x1100 + 96, 0xffffffff); /* -1: not begun */
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 2);
	CHECK_INT(walker.stack.python[0].offset, 42);
	CHECK_INT(walker.stack.python[1].offset, 0);
	CHECK_INT(walker.stack.python[0].check & walker.stack.python[1].check & 1, 1);
}

TEST(damaged_frames)
{
	reset();
	put_thread(BASE + 0x200, 0, BASE + 0x100, THREAD, BASE + 0x1000, 16);
	put_code(BASE + 0x2000, 1, 1);
	put_frame(BASE + 0x1000, BASE + 0x1000, BASE + 0x2000, 2, 0); /* its own caller */
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, MW_PY_FRAMES);
	CHECK_INT(walker.stack.flags, MW_STACK_TRUNCATED);
	put_frame(BASE + 0x1000, 0xdead0000, BASE + 0x2000, 2, 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
	put(BASE + 0x2000 + 8, TYPE + 8); /* no code object */
	put_frame(BASE + 0x1000, 0, BASE + 0x2000, 2, 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 0);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
	/* Lists that go round. */
	put_thread(BASE + 0x200, BASE + 0x200, BASE + 0x100, THREAD + 1, 0, 0);
	memset(&walker, 0, sizeof(walker));
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 0);
}

enum { CORO = 0x43000, GEN = 0x44000, AGEN = 0x45000, ASEND = 0x46000 }; /* addresses of types */

/* As in 3.14, but for the places. */
static void with_tasks(void)
{
	reset();
	python.tstate_task = 40;
	python.coro_type = CORO;
	python.gen_type = GEN;
	python.agen_type = AGEN;
	python.asend_type = ASEND;
	python.asend_gen = 16;
	python.task_coro = 16;
	python.task_is_task = 24;
	python.task_awaited_by_is_set = 25;
	python.task_awaited_by = 32;
	python.set_used = 16;
	python.set_mask = 24;
	python.set_table = 32;
	python.gen_state = 16;
	python.gen_frame = 24;
	python.frame_top = 16;
	python.awaited_below = 8;
	python.gen_suspended = -2;
	python.gen_awaiting_last = -1;
	put_thread(BASE + 0x200, 0, BASE + 0x100, THREAD, BASE + 0x1000, 16);
	put_code(BASE + 0x2000, 77, 5);
	put_frame(BASE + 0x1000, 0, BASE + 0x2000, 10, 0);
}

/* A coroutine that is suspended where it awaits AWAITED, or nothing. */
static void put_coro(uint64_t at, uint64_t type, uint32_t offset, uint64_t awaited)
{
	put(at + 8, type);
	memory[at + 16 - BASE] = (unsigned char)(awaited ? -1 : -2);
	put_frame(at + 24, 0xdead0000, BASE + 0x2000, offset, 1);
	put(at + 24 + 16, at + 0x80);
	put(at + 0x78, awaited | 1);
}

static uint64_t task_at(uint32_t n)
{
	return BASE + 0x6000 + 0x200 * (uint64_t)n;
}

/* Task N: its coroutine, and who awaits it. */
static void put_task(uint32_t n, uint64_t awaited_by)
{
	put_coro(task_at(n) + 0x100, CORO, 100 + n, 0);
	put(task_at(n) + 16, task_at(n) + 0x100);
	memory[task_at(n) + 24 - BASE] = 1;
	memory[task_at(n) + 25 - BASE] = 0;
	put(task_at(n) + 32, awaited_by);
}

TEST(tasks_that_await_the_one_that_runs)
{
	uint64_t inner = BASE + 0x5000, innermost = BASE + 0x5100;
	uint64_t set = BASE + 0x5200, asend = BASE + 0x5300;

	with_tasks();
	put_task(0, task_at(1));
	put_task(1, set);
	put_task(2, 0);
	memory[task_at(1) + 25 - BASE] = 1; /* a set of one, and of what was taken out */
	put(set + 16, 1);
	put(set + 24, 7);
	put(set + 32, set + 0x40);
	put(set + 0x40 + 16, BASE + 0x9000);
	put(set + 0x40 + 24, (uint64_t)-1);
	put(set + 0x40 + 48, task_at(2));
	put(set + 0x40 + 56, 12345);
	put_coro(task_at(1) + 0x100, CORO, 101, inner);
	put_coro(inner, GEN, 31, asend);
	put(asend + 8, ASEND);
	put(asend + 16, innermost);
	put_coro(innermost, AGEN, 32, BASE + 0x9000); /* no coroutine */
	walk(MW_PY_FRAMES);			      /* no task runs */
	CHECK_INT(walker.stack.python_count, 1);
	put(BASE + 0x200 + 40, task_at(0));
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.flags, 0);
	CHECK_INT(walker.stack.python_count, 5);
	CHECK_INT(walker.stack.python[0].offset, 10);
	CHECK_INT(walker.stack.python[1].offset, 32);
	CHECK_INT(walker.stack.python[2].offset, 31);
	CHECK_INT(walker.stack.python[3].offset, 101);
	CHECK_INT(walker.stack.python[4].offset, 102);
	CHECK_INT(walker.stack.python[0].check & MW_PY_MARKS, 0);
	CHECK_INT(walker.stack.python[1].check, mw_py_check(77, BASE + 0x2080, 5) | MW_PY_AWAITER);
	CHECK_INT(walker.stack.python[2].check & MW_PY_MARKS, 0);
	CHECK_INT(walker.stack.python[3].check & MW_PY_MARKS, 0);
	CHECK_INT(walker.stack.python[4].check & MW_PY_MARKS, MW_PY_AWAITER);
	put(set + 16, 2); /* of two it is neither */
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 4);
	CHECK_INT(walker.stack.flags, 0);
	walk(1);
	CHECK_INT(walker.stack.python_count, 1);
}

TEST(awaiters_that_run_and_futures_in_between)
{
	with_tasks();
	put(BASE + 0x200 + 40, task_at(0));
	for (uint32_t i = 0; i < 4; i++)
		put_task(i, i < 3 ? task_at(i + 1) : 0);
	memory[task_at(1) + 0x110 - BASE] = 0; /* it runs: it is on the thread's own stack */
	memory[task_at(2) + 24 - BASE] = 0; /* a future, where a task has its coroutine: nothing */
	put(task_at(2) + 16, BASE + 0x9000);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.flags, 0);
	CHECK_INT(walker.stack.python_count, 2);
	CHECK_INT(walker.stack.python[1].offset, 103);
	CHECK_INT(walker.stack.python[1].check & MW_PY_AWAITER, MW_PY_AWAITER);
}

TEST(awaiters_without_end)
{
	with_tasks();
	put(BASE + 0x200 + 40, task_at(0));
	/* Each awaits the next: as many as are taken, and that there are more. */
	for (uint32_t i = 0; i < 12; i++)
		put_task(i, i < 11 ? task_at(i + 1) : 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1 + MW_PY_TASKS);
	CHECK_INT(walker.stack.flags, MW_STACK_TRUNCATED);
	put_task(8, 0);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1 + MW_PY_TASKS);
	CHECK_INT(walker.stack.flags, 0);
	/* Round in a circle, that of the running task or another: each once. */
	put_task(2, task_at(0));
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 3);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
	put_task(2, task_at(1));
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 3);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
	/* A coroutine that awaits itself. */
	put_task(1, 0);
	put_coro(task_at(1) + 0x100, CORO, 7, task_at(1) + 0x100);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1 + MW_PY_AWAITS);
	CHECK_INT(walker.stack.flags, MW_STACK_TRUNCATED);
	/* Pointers to nowhere. */
	put_task(0, 0xdead0000);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
	put(BASE + 0x200 + 40, 0xdead0001);
	walk(MW_PY_FRAMES);
	CHECK_INT(walker.stack.python_count, 1);
	CHECK_INT(walker.stack.flags, MW_STACK_PARTIAL);
}

TEST(damaged_tasks_end)
{
	srand(2);
	for (int round = 0; round < 20000; round++) {
		with_tasks();
		put(BASE + 0x200 + 40, task_at(0));
		for (uint32_t i = 0; i < 12; i++)
			put_task(i, task_at((uint32_t)rand() % 12));
		for (int i = 0; i < 20; i++)
			put(task_at(0) + 8 * (uint64_t)(rand() % 0x300),
			    BASE + (uint64_t)(rand() % SIZE));
		walk(MW_PY_FRAMES);
		CHECK(walker.stack.python_count >= 1 && walker.stack.python_count <= MW_PY_FRAMES);
	}
}

static void native(uint64_t ip, uint64_t sp, uint64_t bp)
{
	memset(&walker, 0, sizeof(walker));
	walker.registers.ip = ip;
	walker.registers.sp = sp;
	walker.registers.bp = bp;
	mw_walk_native(&walker, map_count, false);
}

static void code(void)
{
	/* Two files: one at 0x500000, one at 0x600000. */
	map_count = 2;
	maps[0] = (struct mw_unwind_map){0x500000, 0x501000, 0x4ff000, 0, 4};
	maps[1] = (struct mw_unwind_map){0x600000, 0x601000, 0x600000, 4, 3};
	rows[0] = (struct mw_unwind_row){0x1000, 1, MW_CFA_SP, 0};
	rows[1] = (struct mw_unwind_row){0x1010, 4, MW_CFA_SP, 2};
	rows[2] = (struct mw_unwind_row){0x1020, 2, MW_CFA_FP, 2};
	rows[3] = (struct mw_unwind_row){0x1030, 0, MW_CFA_NONE, 0};
	rows[4] = (struct mw_unwind_row){0x10, 0, MW_CFA_SIGNAL, 0};
	rows[5] = (struct mw_unwind_row){0x20, -1, MW_CFA_DEREF, 255};
	rows[6] = (struct mw_unwind_row){0x30, 0, MW_CFA_END, 0};
	row_count = 7;
}

TEST(native_frames_by_rows)
{
	uint64_t sp = BASE + 0x4000;

	reset();
	code();
	put(sp, 0x500015);	      /* called from where the CFA is rsp + 32 and rbp is saved */
	put(sp + 8 + 16, sp + 0x100); /* that rbp */
	put(sp + 8 + 24, 0x500025);   /* its caller has a frame pointer */
	put(sp + 0x100, sp + 0x200);
	put(sp + 0x108, 0x600035); /* and that one is the outermost */
	native(0x500004, sp, 0);
	CHECK_INT(walker.stack.native_count, 4);
	CHECK_INT(walker.stack.native[0], 0x500004);
	CHECK_INT(walker.stack.native[1], 0x500014);
	CHECK_INT(walker.stack.native[2], 0x500024);
	CHECK_INT(walker.stack.native[3], 0x600034);
	CHECK_INT(walker.stack.flags, 0);
}

TEST(signals_and_realigned_stacks)
{
	uint64_t sp = BASE + 0x4000, frame = BASE + 0x5000;

	reset();
	code();
	put(sp + MW_UCONTEXT_IP, 0x600020); /* interrupted at the first instruction of that row */
	put(sp + MW_UCONTEXT_SP, frame - 0x80);
	put(sp + MW_UCONTEXT_FP, frame);
	put(frame, frame + 0x40);     /* the caller's rbp */
	put(frame - 8, frame + 0x20); /* where the CFA is */
	put(frame + 0x18, 0x600035);
	native(0x600010, sp, 0);
	CHECK_INT(walker.stack.native_count, 3);
	/* Not a return address: it is looked up as it is. */
	CHECK_INT(walker.stack.native[1], 0x600020);
	CHECK_INT(walker.stack.native[2], 0x600034);
	CHECK_INT(walker.registers.bp, frame + 0x40);
}

TEST(code_without_rows)
{
	uint64_t sp = BASE + 0x4000;

	reset();
	code();
	/* Made at run time, with a frame pointer. */
	put(sp + 0x10, sp + 0x40);
	put(sp + 0x18, 0x600035);
	native(0x900000, sp, sp + 0x10);
	CHECK_INT(walker.stack.native_count, 2);
	CHECK_INT(walker.stack.flags, 0);
	/* And without: it ends there, and says so. */
	native(0x900000, sp, 0x123);
	CHECK_INT(walker.stack.native_count, 1);
	CHECK_INT(walker.stack.flags, MW_STACK_NATIVE_CUT);
	/* A stack that leads back to itself goes only outwards, so it ends. */
	rows[0].cfa_offset = -4;
	native(0x500004, sp, 0);
	CHECK_INT(walker.stack.flags, MW_STACK_NATIVE_CUT);
	/* Recursion without end. */
	code();
	for (uint64_t at = sp; at < BASE + SIZE - 8; at += 8)
		put(at, 0x500005);
	native(0x500004, sp, 0);
	CHECK_INT(walker.stack.native_count, MW_NATIVE_FRAMES);
	CHECK_INT(walker.stack.flags, MW_STACK_TRUNCATED);
}

TEST(damage_of_all_kinds_ends)
{
	srand(1);
	for (int round = 0; round < 20000; round++) {
		reset();
		code();
		put_thread(BASE + 0x200, 0, BASE + 0x100, THREAD, BASE + 0x1000, 16);
		put_code(BASE + 0x2000, 1, 1);
		for (int i = 0; i < 40; i++)
			put_frame(BASE + 0x1000 + 0x60 * (uint64_t)i,
				  BASE + 0x1060 + 0x60 * (uint64_t)i, BASE + 0x2000, 2,
				  (uint8_t)(rand() % 5));
		for (int i = 0; i < 20; i++)
			put(BASE + 8 * (uint64_t)(rand() % 0x500),
			    (uint64_t)(BASE + rand() % SIZE));
		walk(MW_PY_FRAMES);
		CHECK(walker.stack.python_count <= MW_PY_FRAMES);
		native((uint64_t)(0x500000 + rand() % 0x40), BASE + (uint64_t)(rand() % SIZE),
		       BASE + (uint64_t)(rand() % SIZE));
		CHECK(walker.stack.native_count <= MW_NATIVE_FRAMES);
	}
}

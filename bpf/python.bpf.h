/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Python frames, from outside and without symbols: the thread's state is the one whose thread_id
 * is the thread pointer (pthread_self() on x86-64), and from there the frames are linked. Userspace
 * gets code objects and offsets, and makes names and lines of them. Also
 * compiled as ordinary code by the unit tests.
 */
#ifndef MW_PYTHON_BPF_H
#define MW_PYTHON_BPF_H

#include "bpf/walker.bpf.h"

enum {
	TSTATES_MAX = 512,  /* thread states visited to find a thread's */
	TSTATE_ACTIVE = 16, /* _status.active, the fifth bit (Include/cpython/pystate.h, 3.12 on) */
	RETRY_NS = 50000000,
};

static __always_inline __u64 word_in(const __u8 *buffer, __u32 mask, __u32 offset)
{
	return *(const __u64 *)(buffer + (offset & mask & ~7u));
}

static __always_inline bool read_user_word(__u64 addr, __u64 *value)
{
	return !bpf_probe_read_user(value, sizeof(*value), (void *)addr);
}

enum tstate_fit { NOT_OURS, OURS, OURS_AND_ACTIVE };

/*
 * Is TSTATE one of the thread's? A thread that has been in several interpreters has several;
 * the active one is where it runs. A thread that has released the GIL has no active one.
 *
 * This and the next are global functions, as are the steps below: verified once, and not once for
 * each round of a loop (0.1 s instead of 0.7 s to load the programs).
 */
__noinline __u32 mw_tstate_fit(__u32 python, __u64 tstate, __u64 thread)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__u32 status = TSTATE_ACTIVE;
	__u64 id;

	if (!py || !tstate || tstate & 7 || !read_user_word(tstate + py->tstate_thread_id, &id) ||
	    id != thread)
		return NOT_OURS;
	if (py->tstate_status != MW_PY_NONE &&
	    bpf_probe_read_user(&status, sizeof(status), (void *)(tstate + py->tstate_status)))
		return NOT_OURS;
	return status & TSTATE_ACTIVE ? OURS_AND_ACTIVE : OURS;
}

/* The thread state after T: of the same interpreter, else of the next that has any; 0: the last. */
__noinline __u64 mw_tstate_next(__u32 python, __u64 t)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__u64 interp = 0, next = 0;

	if (!py)
		return 0;
	if (t) {
		if (!read_user_word(t + py->tstate_next, &next) || next)
			return next;
		if (!read_user_word(t + py->tstate_interp, &interp) || !interp ||
		    !read_user_word(interp + py->interp_next, &interp))
			return 0;
	} else if (!read_user_word(py->interp_head, &interp)) {
		return 0;
	}
	for (int i = 0; i < 8 && interp; i++) {
		if (!read_user_word(interp + py->interp_threads, &next) || next)
			return next;
		if (!read_user_word(interp + py->interp_next, &interp))
			return 0;
	}
	return 0;
}

/*
 * Search all interpreters' lists of threads for the running thread's state, and put it into its
 * walker: in a register it would be one more value for the verifier to distinguish in each round.
 */
__noinline __u64 mw_tstate_search(__u32 python, __u64 thread)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	__u64 t = mw_tstate_next(python, 0);

	if (!w)
		return 0;
	w->tstate = 0;
	for (int i = 0; i < TSTATES_MAX && t; i++) {
		__u32 fit = mw_tstate_fit(python, t, thread);

		if (fit != NOT_OURS)
			w->tstate = t;
		if (fit == OURS_AND_ACTIVE)
			break;
		t = mw_tstate_next(python, t);
	}
	return w->tstate;
}

static __always_inline __u64 find_tstate(struct mw_walker *w, const struct mw_py_walk *py,
					 __u32 python, __u64 thread, __u64 now)
{
	__u32 fit;
	__u64 t;

	/* The thread holds the GIL in this state, whichever others it has. */
	if (py->current && read_user_word(py->current, &t) && mw_tstate_fit(python, t, thread))
		return t;
	fit = w->thread == thread ? mw_tstate_fit(python, w->tstate, thread) : NOT_OURS;
	if (fit == OURS_AND_ACTIVE)
		return w->tstate;
	/* Not Python's thread, or one without the GIL: don't search again each time. */
	if (w->thread == thread && now < w->retry_ns && (fit == OURS || !w->tstate))
		return w->tstate;
	w->thread = thread;
	mw_tstate_search(python, thread);
	w->retry_ns = now + RETRY_NS;
	return w->tstate;
}

static __always_inline __u64 first_frame(const struct mw_py_walk *py, __u64 tstate)
{
	__u64 frame = 0;

	if (!read_user_word(tstate + py->tstate_frame, &frame))
		return 0;
	if (py->cframe_frame != MW_PY_NONE && frame &&
	    !read_user_word(frame + py->cframe_frame, &frame))
		return 0;
	return frame;
}

/* The code object at CODE into the walker's buffer: its check, or 0 when it is none. */
static __always_inline __u32 check_code(struct mw_walker *w, const struct mw_py_walk *py,
					__u64 code)
{
	__u32 size = py->code_size;
	__u64 hash = 0;

	if (size > PY_BUFFER - 8)
		size = PY_BUFFER - 8;
	if (!code || bpf_probe_read_user(w->code, size, (void *)code) ||
	    (py->code_type && word_in(w->code, 0xf8, py->ob_type) != py->code_type) ||
	    !read_user_word(word_in(w->code, 0xf8, py->co_name) + py->name_hash, &hash))
		return 0;
	return mw_py_check(hash, word_in(w->code, 0xf8, py->co_table),
			   *(const __u32 *)(w->code + (py->co_first_line & 0xfc)));
}

/* Write the frame at FRAME into the walker's stack. Returns the one before it; 0 ends the walk. */
__noinline __u64 mw_python_step(__u32 python, __u64 frame, __u32 max)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), n, size, check;
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	struct mw_py_frame *out;
	struct mw_stack *stack;
	__u64 code, previous;
	__s64 instr;

	if (!py || !w)
		return 0;
	stack = &w->stack;
	n = stack->python_count;
	size = py->frame_size;
	if (size > sizeof(w->frame))
		size = sizeof(w->frame);
	if (frame & 7 || bpf_probe_read_user(w->frame, size, (void *)frame)) {
		stack->flags |= MW_STACK_PARTIAL;
		return 0;
	}
	previous = word_in(w->frame, 0x78, py->frame_previous);
	if (py->frame_owner != MW_PY_NONE &&
	    w->frame[py->frame_owner & 0x7f] >= MW_OWNERS_ON_C_STACK) {
		if (n)
			mw_element(stack->python, n - 1)->check |= MW_PY_ENTERED;
		return previous;
	}
	if (n >= max || n >= MW_PY_FRAMES) {
		stack->flags |= MW_STACK_TRUNCATED;
		return 0;
	}
	code = word_in(w->frame, 0x78, py->frame_code) & ~7ULL;
	check = check_code(w, py, code);
	if (!check) {
		stack->flags |= MW_STACK_PARTIAL;
		return previous;
	}
	if (py->instr_is_index)
		instr = (__s64) * (const __s32 *)(w->frame + (py->frame_instr & 0x7c)) *
			py->instr_is_index;
	else
		instr = word_in(w->frame, 0x78, py->frame_instr) - code - py->co_code;
	/* Up to 3.10 there is no owner: each frame is a call of the evaluating function. */
	if (py->frame_owner == MW_PY_NONE ||
	    (py->frame_is_entry != MW_PY_NONE && w->frame[py->frame_is_entry & 0x7f]))
		check |= MW_PY_ENTERED;
	out = mw_element(stack->python, n);
	out->code = code;
	out->offset = instr < 0 ? 0 : instr;
	out->check = check;
	stack->python_count = n + 1;
	return previous;
}

#include "bpf/tasks.bpf.h"

/*
 * The thread's frames into the walker's stack, at most MAX of them. A frame on the C stack that
 * runs no Python function (from 3.12 on) marks where C entered Python; 3.11 has a flag
 * for it; before, every frame was entered from C.
 */
static __always_inline void mw_walk_python(struct mw_walker *w, __u32 python, __u64 thread,
					   __u64 now, __u32 max)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__u64 tstate, frame;

	if (!py)
		return;
	tstate = find_tstate(w, py, python, thread, now);
	if (!tstate)
		return;
	frame = first_frame(py, tstate);
	/* A few rounds more than frames: some frames belong to no function. */
	for (__u32 i = 0; i < 2 * MW_PY_FRAMES && frame; i++)
		frame = mw_python_step(python, frame, max);
	if (max == MW_PY_FRAMES && py->tstate_task != MW_PY_NONE)
		mw_walk_awaiters(python, tstate);
}

#endif

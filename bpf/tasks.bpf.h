/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asyncio: from the task that a thread runs to the task that awaits it, and so on outwards, with
 * the frames in which they are suspended. CPython keeps this from 3.14 on. A part of python.bpf.h.
 */
#ifndef MW_TASKS_BPF_H
#define MW_TASKS_BPF_H

enum { SET_ENTRIES = 64 }; /* places of a set that are searched for its one element */

enum coro_fit { NO_CORO, SUSPENDED, AWAITING };

/*
 * Is CORO a coroutine, or a generator of either kind, that is suspended? One that runs, such
 * as an eager task's awaiter, is on the thread's own chain of frames.
 */
static __always_inline __u32 coro_fit(__u32 python, __u64 coro)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__s8 state = 0;
	__u64 type;

	if (!py || !coro || coro & 7 || !read_user_word(coro + py->ob_type, &type) ||
	    (type != py->coro_type && type != py->gen_type && type != py->agen_type) ||
	    bpf_probe_read_user(&state, sizeof(state), (void *)(coro + py->gen_state)) ||
	    state < py->gen_suspended || state > py->gen_awaiting_last)
		return NO_CORO;
	return state == py->gen_suspended ? SUSPENDED : AWAITING;
}

/* The coroutine that CORO awaits: on top of its stack. 0: none, or something else. */
__noinline __u64 mw_coro_awaits(__u32 python, __u64 coro)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__u64 top, next, type;

	if (!py || coro_fit(python, coro) != AWAITING ||
	    !read_user_word(coro + py->gen_frame + py->frame_top, &top) ||
	    !read_user_word(top - py->awaited_below, &next))
		return 0;
	next &= ~7ULL; /* tags of a reference */
	/* An asynchronous generator is awaited through a separate object. */
	if (next && read_user_word(next + py->ob_type, &type) && type == py->asend_type &&
	    !read_user_word(next + py->asend_gen, &next))
		return 0;
	return coro_fit(python, next) == NO_CORO ? 0 : next;
}

/* The coroutines of TASK into the walker. How many. */
static __always_inline __u32 take_coros(__u32 python, __u64 task)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), n;
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	__u64 coro;

	if (!py || !w)
		return 0;
	if (!read_user_word(task + py->task_coro, &coro)) {
		w->stack.flags |= MW_STACK_PARTIAL;
		return 0;
	}
	if (coro_fit(python, coro) == NO_CORO)
		return 0;
	for (n = 0; n < MW_PY_AWAITS && coro; n++) {
		*mw_element(w->coros, n) = coro;
		coro = mw_coro_awaits(python, coro);
	}
	if (coro)
		w->stack.flags |= MW_STACK_TRUNCATED;
	return n;
}

/*
 * The frames of TASK, innermost first, after those that the walker's stack has. A future in between
 * has none. Called by mw_walk_awaiters() itself: calls may be eight deep and take 512 bytes of
 * stack together.
 */
__noinline int mw_task_frames(__u32 python, __u64 task)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), count, begin;
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	__u8 is_task = 0;

	if (!py || !w || bpf_probe_read_user(&is_task, 1, (void *)(task + py->task_is_task)) ||
	    is_task != 1)
		return 0;
	count = take_coros(python, task);
	begin = w->stack.python_count;
	for (__u32 i = 0; i < MW_PY_AWAITS && i < count; i++)
		mw_python_step(python, *mw_element(w->coros, count - 1 - i) + py->gen_frame,
			       MW_PY_FRAMES);
	if (begin < MW_PY_FRAMES && w->stack.python_count > begin)
		mw_element(w->stack.python, begin)->check |= MW_PY_AWAITER;
	return 0;
}

/* The only element of the set at SET; 0: it has none or several, or it was not found. */
__noinline __u64 mw_set_element(__u32 python, __u64 set)
{
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	__u64 used, mask, table, entry[2];

	if (!py || !read_user_word(set + py->set_used, &used) || used != 1 ||
	    !read_user_word(set + py->set_mask, &mask) ||
	    !read_user_word(set + py->set_table, &table))
		return 0;
	for (__u32 i = 0; i < SET_ENTRIES && i <= mask; i++) {
		if (bpf_probe_read_user(entry, sizeof(entry), (void *)(table + 16 * (__u64)i)))
			return 0;
		/* What was taken out leaves a mark whose hash no object has. */
		if (entry[0] && entry[1] != ~0ULL)
			return entry[0];
	}
	return 0;
}

/* What awaits TASK, a task or, in between, a future; 0: nothing or several, or TASK is neither. */
__noinline __u64 mw_task_awaiter(__u32 python, __u64 task)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	__u8 is_task = 0, is_set = 0;
	__u64 by = 0;

	if (!py || !w)
		return 0;
	if (task & 7 || !read_user_word(task + py->task_awaited_by, &by) ||
	    bpf_probe_read_user(&is_task, 1, (void *)(task + py->task_is_task)) ||
	    bpf_probe_read_user(&is_set, 1, (void *)(task + py->task_awaited_by_is_set)) ||
	    is_task > 1 || is_set > 1) {
		w->stack.flags |= MW_STACK_PARTIAL;
		return 0;
	}
	return is_set ? mw_set_element(python, by) : by;
}

__noinline __u32 mw_task_is_seen(__u64 task, __u32 count)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);

	for (__u32 i = 0; w && i < MW_PY_TASKS && i < count; i++) {
		if (w->tasks[i] == task)
			return 1;
	}
	return 0;
}

/*
 * After the frames of the thread whose state is TSTATE, those of what awaits the task that it runs.
 */
__noinline int mw_walk_awaiters(__u32 python, __u64 tstate)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mw_py_walk *py = bpf_map_lookup_elem(&pythons, &python);
	struct mw_walker *w = bpf_map_lookup_elem(&walkers, &tid);
	__u64 task = 0;

	if (!py || !w || !read_user_word(tstate + py->tstate_task, &task))
		return 0;
	for (__u32 i = 0; i <= MW_PY_TASKS && task; i++) {
		if (mw_task_is_seen(task, i)) {
			w->stack.flags |= MW_STACK_PARTIAL;
			return 0;
		}
		if (i < MW_PY_TASKS)
			*mw_element(w->tasks, i) = task;
		if (i)
			mw_task_frames(python, task);
		task = mw_task_awaiter(python, task);
	}
	if (task)
		w->stack.flags |= MW_STACK_TRUNCATED;
	return 0;
}

#endif

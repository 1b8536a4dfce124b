// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/prologue.h"
#include "image/elffile.h"
#include "python/python_impl.h"
#include "python/walk.h"
#include "symbol/unwind.h"
#include "util/array.h"
#include "util/cleanup.h"

/* Read of frames and code objects at most; what these need lies within (bpf/python.bpf.h). */
enum { FRAME_MAX = 128, CODE_MAX = 192 };

/* Bytes of the evaluating function that are looked at, and jumps out of it. */
enum { EVALUATOR_MAX = 1 << 20, JUMPS_MAX = 16 };

/* Hash of a str, which every name has: after the length, or in 2.7 after the object's head. */
static uint16_t name_hash(const struct mw_py_layout *l)
{
	return (uint16_t)((l->ascii_length >= 0 ? l->ascii_length : l->ob_size) + 8);
}

static uint16_t offset_of(int32_t field)
{
	return field < 0 ? MW_PY_NONE : (uint16_t)field;
}

/* True when the layout has all that a walk needs, within what the programs read. */
static bool fill(struct mw_py_walk *walk, const struct mw_py_layout *l)
{
	bool objects = l->f_code >= 0; /* frames are objects, to 3.10 */
	bool by_cframe = l->tstate_frame < 0;
	int32_t frame = by_cframe ? l->tstate_cframe : l->tstate_frame;
	int32_t previous = objects ? l->f_back : l->iframe_previous;
	int32_t code = objects ? l->f_code : l->iframe_code;
	int32_t instr = objects ? l->f_lasti : l->iframe_instr;

	if (frame < 0 || (by_cframe && l->cframe_frame < 0) || previous < 0 || code < 0 ||
	    instr < 0 || l->co_name < 0 || l->co_linetable < 0 || l->co_firstlineno < 0 ||
	    l->interp_threads < 0 || l->tstate_thread_id < 0 || previous > FRAME_MAX - 8 ||
	    code > FRAME_MAX - 8 || instr > FRAME_MAX - 4 || l->co_name > CODE_MAX - 8 ||
	    l->co_linetable > CODE_MAX - 8 || l->co_firstlineno > CODE_MAX - 4)
		return false;
	walk->version = l->version;
	walk->interp_next = offset_of(l->interp_next);
	walk->interp_threads = offset_of(l->interp_threads);
	walk->tstate_interp = offset_of(l->tstate_interp);
	walk->tstate_next = offset_of(l->tstate_next);
	walk->tstate_thread_id = offset_of(l->tstate_thread_id);
	walk->tstate_frame = offset_of(frame);
	walk->tstate_status = offset_of(l->tstate_status);
	walk->cframe_frame = by_cframe ? offset_of(l->cframe_frame) : MW_PY_NONE;
	walk->frame_previous = offset_of(previous);
	walk->frame_code = offset_of(code);
	walk->frame_instr = offset_of(instr);
	walk->frame_owner = objects ? MW_PY_NONE : offset_of(l->iframe_owner);
	walk->frame_is_entry = offset_of(l->iframe_is_entry);
	/* The last byte that is needed: a stack's chunk may end behind it. */
	walk->frame_size = (uint16_t)(objects ? FRAME_MAX : l->iframe_localsplus);
	walk->code_size = (uint16_t)(l->code_size < CODE_MAX ? l->code_size : CODE_MAX);
	walk->ob_type = offset_of(l->ob_type);
	walk->co_first_line = offset_of(l->co_firstlineno);
	walk->co_name = offset_of(l->co_name);
	walk->co_table = offset_of(l->co_linetable);
	walk->co_code = offset_of(l->co_code);
	walk->name_hash = name_hash(l);
	/* f_lasti is in bytes, in 3.10 in instructions of two. */
	walk->instr_is_index = !objects ? 0 : l->version >> 8 == 0x030a ? 2 : 1;
	return true;
}

/* From 3.14 on; what it needs and is not there leaves it out. */
static void fill_tasks(struct mw_py_walk *walk, struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;
	const int32_t needed[] = {
		l->tstate_task,
		l->task_coro,
		l->task_is_task,
		l->task_awaited_by,
		l->task_awaited_by_is_set,
		l->gen_iframe,
		l->gen_state,
		l->asend_gen,
		l->iframe_stacktop,
		l->set_used,
		l->set_mask,
		l->set_table,
	};

	walk->tstate_task = MW_PY_NONE;
	walk->coro_type = mw_py_symbol(py, "PyCoro_Type");
	walk->gen_type = mw_py_symbol(py, "PyGen_Type");
	walk->agen_type = mw_py_symbol(py, "PyAsyncGen_Type");
	walk->asend_type = mw_py_symbol(py, "_PyAsyncGenASend_Type");
	for (size_t i = 0; i < MW_ARRAY_SIZE(needed); i++) {
		if (needed[i] < 0 || needed[i] >= MW_PY_NONE)
			return;
	}
	if (!walk->coro_type || !walk->gen_type || !walk->agen_type)
		return;
	walk->tstate_task = offset_of(l->tstate_task);
	walk->task_coro = offset_of(l->task_coro);
	walk->task_is_task = offset_of(l->task_is_task);
	walk->task_awaited_by = offset_of(l->task_awaited_by);
	walk->task_awaited_by_is_set = offset_of(l->task_awaited_by_is_set);
	walk->set_used = offset_of(l->set_used);
	walk->set_mask = offset_of(l->set_mask);
	walk->set_table = offset_of(l->set_table);
	walk->gen_state = offset_of(l->gen_state);
	walk->gen_frame = offset_of(l->gen_iframe);
	walk->asend_gen = offset_of(l->asend_gen);
	walk->frame_top = offset_of(l->iframe_stacktop);
	/* From 3.15 on an index lies above what is awaited. */
	walk->awaited_below = l->version >> 8 >= 0x030f ? 16 : 8;
	/* FRAME_SUSPENDED; FRAME_SUSPENDED_YIELD_FROM follows it, from 3.15 on also …_LOCKED. */
	walk->gen_suspended = l->version >> 8 >= 0x030f ? 1 : -2;
	walk->gen_awaiting_last = l->version >> 8 >= 0x030f ? 3 : -1;
}

/*
 * Compilers move what they think is seldom run to another place; gcc 16 so most of CPython 3.14's
 * evaluating function. Stripped, that part has no name. It is the code that the function jumps into
 * the middle of: a jump to another function goes to its beginning.
 */
static void find_other_part(struct mw_elffile *file, uint64_t bias, const struct mw_symbol *symbol,
			    struct mw_python_walk *found)
{
	size_t size = symbol->size < EVALUATOR_MAX ? symbol->size : EVALUATOR_MAX;
	_cleanup_free_ uint8_t *code = malloc(size);
	unsigned int asked = 0;
	struct mw_insn insn;

	size = code ? mw_elffile__bytes(file, symbol->value, code, size) : 0;
	for (size_t at = 0; at < size && asked < JUMPS_MAX; at += insn.length) {
		uint64_t start, end;

		if (!mw_insn_decode(&insn, code + at, size - at, symbol->value + at)) {
			insn.length = 1;
			continue;
		}
		if (insn.flow != MW_INSN_JUMP || insn.target - symbol->value < symbol->size)
			continue;
		asked++;
		if (mw_unwind_piece(mw_elffile__fd(file), insn.target, &start, &end) &&
		    start < insn.target) {
			found->evaluator[1].start = bias + start;
			found->evaluator[1].end = bias + end;
			return;
		}
	}
}

static void find_evaluator(struct mw_python *py, struct mw_python_walk *found)
{
	static const char *const names[] = {"_PyEval_EvalFrameDefault", "PyEval_EvalFrameEx"};
	struct mw_elffile *file = mw_py_file(py);
	struct mw_symbol symbol;
	uint64_t bias;

	for (size_t i = 0; file && i < 2; i++) {
		if (mw_elffile__symbol(file, names[i], &symbol) || !symbol.size)
			continue;
		bias = mw_elffile__bias(file, py->data.base, 0);
		found->evaluator[0].start = bias + symbol.value;
		found->evaluator[0].end = bias + symbol.value + symbol.size;
		find_other_part(file, bias, &symbol, found);
		/* To 3.5 the exported function is it; later it only calls the other. */
		return;
	}
}

int mw_python_walk__find(struct mw_python_walk *found, struct mw_image *image, struct mw_err *err)
{
	struct mw_python *py = calloc(1, sizeof(*py));
	int ret = py ? mw_pages__init(&py->pages, image) : -ENOMEM;

	if (ret) {
		free(py);
		return mw_err_no_memory(err, mw_image__name(image));
	}
	memset(found, 0, sizeof(*found));
	py->image = image;
	ret = mw_py_discover(py, err);
	if (!ret && (!py->known || !py->head_at || !fill(&found->walk, &py->layout)))
		ret = mw_err_set(err, -ENOENT, "unknown-python", mw_image__name(image),
				 "CPython %s in %s: no layout known fits, so its stacks can't be "
				 "walked",
				 py->info.version, py->info.module);
	if (!ret) {
		const struct mw_py_layout *l = &py->layout;

		found->layout = *l;
		found->walk.interp_head = py->head_at;
		found->walk.code_type = mw_py_symbol(py, "PyCode_Type");
		fill_tasks(&found->walk, py);
		if (py->runtime && l->runtime_tstate_current >= 0)
			found->walk.current = py->runtime + (uint64_t)l->runtime_tstate_current;
		else if (!py->runtime)
			found->walk.current = mw_py_symbol(py, "_PyThreadState_Current");
		snprintf(found->version, sizeof(found->version), "%s", py->info.version);
		snprintf(found->module, sizeof(found->module), "%s", py->info.module);
		find_evaluator(py, found);
	}
	mw_python__close(py);
	return ret;
}

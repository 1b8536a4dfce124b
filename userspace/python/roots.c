// SPDX-License-Identifier: GPL-2.0-or-later
/* Where references begin: modules, frames and the interpreter's own state; and their names. */
#include <stdio.h>
#include <string.h>

#include "python/lines.h"
#include "python/python_impl.h"
#include "python/referents.h"
#include "util/array.h"
#include "util/text.h"

enum { FRAMES_MAX = 1 << 17, MEMBERS_MAX = 4096, BASES_MAX = 32, VALUE = 64 };

/*
 * ---- modules ------------------------------------------------------------------------------------
 */

struct modules {
	struct mw_python *py;
	mw_py_module_fn fn;
	void *arg;
};

static int see_module(void *arg, const struct mw_py_referent *r)
{
	const struct modules *m = arg;

	return r->via == MW_PY_VIA_VALUE ? m->fn(m->arg, r->key, r->addr) : 0;
}

int mw_python__each_module(struct mw_python *py, mw_py_module_fn fn, void *arg)
{
	struct modules m = {py, fn, arg};
	int ret = 0;

	for (size_t i = 0; i < py->interpreter_count && !ret; i++)
		ret = mw_python__referents(
			py, mw_py_field(py, py->interpreters[i].addr, py->layout.interp_modules),
			see_module, &m);
	return ret;
}

bool mw_python__is_modules(struct mw_python *py, uint64_t addr)
{
	for (size_t i = 0; i < py->interpreter_count; i++) {
		if (mw_py_field(py, py->interpreters[i].addr, py->layout.interp_modules) == addr)
			return true;
	}
	return false;
}

/*
 * ---- threads --------------------------------------------------------------------------------
 */

static int each_thread(struct mw_python *py, int (*fn)(void *arg, uint64_t thread), void *arg)
{
	int ret = 0;

	for (size_t i = 0; i < py->interpreter_count; i++) {
		const struct mw_py_interpreter *interp = &py->interpreters[i];
		uint64_t t = mw_py_thread(py, interp, 0);

		for (uint32_t k = 0; t && k < interp->threads && !ret; k++) {
			ret = fn(arg, t);
			t = mw_py_thread(py, interp, t);
		}
	}
	return ret;
}

static uint64_t thread_name(struct mw_python *py, uint64_t t)
{
	uint64_t id = mw_py_field(py, t, py->layout.tstate_native_id);

	return id ? id : mw_py_field(py, t, py->layout.tstate_thread_id);
}

struct frames {
	struct mw_python *py;
	mw_py_frame_fn fn;
	void *arg;
};

static int frames_of_thread(void *arg, uint64_t t)
{
	const struct frames *f = arg;
	struct mw_python *py = f->py;
	const struct mw_py_layout *l = &py->layout;
	struct mw_py_frame_at at = {.thread = thread_name(py, t), .is_object = l->f_code >= 0};
	uint64_t frame;
	int ret = 0;

	if (l->tstate_frame >= 0)
		frame = mw_py_field(py, t, l->tstate_frame);
	else
		frame = mw_py_field(py, mw_py_field(py, t, l->tstate_cframe), l->cframe_frame);
	for (uint32_t n = 0; frame && n < FRAMES_MAX && !ret; n++) {
		int32_t type;

		at.addr = frame;
		at.code = mw_py_field(py, frame, at.is_object ? l->f_code : l->iframe_code) & ~7ULL;
		type = mw_py_type_of(py, at.code);
		/* Frames that stand for C have no code object. */
		if (type >= 0 && py->types[type].kind == MW_PY_KIND_CODE) {
			ret = f->fn(f->arg, &at);
			at.depth++;
		}
		frame = mw_py_field(py, frame, at.is_object ? l->f_back : l->iframe_previous);
	}
	return ret;
}

int mw_python__each_frame(struct mw_python *py, mw_py_frame_fn fn, void *arg)
{
	struct frames f = {py, fn, arg};

	mw_py_allow_links(py);
	return each_thread(py, frames_of_thread, &f);
}

struct states {
	struct mw_python *py;
	mw_py_state_fn fn;
	void *arg;
};

static int see_thread(void *arg, uint64_t t)
{
	const struct states *s = arg;
	const struct mw_py_state state = {.addr = t,
					  .size = (uint64_t)s->py->layout.tstate_size,
					  .thread = thread_name(s->py, t)};

	return s->fn(s->arg, &state);
}

int mw_python__each_state(struct mw_python *py, mw_py_state_fn fn, void *arg)
{
	struct states s = {py, fn, arg};
	int ret = 0;

	if (py->layout.interp_size < 0 || py->layout.tstate_size < 0)
		return 0;
	for (size_t i = 0; i < py->interpreter_count && !ret; i++) {
		const struct mw_py_state state = {.addr = py->interpreters[i].addr,
						  .size = (uint64_t)py->layout.interp_size};

		ret = fn(arg, &state);
	}
	return ret ? ret : each_thread(py, see_thread, &s);
}

/*
 * ---- names ------------------------------------------------------------------------------------
 */

enum mw_py_sort mw_python__sort(struct mw_python *py, int32_t type)
{
	if (type < 0 || (size_t)type >= py->type_count)
		return MW_PY_SORT_OTHER;
	switch ((enum mw_py_kind)py->types[type].kind) {
	case MW_PY_KIND_DICT:
	case MW_PY_KIND_ODICT:
		return MW_PY_SORT_DICT;
	case MW_PY_KIND_TYPE:
		return MW_PY_SORT_TYPE;
	case MW_PY_KIND_FRAME:
		return MW_PY_SORT_FRAME;
	case MW_PY_KIND_GENERATOR:
		return MW_PY_SORT_GENERATOR;
	default:
		return MW_PY_SORT_OTHER;
	}
}

bool mw_python__text(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	int32_t type = mw_py_type_of(py, addr);

	if (type < 0 ||
	    (py->types[type].kind != MW_PY_KIND_STR &&
	     !(py->info.hex < MW_PY_VERSION(3, 0, 0) && py->types[type].kind == MW_PY_KIND_BYTES)))
		return false;
	return mw_py_text(py, addr, buf, size);
}

static uint64_t length_if(struct mw_python *py, uint64_t addr, enum mw_py_kind kind)
{
	int32_t type = mw_py_type_of(py, addr);

	return type >= 0 && py->types[type].kind == kind ? mw_py_field(py, addr, py->layout.ob_size)
							 : UINT64_MAX;
}

/*
 * co_localsplusnames (3.11 and later) is a tuple with a name for each variable; the bytes object
 * behind it, co_localspluskinds, is as long.
 */
static uint64_t names_of_locals(struct mw_python *py, uint64_t code, uint64_t count,
				uint64_t *kinds_at)
{
	for (uint64_t at = code + (uint64_t)py->layout.object_size;
	     at + 8 < code + (uint64_t)py->layout.code_size; at += 8) {
		uint64_t names = mw_pages_word(&py->pages, at),
			 kinds = mw_pages_word(&py->pages, at + 8);

		if (length_if(py, names, MW_PY_KIND_TUPLE) == count &&
		    length_if(py, kinds, MW_PY_KIND_BYTES) == count) {
			if (kinds_at)
				*kinds_at = kinds + (uint64_t)py->layout.bytes_data;
			return names;
		}
	}
	return 0;
}

/* Up to 3.10 the names of variables, cells and free variables are three tuples, side by side. */
static uint64_t name_of_local(struct mw_python *py, uint64_t code, uint64_t index)
{
	const struct mw_py_layout *l = &py->layout;
	const int32_t places[] = {l->co_freevars - 8, l->co_cellvars, l->co_freevars};

	if (l->co_nlocalsplus >= 0) {
		uint64_t count = mw_py_frame_locals(py, code),
			 names = index < count ? names_of_locals(py, code, count, NULL) : 0;

		return names ? mw_pages_word(&py->pages,
					     names + (uint64_t)l->tuple_items + 8 * index)
			     : 0;
	}
	if (l->co_freevars < 8)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		uint64_t names = mw_py_field(py, code, places[i]),
			 n = length_if(py, names, MW_PY_KIND_TUPLE);

		if (n == UINT64_MAX)
			return 0;
		if (index < n)
			return mw_pages_word(&py->pages,
					     names + (uint64_t)l->tuple_items + 8 * index);
		index -= n;
	}
	return 0;
}

/* CO_FAST_FREE of co_localspluskinds (Include/internal/pycore_code.h), 3.11 and later. */
uint64_t mw_python__free_variables(struct mw_python *py, uint64_t code, uint64_t count)
{
	enum { FREE = 0x80 };
	const struct mw_py_layout *l = &py->layout;
	uint64_t n = 0, kinds;
	uint8_t kind;

	if (l->co_nlocalsplus < 0) {
		n = length_if(py, mw_py_field(py, code, l->co_freevars), MW_PY_KIND_TUPLE);
		return n <= count ? n : 0;
	}
	if (!names_of_locals(py, code, count, &kinds))
		return 0;
	for (uint64_t i = 0; i < count; i++)
		n += mw_pages_read(&py->pages, kinds + i, &kind, 1) && kind & FREE;
	return n;
}

bool mw_python__local_name(struct mw_python *py, uint64_t code, uint64_t index, char *buf,
			   size_t size)
{
	uint64_t name = name_of_local(py, code, index);

	return name && mw_python__text(py, name, buf, size);
}

bool mw_python__code_name(struct mw_python *py, uint64_t code, char *name, size_t size, char *file,
			  size_t file_size, uint32_t *line)
{
	const struct mw_py_layout *l = &py->layout;
	int32_t at = l->co_qualname >= 0 ? l->co_qualname : l->co_name;

	*line = mw_pages_word32(&py->pages, code + (uint64_t)l->co_firstlineno);
	if (!mw_python__text(py, mw_py_field(py, code, l->co_filename), file, file_size))
		file[0] = '\0';
	return mw_python__text(py, mw_py_field(py, code, at), name, size);
}

uint64_t mw_python__code_of(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	int32_t type = mw_py_type_of(py, addr);
	uint64_t code = 0, frame;

	if (type < 0)
		return 0;
	switch ((enum mw_py_kind)py->types[type].kind) {
	case MW_PY_KIND_FRAME:
		frame = l->f_code >= 0 ? addr : mw_py_field(py, addr, l->f_iframe);
		code = mw_py_field(py, frame, l->f_code >= 0 ? l->f_code : l->iframe_code);
		break;
	case MW_PY_KIND_GENERATOR:
		/* To 3.10: gi_frame, a byte, gi_code (Include/genobject.h). */
		code = l->gen_iframe >= 0
			       ? mw_py_field(py, addr, l->gen_iframe + l->iframe_code)
			       : mw_pages_word(&py->pages, addr + (uint64_t)l->object_size + 16);
		break;
	default:
		code = mw_py_field(py, addr, l->func_code);
	}
	code &= ~7ULL;
	type = mw_py_type_of(py, code);
	return type >= 0 && py->types[type].kind == MW_PY_KIND_CODE ? code : 0;
}

/* A task or future of _asyncio, whose module is a part of the name before it has heap types. */
static bool is_of_asyncio(const struct mw_py_type *type, const char *name)
{
	return (!strncmp(type->name, "_asyncio.", 9) && !strcmp(type->name + 9, name)) ||
	       (!strcmp(type->name, name) && !strcmp(type->module, "_asyncio"));
}

/*
 * Modules/_asynciomodule.c, FutureObj_HEAD: fut_state, an enum, is 2 when it is done. Where it lies
 * was seen in 3.6.15 to 3.15.2; it moved with each member that came before it.
 */
bool mw_python__is_done(struct mw_python *py, const struct mw_py_node *node)
{
	static const struct {
		uint32_t from, offset;
	} states[] = {
		{MW_PY_VERSION(3, 14, 0), 104}, {MW_PY_VERSION(3, 13, 0), 96},
		{MW_PY_VERSION(3, 10, 0), 88},	{MW_PY_VERSION(3, 9, 0), 80},
		{MW_PY_VERSION(3, 7, 0), 72},	{MW_PY_VERSION(3, 6, 0), 56},
	};
	const struct mw_py_type *type = node->object ? &py->types[node->type] : NULL;

	if (!type || py->layout.free_threaded ||
	    (!is_of_asyncio(type, "Task") && !is_of_asyncio(type, "Future")))
		return false;
	for (size_t i = 0; i < MW_ARRAY_SIZE(states); i++) {
		if (py->info.hex >= states[i].from)
			return (uint32_t)mw_pages_word(&py->pages,
						       node->object + states[i].offset) == 2;
	}
	return false;
}

/*
 * Modules/_asynciomodule.c, TaskObj: task_name is the word behind task_coro; from 3.12 on it is a
 * number until somebody asks for the name. Before 3.8 tasks have none.
 */
bool mw_python__task_name(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	int32_t index = addr ? mw_py_type_of(py, addr) : -1;
	char number[VALUE];

	if (index < 0 || !is_of_asyncio(&py->types[index], "Task"))
		return false;
	for (uint64_t at = (uint64_t)py->layout.object_size; at + 16 <= py->types[index].basicsize;
	     at += 8) {
		int32_t type = mw_py_type_of(py, mw_pages_word(&py->pages, addr + at));
		uint64_t name = mw_pages_word(&py->pages, addr + at + 8);

		if (type < 0 || py->types[type].kind != MW_PY_KIND_GENERATOR)
			continue;
		if (mw_python__text(py, name, buf, size))
			return true;
		type = mw_py_type_of(py, name);
		if (type < 0 || py->types[type].kind != MW_PY_KIND_LONG)
			return false;
		mw_py_repr(py, name, number, sizeof(number));
		snprintf(buf, size, "Task-%s", number);
		return true;
	}
	return false;
}

/*
 * ---- members ----------------------------------------------------------------------------------
 */

struct member {
	struct mw_python *py;
	uint64_t offset;
	char *buf;
	size_t size;
};

/*
 * Include/descrobject.h, PyMemberDescrObject: d_type, d_name, d_qualname (not in 2.7), d_member;
 * Include/structmember.h, PyMemberDef: name, type, offset.
 */
static int see_member(void *arg, const struct mw_py_referent *r)
{
	const struct member *m = arg;
	struct mw_python *py = m->py;
	uint64_t head = (uint64_t)py->layout.object_size, def, offset;
	int32_t type;

	if (r->via != MW_PY_VIA_VALUE)
		return 0;
	type = mw_py_type_of(py, r->addr);
	if (type < 0 || strcmp(py->types[type].name, "member_descriptor"))
		return 0;
	def = mw_pages_word(&py->pages,
			    r->addr + head + (py->info.hex < MW_PY_VERSION(3, 0, 0) ? 16 : 24));
	offset = mw_pages_word(&py->pages, def + 16);
	return offset == m->offset && mw_python__text(py, r->key, m->buf, m->size);
}

/*
 * The dictionary of the type at TYPE. From 3.12 on those of static types are the interpreter's:
 * struct static_builtin_state, later managed_static_type_state (pycore_typeobject.h), is the type,
 * a word or two of flags, and the dictionary.
 */
static uint64_t type_dict(struct mw_python *py, uint64_t type)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t dict = mw_py_field(py, type, l->tp_dict);

	for (size_t i = 0; !dict && i < py->interpreter_count; i++) {
		uint64_t at = py->interpreters[i].addr, end = at + (uint64_t)l->interp_size;

		for (; !dict && at + 32 <= end; at += 8) {
			if (mw_pages_word(&py->pages, at) != type)
				continue;
			dict = mw_pages_word(&py->pages, at + 16);
			if (mw_python__sort(py, mw_py_type_of(py, dict)) != MW_PY_SORT_DICT)
				dict = mw_pages_word(&py->pages, at + 24);
			if (mw_python__sort(py, mw_py_type_of(py, dict)) != MW_PY_SORT_DICT)
				dict = 0;
		}
	}
	return dict;
}

bool mw_python__member(struct mw_python *py, uint64_t addr, uint64_t offset, char *buf, size_t size)
{
	struct member m = {py, offset, buf, size};
	int32_t index = mw_py_type_of(py, addr);
	uint64_t type = index < 0 ? 0 : py->types[index].addr;

	for (unsigned int depth = 0; type && depth < BASES_MAX; depth++) {
		if (mw_python__referents(py, type_dict(py, type), see_member, &m))
			return true;
		type = mw_py_field(py, type, py->layout.tp_base);
	}
	return false;
}

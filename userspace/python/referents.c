// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an object refers to, by the layout of its type. Of an object's own fields every word is
 * taken, since only those that are an object's address, or lie in memory that the program
 * allocated, lead anywhere (mw_python__number()); what a type borrows is left out by name.
 */
#include <string.h>

#include "python/python_impl.h"
#include "python/referents.h"
#include "util/array.h"

enum { PIECE = 64, WEAKREF_CALLBACK = 24, WEAKREF_SIZE = 56 };

/* Values of an instance and of a split table, and variables of a frame, at most. */
enum { VALUES_MAX = 256, SPLIT_MAX = 1 << 16, SLOTS_MAX = 1 << 20 };

struct stream {
	struct mw_python *py;
	mw_py_referent_fn fn;
	void *arg;
	int ret; /* other than 0: it has ended */
};

static void emit(struct stream *s, enum mw_py_via via, uint64_t addr, uint64_t key, uint64_t index)
{
	const struct mw_py_referent r = {.addr = addr, .key = key, .index = index, .via = via};

	if (addr >= 4096 && !s->ret)
		s->ret = s->fn(s->arg, &r);
}

/* Where in memory that the allocator gave ADDR's block ends; UINT64_MAX: in no known block. */
static uint64_t end_of_block(struct mw_python *py, uint64_t addr)
{
	uint64_t start, size;

	return mw_py_label_at(py, addr, &start, &size) ? start + size : UINT64_MAX;
}

/*
 * May a table be read on, of which END says where its block ends? What lies in no known block ends
 * where memory does, and damaged lengths may be anything, so that together they have a limit.
 */
static bool may_read_on(struct mw_python *py, uint64_t end)
{
	return end != UINT64_MAX || mw_py_may_follow(py);
}

/* COUNT words at ADDR, every STEP-th, as VIA; stops where they can't be read. */
static void emit_words(struct stream *s, enum mw_py_via via, uint64_t addr, uint64_t count,
		       uint64_t first, uint64_t step)
{
	uint64_t words[PIECE], end = end_of_block(s->py, addr);

	if (count > (end - addr) / 8)
		count = (end - addr) / 8;
	for (uint64_t i = 0; i < count && !s->ret; i += PIECE) {
		uint64_t n = count - i < PIECE ? count - i : PIECE;

		if (!may_read_on(s->py, end) ||
		    !mw_pages_read(&s->py->pages, addr + 8 * i, words, 8 * n))
			return;
		for (uint64_t k = 0; k < n && !s->ret; k++)
			emit(s, via, words[k], 0, first + step * (i + k));
	}
}

/*
 * ---- an object's own fields -------------------------------------------------------------------
 */

/* What lies behind an object of that type are no references. */
#define BORROWED_ITEMS (1ULL << 63)

/* The collector does not track them, but who keeps them visits what they refer to. */
#define VISITED_THROUGH (1ULL << 62)

/*
 * Words of an object that are borrowed, so that they keep nothing alive: a bit for each, the first
 * word of the object being bit 0. Modules/_functoolsmodule.c: links of the list in order of use;
 * Modules/_threadmodule.c: localdummyobject; Objects/memoryobject.c: view.obj, which the managed
 * buffer owns.
 */
uint64_t mw_py_borrowed(const char *type)
{
	static const struct {
		const char *type;
		uint64_t words;
	} known[] = {
		{"functools._lru_list_elem", 3 << 2 | VISITED_THROUGH},
		{"functools.lru_list_elem", 3 << 2 | VISITED_THROUGH},
		{"functools._lru_cache_wrapper", 3 << 2},
		{"_thread._localdummy", 1 << 2},
		{"memoryview", 1 << 8 | BORROWED_ITEMS},
	};

	for (size_t i = 0; i < MW_ARRAY_SIZE(known); i++) {
		if (!strcmp(known[i].type, type))
			return known[i].words;
	}
	return 0;
}

/* The words from FROM to TO of the object at ADDR. */
static void emit_fields(struct stream *s, const struct mw_py_type *t, uint64_t addr, uint64_t from,
			uint64_t to)
{
	uint64_t head = (uint64_t)s->py->layout.object_size - 16, words[PIECE];

	for (uint64_t at = from; at < to && !s->ret; at += 8 * PIECE) {
		uint64_t n = (to - at) / 8 < PIECE ? (to - at) / 8 : PIECE;

		if (!mw_pages_read(&s->py->pages, addr + at, words, 8 * n))
			return;
		for (uint64_t k = 0; k < n && !s->ret; k++) {
			uint64_t offset = at + 8 * k, bit = (offset - head) / 8;

			if (offset == (uint64_t)t->weaklistoffset ||
			    (bit < 62 && t->borrowed >> bit & 1))
				continue;
			emit(s,
			     offset == (uint64_t)t->dictoffset ? MW_PY_VIA_DICT : MW_PY_VIA_FIELD,
			     words[k], 0, offset);
		}
	}
}

/* From FROM on, what a subclass adds to its base. */
static void emit_rest(struct stream *s, const struct mw_py_type *t, uint64_t addr, int32_t from)
{
	if (from >= 0 && t->basicsize > (uint64_t)from)
		emit_fields(s, t, addr, (uint64_t)from, t->basicsize);
}

/* A dictionary that lies behind an object's items (PyObject_GenericGetDict()). */
static void emit_dict_behind(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	int64_t count;

	if (t->dictoffset >= 0 || t->managed_dict || !t->itemsize)
		return;
	count = (int64_t)mw_py_field(s->py, addr, s->py->layout.ob_size);
	if (t->kind == MW_PY_KIND_LONG && s->py->layout.long_tag >= 0)
		count >>= 3;
	count = count < 0 ? -count : count;
	if ((uint64_t)count > end_of_block(s->py, addr) - addr)
		return;
	addr += (t->basicsize + (uint64_t)count * t->itemsize + 7) & ~7ULL;
	emit(s, MW_PY_VIA_DICT,
	     mw_pages_word(&s->py->pages, addr + (uint64_t)(int64_t)t->dictoffset), 0, 0);
}

/*
 * Values that an instance keeps apart from a dictionary, 3.11 and later, named by the keys that its
 * class keeps: Objects/dictobject.c, _PyObject_VisitInstanceAttributes().
 */
static void emit_values(struct stream *s, const struct mw_py_type *t, uint64_t values)
{
	struct mw_python *py = s->py;
	uint64_t keys = mw_py_field(py, t->addr, py->layout.ht_cached_keys);
	struct mw_py_keys k;

	if (!keys || !mw_py_keys(py, keys, &k))
		return;
	for (uint64_t i = 0; i < k.entry_count && i < VALUES_MAX && !s->ret; i++)
		emit(s, MW_PY_VIA_ATTR, mw_pages_word(&py->pages, values + 8 * i),
		     mw_pages_word(&py->pages, k.entries + i * k.entry_size + k.entry_key), i);
}

/* The words before an object: Include/internal/pycore_object.h, "pre-header". */
static void emit_managed(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	enum { INLINE_VALUES = 1 << 2, VALID = 3 };
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	uint64_t dict, values = 0;
	uint8_t head[4];

	if (py->info.hex < MW_PY_VERSION(3, 12, 0)) {
		values = mw_pages_word(&py->pages, addr - 32);
		dict = mw_pages_word(&py->pages, addr - 24);
	} else if (py->info.hex < MW_PY_VERSION(3, 13, 0)) {
		dict = mw_pages_word(&py->pages, addr - 24);
		if (dict & 1) {
			values = dict + 1; /* _PyDictOrValues_SetValues() takes 1 away */
			dict = 0;
		}
	} else {
		dict = mw_pages_word(&py->pages, l->free_threaded ? addr - 8 : addr - 24);
		/* struct _dictvalues: capacity, size, embedded, valid, then the values. */
		if (t->flags & INLINE_VALUES &&
		    mw_pages_read(&py->pages, addr + t->basicsize, head, sizeof(head)) &&
		    head[VALID])
			emit_values(s, t, addr + t->basicsize + (uint64_t)l->dictvalues_values);
	}
	if (values) {
		emit(s, MW_PY_VIA_BUFFER, values, 0, 0);
		emit_values(s, t, values);
	}
	emit(s, MW_PY_VIA_DICT, dict, 0, 0);
}

/*
 * ---- containers ---------------------------------------------------------------------------------
 */

/* Keys that are interned and their own values are the table of interned strings: it keeps none. */
static bool is_interned(struct mw_python *py, uint64_t key, uint64_t value)
{
	return key == value && py->layout.ascii_state >= 0 &&
	       mw_pages_word32(&py->pages, key + (uint64_t)py->layout.ascii_state) & 3;
}

static void emit_table(struct stream *s, uint64_t entries, uint64_t count, uint64_t entry_size,
		       uint64_t entry_key)
{
	enum { WORDS = 3 * 128 };
	struct mw_python *py = s->py;
	uint64_t words[WORDS], step = entry_size / 8, end = end_of_block(py, entries);
	uint64_t piece = WORDS / step;

	if (count > (end - entries) / entry_size)
		count = (end - entries) / entry_size;
	for (uint64_t i = 0; i < count && !s->ret; i += piece) {
		uint64_t n = count - i < piece ? count - i : piece;

		if (!may_read_on(py, end) ||
		    !mw_pages_read(&py->pages, entries + i * entry_size, words, n * entry_size))
			return;
		for (uint64_t k = 0; k < n && !s->ret; k++) {
			uint64_t key = words[step * k + entry_key / 8];
			uint64_t value = words[step * k + entry_key / 8 + 1];

			if (!value || is_interned(py, key, value))
				continue;
			emit(s, MW_PY_VIA_KEY, key, 0, i + k);
			emit(s, MW_PY_VIA_VALUE, value, key, i + k);
		}
	}
}

/* A dictionary of values whose keys are shared with others: only the values are its own. */
static void emit_split(struct stream *s, uint64_t values, const struct mw_py_keys *k)
{
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;

	if (l->dictvalues_embedded >= 0) {
		uint8_t embedded = 0;

		/* The instance's, which has them already. */
		if (!mw_pages_read(&py->pages, values + (uint64_t)l->dictvalues_embedded, &embedded,
				   1) ||
		    embedded)
			return;
	}
	emit(s, MW_PY_VIA_BUFFER, values, 0, 0);
	values += l->dictvalues_embedded >= 0 ? (uint64_t)l->dictvalues_values : 0;
	for (uint64_t i = 0; i < k->entry_count && i < SPLIT_MAX && !s->ret; i++)
		emit(s, MW_PY_VIA_VALUE, mw_pages_word(&py->pages, values + 8 * i),
		     mw_pages_word(&py->pages, k->entries + i * k->entry_size + k->entry_key), i);
}

static void emit_dict(struct stream *s, uint64_t addr)
{
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	uint64_t keys, values;
	struct mw_py_keys k;

	if (l->ma_table >= 0) { /* 2.7 */
		uint64_t table = mw_py_field(py, addr, l->ma_table);

		if (table != addr + (uint64_t)l->ma_smalltable)
			emit(s, MW_PY_VIA_BUFFER, table, 0, 0);
		emit_table(s, table, mw_py_field(py, addr, l->ma_mask) + 1, 24, 8);
		return;
	}
	keys = mw_py_field(py, addr, l->ma_keys);
	values = mw_py_field(py, addr, l->ma_values);
	emit(s, MW_PY_VIA_BUFFER, keys, 0, 0);
	if (!keys || !mw_py_keys(py, keys, &k))
		return;
	if (values)
		emit_split(s, values, &k);
	else
		emit_table(s, k.entries, k.entry_count, k.entry_size, k.entry_key);
}

/* The nodes of an OrderedDict's list. */
static void emit_nodes(struct stream *s, uint64_t addr)
{
	uint64_t used = mw_py_field(s->py, addr, s->py->layout.ma_used), node = 0;

	for (uint64_t i = 0; i < used && !s->ret && mw_py_may_follow(s->py); i++) {
		node = mw_py_odict_node(s->py, addr, node);
		if (!node)
			return;
		emit(s, MW_PY_VIA_BUFFER, node, 0, 0);
	}
}

static void emit_deque(struct stream *s, uint64_t addr)
{
	struct mw_py_deque d;

	if (!mw_py_deque(s->py, addr, &d))
		return;
	for (uint64_t i = 0, slot = d.first; d.block && !s->ret && mw_py_may_follow(s->py);) {
		uint64_t n = d.per_block - slot;

		n = n < d.length - i ? n : d.length - i;
		emit(s, MW_PY_VIA_BUFFER, d.block, 0, 0);
		emit_words(s, MW_PY_VIA_ITEM, d.block + d.items + 8 * slot, n, i, 1);
		i += n;
		slot = 0;
		if (i >= d.length)
			return;
		d.block = mw_pages_word(&s->py->pages, d.block + d.next);
	}
}

/* The objects that an array of numpy has. */
static void emit_array(struct stream *s, uint64_t addr)
{
	uint64_t items, count = mw_py_ndarray_objects(s->py, addr, &items);

	emit_words(s, MW_PY_VIA_ITEM, items, count, 0, 1);
}

/* The characters that a str keeps apart, and those that it keeps in another form. */
static void emit_characters(struct stream *s, uint64_t addr)
{
	const struct mw_py_layout *l = &s->py->layout;
	enum mw_py_str shape = mw_py_str_shape(s->py, addr);

	emit(s, MW_PY_VIA_BUFFER, mw_py_field(s->py, addr, l->ascii_wstr), 0, 0);
	if (shape == MW_PY_STR_ASCII)
		return;
	emit(s, MW_PY_VIA_BUFFER, mw_py_field(s->py, addr, l->compact_utf8), 0, 0);
	if (shape == MW_PY_STR_LEGACY)
		emit(s, MW_PY_VIA_BUFFER, mw_py_field(s->py, addr, l->unicode_data), 0, 0);
}

static void emit_set(struct stream *s, uint64_t addr)
{
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	uint64_t table = mw_py_field(py, addr, l->set_table), words[2 * PIECE];
	uint64_t count = mw_py_field(py, addr, l->set_mask) + 1;
	uint64_t end = end_of_block(py, table);
	/* Python 2 has the hash before the key. */
	unsigned int key = py->info.hex < MW_PY_VERSION(3, 0, 0);

	if (table != addr + (uint64_t)l->set_smalltable)
		emit(s, MW_PY_VIA_BUFFER, table, 0, 0);
	if (count > (end - table) / 16)
		count = (end - table) / 16;
	for (uint64_t i = 0; i < count && !s->ret; i += PIECE) {
		uint64_t n = count - i < PIECE ? count - i : PIECE;

		if (!may_read_on(py, end) ||
		    !mw_pages_read(&py->pages, table + 16 * i, words, 16 * n))
			return;
		/* A deleted entry holds an object without a name, and a hash of -1. */
		for (uint64_t k = 0; k < n && !s->ret; k++) {
			if (words[2 * k + !key] != UINT64_MAX)
				emit(s, MW_PY_VIA_MEMBER, words[2 * k + key], 0, i + k);
		}
	}
}

/* ---- frames --------------------------------------------------------------------------------- */

/* From 3.14 on the low bits of what a frame holds are marks; both set: a number. */
static uint64_t untag(const struct mw_python *py, uint64_t word)
{
	if (py->info.hex < MW_PY_VERSION(3, 13, 0))
		return word;
	return (word & 3) == 3 ? 0 : word & ~7ULL;
}

/* LOCALS of them are variables, and of the stack behind them COUNT - LOCALS are in use. */
static void emit_slots(struct stream *s, uint64_t addr, uint64_t locals, uint64_t count)
{
	/* A mark on the stack: borrowed from a variable. */
	uint64_t borrowed = s->py->info.hex >= MW_PY_VERSION(3, 14, 0);
	uint64_t end = end_of_block(s->py, addr);

	count = count < SLOTS_MAX ? count : SLOTS_MAX;
	if (count > (end - addr) / 8)
		count = (end - addr) / 8;
	for (uint64_t i = 0; i < count && !s->ret && may_read_on(s->py, end); i++) {
		uint64_t word = mw_pages_word(&s->py->pages, addr + 8 * i);

		if (i < locals || !(word & borrowed))
			emit(s, i < locals ? MW_PY_VIA_LOCAL : MW_PY_VIA_STACK, untag(s->py, word),
			     0, i);
	}
}

uint64_t mw_py_frame_locals(struct mw_python *py, uint64_t code)
{
	const struct mw_py_layout *l = &py->layout;

	if (l->co_nlocalsplus >= 0)
		return mw_pages_word32(&py->pages, code + (uint64_t)l->co_nlocalsplus);
	return mw_pages_word32(&py->pages, code + (uint64_t)l->co_nlocals) +
	       mw_py_field(py, mw_py_field(py, code, l->co_cellvars), l->ob_size) +
	       mw_py_field(py, mw_py_field(py, code, l->co_freevars), l->ob_size);
}

/* Words of the frame at FRAME, 3.11 and later, that are in use; LOCALS of them are variables. */
static uint64_t frame_depth(struct mw_python *py, uint64_t frame, uint64_t locals)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t top, base = frame + (uint64_t)l->iframe_localsplus;

	if (l->iframe_stacktop < 0)
		return locals;
	top = mw_py_field(py, frame, l->iframe_stacktop);
	if (py->info.hex >= MW_PY_VERSION(3, 14, 0))
		top = top > base ? (top - base) / 8 : 0; /* a pointer */
	else
		top = (uint64_t)(int32_t)top; /* a number, -1 while it runs */
	return top > locals && top < SLOTS_MAX ? top : locals;
}

/*
 * Include/internal/pycore_frame.h, struct _PyInterpreterFrame: what it owns are its code, its
 * function (the first word in 3.11, later behind code and previous frame), its own locals (before
 * the frame object, in 3.11 with the code in between), the frame object and its variables.
 */
int mw_python__frame_referents(struct mw_python *py, uint64_t frame, mw_py_referent_fn fn,
			       void *arg)
{
	const struct mw_py_layout *l = &py->layout;
	struct stream s = {py, fn, arg, 0};
	uint64_t code = untag(py, mw_py_field(py, frame, l->iframe_code)), locals;
	bool first = py->info.hex < MW_PY_VERSION(3, 12, 0);
	int32_t function = first ? 0 : l->iframe_code + 16;
	int32_t mapping = l->iframe_frame_obj - (first ? 16 : 8);

	if (l->iframe_code < 0 || l->iframe_localsplus < 0 || l->iframe_frame_obj < 0)
		return 0;
	emit(&s, MW_PY_VIA_FIELD, code, 0, (uint64_t)l->iframe_code);
	emit(&s, MW_PY_VIA_FIELD, untag(py, mw_py_field(py, frame, function)), 0,
	     (uint64_t)function);
	emit(&s, MW_PY_VIA_FIELD, mw_py_field(py, frame, mapping), 0, (uint64_t)mapping);
	emit(&s, MW_PY_VIA_FIELD, mw_py_field(py, frame, l->iframe_frame_obj), 0,
	     (uint64_t)l->iframe_frame_obj);
	if (mw_py_type_of(py, code) < 0 ||
	    py->types[mw_py_type_of(py, code)].kind != MW_PY_KIND_CODE)
		return s.ret;
	locals = mw_py_frame_locals(py, code);
	emit_slots(&s, frame + (uint64_t)l->iframe_localsplus, locals,
		   frame_depth(py, frame, locals));
	return s.ret;
}

void mw_python__frame_stack(struct mw_python *py, const struct mw_py_frame_at *frame,
			    uint64_t *start, uint64_t *end)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t locals = mw_py_frame_locals(py, frame->code);
	uint64_t depth = mw_pages_word32(&py->pages, frame->code + (uint64_t)l->co_stacksize);
	int32_t type = frame->is_object ? mw_py_type_of(py, frame->addr) : -1;

	locals = locals < SLOTS_MAX ? locals : 0;
	depth = depth < SLOTS_MAX ? depth : 0;
	*start = frame->addr + 8 * locals;
	if (!frame->is_object)
		*start += (uint64_t)l->iframe_localsplus;
	else if (type >= 0)
		*start += py->types[type].basicsize - 8;
	*end = *start + 8 * depth;
}

static void emit_frame_within(struct stream *s, uint64_t frame)
{
	if (!s->ret)
		s->ret = mw_python__frame_referents(s->py, frame, s->fn, s->arg);
}

static void emit_generator(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	/* The states that come after FRAME_SUSPENDED and FRAME_EXECUTING: the frame is cleared. */
	int8_t dead = py->info.hex >= MW_PY_VERSION(3, 15, 0) ? 5 : 1, state = 0;

	if (l->gen_iframe < 0) { /* the frame is an object */
		emit_fields(s, t, addr, (uint64_t)l->object_size, t->basicsize);
		return;
	}
	emit_fields(s, t, addr, (uint64_t)l->object_size, (uint64_t)l->gen_iframe);
	if (l->gen_state >= 0)
		mw_pages_read(&py->pages, addr + (uint64_t)l->gen_state, &state, 1);
	if (state < dead)
		emit_frame_within(s, addr + (uint64_t)l->gen_iframe);
}

/*
 * Include/frameobject.h to 3.10: f_valuestack is the fifth word from f_code on and f_stacktop the
 * sixth, in 3.10 a number two words before f_lasti; f_gen, or f_tstate in 2.7, is borrowed and the
 * word before f_lasti. The variables are the object's last member. From 3.11 on a frame that has
 * left the stack is copied behind the object (FRAME_OWNED_BY_FRAME_OBJECT is 2).
 */
static void emit_frame(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	enum { OWNED_BY_OBJECT = 2 };
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	uint64_t first = (uint64_t)l->object_size, locals, base, top;

	if (l->f_frame_data >= 0) {
		uint64_t frame = mw_py_field(py, addr, l->f_iframe);
		uint8_t owner = 0;

		emit_fields(s, t, addr, first, (uint64_t)l->f_frame_data);
		if (mw_pages_read(&py->pages, frame + (uint64_t)l->iframe_owner, &owner, 1) &&
		    owner == OWNED_BY_OBJECT)
			emit_frame_within(s, frame);
		return;
	}
	if (l->f_code < 0 || l->f_lasti < 0)
		return;
	emit_fields(s, t, addr, first, (uint64_t)l->f_lasti - 8);
	base = addr + t->basicsize - 8;
	locals = mw_py_frame_locals(py, mw_py_field(py, addr, l->f_code));
	top = mw_py_field(py, addr, l->f_code + 40);
	if (py->info.hex >= MW_PY_VERSION(3, 10, 0))
		top = locals + mw_pages_word32(&py->pages, addr + (uint64_t)l->f_lasti - 16);
	else
		top = top > base ? (top - base) / 8 : 0;
	emit_slots(s, base, locals, top > locals && top < SLOTS_MAX ? top : locals);
}

/* ---- any object ----------------------------------------------------------------------------- */

/* Names of attributes that instances of the class at ADDR have in common. */
static void emit_shared_keys(struct stream *s, uint64_t addr)
{
	uint64_t keys = mw_py_field(s->py, addr, s->py->layout.ht_cached_keys);
	struct mw_py_keys k;

	if (!keys || !mw_py_keys(s->py, keys, &k))
		return;
	for (uint64_t i = 0; i < k.entry_count && i < VALUES_MAX && !s->ret; i++)
		emit(s, MW_PY_VIA_KEY,
		     mw_pages_word(&s->py->pages, k.entries + i * k.entry_size + k.entry_key), 0,
		     i);
}

/* Items behind an object of a type that is not known to be anything else. */
static void emit_items_behind(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	int64_t n = (int64_t)mw_py_field(s->py, addr, s->py->layout.ob_size);

	if (t->borrowed & BORROWED_ITEMS || t->itemsize < 8 || t->itemsize % 8 || n <= 0 ||
	    n > 1LL << 40)
		return;
	emit_words(s, MW_PY_VIA_WORD, addr + t->basicsize, (uint64_t)n * (t->itemsize / 8),
		   t->basicsize, 8);
}

static void emit_contents(struct stream *s, const struct mw_py_type *t, uint64_t addr)
{
	struct mw_python *py = s->py;
	const struct mw_py_layout *l = &py->layout;
	uint64_t first = (uint64_t)l->object_size;

	switch ((enum mw_py_kind)t->kind) {
	case MW_PY_KIND_STR:
		emit_characters(s, addr);
		emit_rest(s, t, addr, l->unicode_size);
		break;
	case MW_PY_KIND_UNICODE2:
		emit(s, MW_PY_VIA_BUFFER, mw_py_field(py, addr, l->unicode2_str), 0, 0);
		emit(s, MW_PY_VIA_FIELD, mw_py_field(py, addr, l->unicode2_defenc), 0,
		     (uint64_t)l->unicode2_defenc);
		emit_rest(s, t, addr, l->unicode2_size);
		break;
	case MW_PY_KIND_INT:
	case MW_PY_KIND_FLOAT:
		emit_rest(s, t, addr, l->object_size + 8);
		break;
	case MW_PY_KIND_LONG:
	case MW_PY_KIND_BYTES:
		break;
	case MW_PY_KIND_TUPLE:
		emit_words(s, MW_PY_VIA_ITEM, addr + (uint64_t)l->tuple_items,
			   mw_py_field(py, addr, l->ob_size), 0, 1);
		break;
	case MW_PY_KIND_LIST:
		emit(s, MW_PY_VIA_BUFFER, mw_py_field(py, addr, l->list_items), 0, 0);
		emit_words(s, MW_PY_VIA_ITEM, mw_py_field(py, addr, l->list_items),
			   mw_py_field(py, addr, l->ob_size), 0, 1);
		emit_rest(s, t, addr, l->list_allocated + 8);
		break;
	case MW_PY_KIND_ODICT:
		emit_nodes(s, addr);
		emit_dict(s, addr);
		emit_rest(s, t, addr, l->dict_size);
		break;
	case MW_PY_KIND_DICT:
		emit_dict(s, addr);
		emit_rest(s, t, addr, l->dict_size);
		break;
	case MW_PY_KIND_SET:
		emit_set(s, addr);
		emit_rest(s, t, addr, l->set_size);
		break;
	case MW_PY_KIND_DEQUE:
		emit_deque(s, addr);
		emit_fields(s, t, addr, first, t->basicsize);
		break;
	case MW_PY_KIND_NDARRAY:
		emit_array(s, addr);
		emit_fields(s, t, addr, first, t->basicsize);
		break;
	case MW_PY_KIND_WEAKREF:
		emit(s, MW_PY_VIA_FIELD,
		     mw_pages_word(&py->pages, addr + WEAKREF_CALLBACK + first - 16), 0,
		     WEAKREF_CALLBACK + first - 16);
		emit_rest(s, t, addr, WEAKREF_SIZE + (int32_t)first - 16);
		break;
	case MW_PY_KIND_TYPE:
		emit_fields(s, t, addr, first, t->basicsize);
		emit_shared_keys(s, addr);
		emit(s, MW_PY_VIA_FIELD, mw_py_library_prototype(py, addr), 0,
		     (uint64_t)l->tp_dict);
		break;
	case MW_PY_KIND_GENERATOR:
		emit_generator(s, t, addr);
		break;
	case MW_PY_KIND_FRAME:
		emit_frame(s, t, addr);
		break;
	case MW_PY_KIND_CODE:
		emit_fields(s, t, addr, first, t->basicsize);
		break;
	default:
		emit_fields(s, t, addr, first, t->basicsize);
		emit_items_behind(s, t, addr);
	}
}

static int type_referents(struct mw_python *py, const struct mw_py_type *t, uint64_t addr,
			  mw_py_referent_fn fn, void *arg)
{
	struct stream s = {py, fn, arg, 0};

	emit_contents(&s, t, addr);
	if (t->managed_dict)
		emit_managed(&s, t, addr);
	else
		emit_dict_behind(&s, t, addr);
	if (t->heap_type)
		emit(&s, MW_PY_VIA_TYPE, t->addr, 0, 0);
	return s.ret;
}

int mw_python__referents(struct mw_python *py, uint64_t addr, mw_py_referent_fn fn, void *arg)
{
	int32_t type = mw_py_type_of(py, addr);
	struct mw_py_type t;

	if (type < 0)
		return 0;
	mw_py_allow_links(py);
	t = py->types[type]; /* the table may move when another type is met */
	return type_referents(py, &t, addr, fn, arg);
}

int mw_python__node_referents(struct mw_python *py, const struct mw_py_node *node,
			      mw_py_referent_fn fn, void *arg)
{
	struct stream s = {py, fn, arg, 0};

	if (node->what == MW_PY_WHAT_OBJECT && node->object) {
		struct mw_py_type t = py->types[node->type];

		return type_referents(py, &t, node->object, fn, arg);
	}
	if (node->what == MW_PY_WHAT_DATA)
		emit_words(&s, MW_PY_VIA_WORD, node->start, node->size / 8, 0, 8);
	return s.ret;
}

/*
 * The collector's view: subtype_traverse() visits an object's class from 3.9 on; of a class nobody
 * visits tp_subclasses, which lies before tp_weaklist.
 */
bool mw_python__is_visited(struct mw_python *py, const struct mw_py_node *node,
			   const struct mw_py_referent *r)
{
	const struct mw_py_type *t;

	if (!node->object)
		return false;
	t = &py->types[node->type];
	if (!node->tracked && !(t->borrowed & VISITED_THROUGH))
		return false;
	if (r->via == MW_PY_VIA_BUFFER)
		return false;
	if (r->via == MW_PY_VIA_TYPE)
		return py->info.hex >= MW_PY_VERSION(3, 9, 0);
	return t->kind != MW_PY_KIND_TYPE || r->via != MW_PY_VIA_FIELD ||
	       r->index + 8 != (uint64_t)t->weaklistoffset;
}

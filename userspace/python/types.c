// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Types: an address is a type if its own type leads to `type`, the one object that is its own
 * type, and its fields have possible values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/chars.h"
#include "python/python_impl.h"
#include "util/array.h"
#include "util/text.h"

/* Include/object.h and Include/cpython/object.h; the lower ones mean something else before. */
enum {
	FLAG_MANAGED_WEAKREF = 1 << 3, /* 3.12 */
	FLAG_MANAGED_DICT = 1 << 4,    /* 3.11 */
	FLAG_HEAPTYPE = 1 << 9,
	FLAG_HAVE_GC = 1 << 14,
	FLAG_INT = 1 << 23, /* 2.7 */
	FLAG_LONG = 1 << 24,
	FLAG_LIST = 1 << 25,
	FLAG_TUPLE = 1 << 26,
	FLAG_BYTES = 1 << 27,
	FLAG_UNICODE = 1 << 28,
	FLAG_DICT = 1 << 29,
};

#define FLAG_TYPE (1ULL << 31)

enum {
	TYPES_MAX = 1 << 22,
	META_DEPTH = 8,
	BASES_MAX = 64,
	BASIC_MAX = 1 << 20,
	ITEM_MAX = 1 << 16
};

bool mw_py_c_text(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	char raw[128];
	size_t len = 0;

	while (len < sizeof(raw)) {
		if (!mw_pages_read(&py->pages, addr + len, raw + len, 1))
			return false;
		if (!raw[len])
			break;
		/* Python 3 allows any letter in a name, so only control characters are out. */
		if ((unsigned char)raw[len] < ' ')
			return false;
		len++;
	}
	mw_text_clean(buf, size, raw, len);
	return len > 0;
}

/* Is there memory at ADDR that the image lacks, as a core does that was cut short? */
static bool is_lost(struct mw_python *py, uint64_t addr)
{
	char c;

	return addr && !mw_pages_read(&py->pages, addr, &c, 1);
}

/* The built-in types that a flag of theirs gives away: their base has it not. */
static const char *name_by_flag(struct mw_python *py, uint64_t addr)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} known[] = {
		{FLAG_LONG, "int"},    {FLAG_LIST, "list"},   {FLAG_TUPLE, "tuple"},
		{FLAG_BYTES, "bytes"}, {FLAG_UNICODE, "str"}, {FLAG_DICT, "dict"},
		{FLAG_TYPE, "type"},
	};
	uint64_t flags = mw_py_field(py, addr, py->layout.tp_flags);
	uint64_t base = mw_py_field(py, addr, py->layout.tp_base);
	uint64_t of_base = base ? mw_py_field(py, base, py->layout.tp_flags) : 0;

	for (size_t i = 0; !(flags & FLAG_HEAPTYPE) && i < MW_ARRAY_SIZE(known); i++) {
		if (flags & ~of_base & known[i].flag)
			return known[i].name;
	}
	return NULL;
}

/* tp_name of the type at ADDR; where that is lost, what else tells it, or its address. */
static bool type_text(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	uint64_t name = mw_py_field(py, addr, py->layout.tp_name);

	if (mw_py_lost_name(py, addr, buf, size))
		return true;
	if (mw_py_c_text(py, name, buf, size))
		return true;
	if (!is_lost(py, name))
		return false;
	if (name_by_flag(py, addr))
		snprintf(buf, size, "%s", name_by_flag(py, addr));
	else if (!mw_py_name_by_modules(py, addr, buf, size))
		snprintf(buf, size, "type at 0x%llx", (unsigned long long)addr);
	return true;
}

/* LENGTH characters of WIDTH bytes each at DATA. */
static bool wide_text(struct mw_python *py, uint64_t data, uint64_t length, unsigned int width,
		      char *buf, size_t size)
{
	enum { MAX = 160 };
	uint8_t raw[4 * MAX];
	char text[4 * MAX];
	size_t n = length < MAX ? (size_t)length : MAX;

	if (!mw_pages_read(&py->pages, data, raw, n * width))
		return false;
	mw_text_clean(buf, size, text, mw_py_utf8(text, raw, n, width));
	return true;
}

bool mw_py_text(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	const struct mw_py_layout *l = &py->layout;
	enum mw_py_str shape;
	uint64_t length;

	if (!addr || addr % 8)
		return false;
	if (l->ascii_size < 0) /* 2.7: str is bytes */
		return wide_text(py, addr + (uint64_t)l->bytes_data,
				 mw_py_field(py, addr, l->ob_size), 1, buf, size);
	length = mw_py_field(py, addr, l->ascii_length);
	shape = mw_py_str_shape(py, addr);
	if (shape == MW_PY_STR_ASCII)
		return wide_text(py, addr + (uint64_t)l->ascii_size, length, 1, buf, size);
	if (shape == MW_PY_STR_LEGACY)
		return wide_text(py, mw_py_field(py, addr, l->unicode_data), length,
				 mw_py_str_width(py, addr), buf, size);
	return wide_text(py, addr + (uint64_t)l->compact_size, length, shape, buf, size);
}

/* ADDR's type, followed up to `type` itself; 0: it does not get there. */
static uint64_t metatype(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t t = mw_py_field(py, addr, l->ob_type);
	char name[16];

	if (mw_py_lost_type(py, addr))
		return addr;
	for (int depth = 0; depth < META_DEPTH; depth++) {
		uint64_t next;

		if (!t || t % 8)
			return 0;
		if (t == py->type_type)
			return t;
		if (!(mw_py_field(py, t, l->tp_flags) & FLAG_TYPE))
			return 0;
		next = mw_py_field(py, t, l->ob_type);
		if (next == t) {
			uint64_t text = mw_py_field(py, t, l->tp_name);

			if (py->type_type ||
			    (mw_py_c_text(py, text, name, sizeof(name))
				     ? strcmp(name, "type") != 0
				     : !is_lost(py, text) || mw_py_field(py, t, l->tp_basicsize) !=
								     (uint64_t)l->heaptype_size))
				return 0;
			py->type_type = t;
			return t;
		}
		t = next;
	}
	return 0;
}

bool mw_py_is_type(struct mw_python *py, uint64_t addr)
{
	return metatype(py, addr) != 0;
}

/* What a type or a base of it is called decides what its objects own. */
struct known {
	const char *name;
	enum mw_py_kind kind;
	enum mw_py_library library;
};

static const struct known *known_base(struct mw_python *py, uint64_t addr)
{
	static const struct known known[] = {
		{"set", MW_PY_KIND_SET, 0},
		{"frozenset", MW_PY_KIND_SET, 0},
		{"bytearray", MW_PY_KIND_BYTEARRAY, 0},
		{"array.array", MW_PY_KIND_ARRAY, 0},
		{"collections.deque", MW_PY_KIND_DEQUE, 0},
		{"collections.OrderedDict", MW_PY_KIND_ODICT, 0},
		{"numpy.ndarray", MW_PY_KIND_NDARRAY, 0},
		{"code", MW_PY_KIND_CODE, 0},
		{"frame", MW_PY_KIND_FRAME, 0},
		{"generator", MW_PY_KIND_GENERATOR, 0},
		{"coroutine", MW_PY_KIND_GENERATOR, 0},
		{"async_generator", MW_PY_KIND_GENERATOR, 0},
		{"float", MW_PY_KIND_FLOAT, 0},
		{"weakref", MW_PY_KIND_WEAKREF, 0},
		{"weakproxy", MW_PY_KIND_WEAKREF, 0},
		{"weakcallableproxy", MW_PY_KIND_WEAKREF, 0},
		{"weakref.ReferenceType", MW_PY_KIND_WEAKREF, 0},
		{"weakref.ProxyType", MW_PY_KIND_WEAKREF, 0},
		{"weakref.CallableProxyType", MW_PY_KIND_WEAKREF, 0},
		{"datetime.datetime", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_DATE},
		{"datetime.time", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_DATE},
		{"decimal.Decimal", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_DECIMAL},
		{"Struct", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_STRUCT},
		{"_struct.Struct", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_STRUCT},
		{"_io.BufferedReader", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_BUFFERED},
		{"_io.BufferedWriter", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_BUFFERED},
		{"_io.BufferedRandom", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_BUFFERED},
		{"xml.etree.ElementTree.Element", MW_PY_KIND_OBJECT, MW_PY_LIBRARY_ELEMENT},
		{"_ctypes.CType_Type", MW_PY_KIND_TYPE, MW_PY_LIBRARY_CTYPE},
		{"StgDict", MW_PY_KIND_DICT, MW_PY_LIBRARY_STGDICT},
	};
	char name[48];

	for (int depth = 0; addr && depth < BASES_MAX; depth++) {
		/* A class of Python code has no module in that name, and is a heap type. */
		if (type_text(py, addr, name, sizeof(name)) &&
		    (!(mw_py_field(py, addr, py->layout.tp_flags) & FLAG_HEAPTYPE) ||
		     strchr(name, '.'))) {
			for (size_t i = 0; i < MW_ARRAY_SIZE(known); i++) {
				if (!strcmp(name, known[i].name))
					return &known[i];
			}
		}
		addr = mw_py_field(py, addr, py->layout.tp_base);
	}
	return NULL;
}

static void set_kind(struct mw_python *py, struct mw_py_type *type)
{
	const struct known *known = known_base(py, type->addr);
	enum mw_py_kind kind = known ? known->kind : MW_PY_KIND_OBJECT;
	bool two = py->info.hex < MW_PY_VERSION(3, 0, 0);
	uint64_t f = type->flags;

	if (f & FLAG_DICT)
		kind = kind == MW_PY_KIND_ODICT ? MW_PY_KIND_ODICT : MW_PY_KIND_DICT;
	else
		kind = f & FLAG_TYPE	     ? MW_PY_KIND_TYPE
		       : f & FLAG_UNICODE    ? (two ? MW_PY_KIND_UNICODE2 : MW_PY_KIND_STR)
		       : f & FLAG_TUPLE	     ? MW_PY_KIND_TUPLE
		       : f & FLAG_LIST	     ? MW_PY_KIND_LIST
		       : f & FLAG_BYTES	     ? MW_PY_KIND_BYTES
		       : f & FLAG_LONG	     ? MW_PY_KIND_LONG
		       : two && f & FLAG_INT ? MW_PY_KIND_INT
					     : kind;
	type->kind = (uint8_t)kind;
	type->library = known ? (uint8_t)known->library : MW_PY_LIBRARY_NONE;
}

/* Bytes between a block's start and the object in it: preheader, head of the collector. */
static uint32_t bytes_before(struct mw_python *py, uint64_t flags)
{
	uint64_t managed = 0;

	if (py->info.hex >= MW_PY_VERSION(3, 12, 0))
		managed = FLAG_MANAGED_DICT | FLAG_MANAGED_WEAKREF;
	else if (py->info.hex >= MW_PY_VERSION(3, 11, 0))
		managed = FLAG_MANAGED_DICT;
	return (flags & FLAG_HAVE_GC ? py->gc_head : 0) + (flags & managed ? 16 : 0);
}

/* What its flags and its name say of TYPE. */
static void interpret(struct mw_python *py, struct mw_py_type *type)
{
	type->borrowed = mw_py_borrowed(type->name);
	set_kind(py, type);
	type->managed_dict =
		py->info.hex >= MW_PY_VERSION(3, 11, 0) && type->flags & FLAG_MANAGED_DICT;
	type->gc = type->flags & FLAG_HAVE_GC;
}

/* The type at ADDR, whose memory is lost. */
static bool read_lost(struct mw_python *py, uint64_t addr, struct mw_py_type *type)
{
	if (!mw_py_lost_read(py, addr, type))
		return false;
	if (py->gc_head && type->pre >= py->gc_head)
		type->flags |= FLAG_HAVE_GC;
	if (type->pre > py->gc_head)
		type->flags |= FLAG_MANAGED_DICT;
	interpret(py, type);
	return true;
}

static bool read_type(struct mw_python *py, uint64_t addr, struct mw_py_type *type)
{
	const struct mw_py_layout *l = &py->layout;
	char name[sizeof(type->name)];

	if (read_lost(py, addr, type))
		return true;
	if (!metatype(py, addr))
		return false;
	*type = (struct mw_py_type){
		.addr = addr,
		.basicsize = mw_py_field(py, addr, l->tp_basicsize),
		.itemsize = mw_py_field(py, addr, l->tp_itemsize),
		.flags = mw_py_field(py, addr, l->tp_flags),
	};
	if (type->basicsize > BASIC_MAX || type->itemsize > ITEM_MAX ||
	    (type->basicsize && type->basicsize < (uint64_t)l->object_size) ||
	    !type_text(py, addr, name, sizeof(name)))
		return false;
	memcpy(type->name, name, sizeof(name));
	type->heap_type = type->flags & FLAG_HEAPTYPE;
	type->pre = bytes_before(py, type->flags);
	type->dictoffset = (int32_t)mw_py_field(py, addr, l->tp_dictoffset);
	/* Include/classobj.h of 2.7: the dictionary of old classes and of their instances. */
	if (!type->heap_type && (!strcmp(name, "instance") || !strcmp(name, "classobj")))
		type->dictoffset = 24;
	type->weaklistoffset = (int32_t)mw_py_field(py, addr, l->tp_weaklistoffset);
	interpret(py, type);
	return true;
}

static size_t slot_of(const struct mw_python *py, uint64_t addr)
{
	size_t i = (size_t)((addr >> 4) * 0x9e3779b97f4a7c15ULL >> 20) & py->slot_mask;

	while (py->slots[i].addr && py->slots[i].addr != addr)
		i = (i + 1) & py->slot_mask;
	return i;
}

static int grow_slots(struct mw_python *py)
{
	size_t old_count = py->slots ? py->slot_mask + 1 : 0,
	       count = old_count ? 2 * old_count : 8192;
	struct mw_py_slot *old = py->slots;

	py->slots = calloc(count, sizeof(*py->slots));
	if (!py->slots) {
		py->slots = old;
		return -ENOMEM;
	}
	py->slot_mask = count - 1;
	for (size_t i = 0; i < old_count; i++) {
		if (old[i].addr)
			py->slots[slot_of(py, old[i].addr)] = old[i];
	}
	free(old);
	return 0;
}

/* A cache of words that are no types. */
static bool was_refused(struct mw_python *py, uint64_t addr)
{
	uint64_t *slot = &py->refused[(addr >> 4) % MW_ARRAY_SIZE(py->refused)];

	if (*slot == addr)
		return true;
	*slot = addr;
	return false;
}

/* Add TYPE, which is not in the table yet; its index, -1: no memory. */
static int32_t add_type(struct mw_python *py, const struct mw_py_type *type)
{
	if ((!py->slots || 2 * py->slot_count > py->slot_mask) && grow_slots(py))
		return -1;
	if (mw_array_reserve(&py->types, &py->type_capacity, py->type_count + 1,
			     sizeof(*py->types)))
		return -1;
	py->types[py->type_count] = *type;
	py->slots[slot_of(py, type->addr)] =
		(struct mw_py_slot){type->addr, (int32_t)py->type_count};
	py->slot_count++;
	return (int32_t)py->type_count++;
}

void mw_py_type_uncount(struct mw_py_type *t)
{
	t->count = t->bytes = t->buffer_bytes = t->held_bytes = 0;
	t->parked = t->tracked = t->frozen = 0;
}

int32_t mw_py_take_type(struct mw_python *py, const struct mw_py_type *type)
{
	const struct mw_py_slot *slot = py->slots ? &py->slots[slot_of(py, type->addr)] : NULL;
	struct mw_py_type *t;

	if (!slot || !slot->addr)
		return add_type(py, type);
	t = &py->types[slot->type];
	t->count += type->count;
	t->bytes += type->bytes;
	t->buffer_bytes += type->buffer_bytes;
	t->held_bytes += type->held_bytes;
	t->parked += type->parked;
	t->tracked += type->tracked;
	t->frozen += type->frozen;
	return slot->type;
}

int32_t mw_py_type_at(struct mw_python *py, uint64_t addr)
{
	struct mw_py_type type;
	size_t i;

	if (addr < 4096 || addr % 8 || addr >> 47)
		return -1;
	if (py->last_type_addr == addr)
		return py->last_type;
	if (py->slots) {
		i = slot_of(py, addr);
		if (py->slots[i].addr) {
			py->last_type_addr = addr;
			py->last_type = py->slots[i].type;
			return py->last_type;
		}
	}
	if (was_refused(py, addr) || py->type_count >= TYPES_MAX || !read_type(py, addr, &type))
		return -1;
	return add_type(py, &type);
}

int32_t mw_py_type_of(struct mw_python *py, uint64_t addr)
{
	return addr % 8 ? -1 : mw_py_type_at(py, mw_py_field(py, addr, py->layout.ob_type));
}

bool mw_py_is_heap_type(struct mw_python *py, uint64_t addr)
{
	return mw_py_field(py, addr, py->layout.tp_flags) & FLAG_HEAPTYPE;
}

/* Heap types say their name and module in objects, static ones in a dotted C string. */
void mw_py_type_name(struct mw_python *py, struct mw_py_type *type)
{
	const struct mw_py_layout *l = &py->layout;
	char *dot = strrchr(type->name, '.');

	if (type->named)
		return;
	type->named = true;
	if (dot) {
		mw_text_clean(type->module, sizeof(type->module), type->name,
			      (size_t)(dot - type->name));
		memmove(type->name, dot + 1, strlen(dot + 1) + 1);
	} else if (!type->heap_type) {
		snprintf(type->module, sizeof(type->module),
			 py->info.hex < MW_PY_VERSION(3, 0, 0) ? "__builtin__" : "builtins");
	}
	if (!type->heap_type)
		return;
	/* The str that its name is may be lost, too. */
	if ((!mw_py_text(py, mw_py_field(py, type->addr, l->ht_name), type->name,
			 sizeof(type->name)) ||
	     !type->name[0]) &&
	    !mw_py_name_by_modules(py, type->addr, type->name, sizeof(type->name)))
		snprintf(type->name, sizeof(type->name), "type at 0x%llx",
			 (unsigned long long)type->addr);
	if (l->ht_qualname >= 0)
		mw_py_text(py, mw_py_field(py, type->addr, l->ht_qualname), type->qualname,
			   sizeof(type->qualname));
	mw_py_dict_text(py, mw_py_field(py, type->addr, l->tp_dict), "__module__", type->module,
			sizeof(type->module));
}

void mw_python_type_name(const struct mw_py_type *type, char *buf, size_t size)
{
	const char *name = type->qualname[0] ? type->qualname : type->name;

	if (!type->module[0] || !strcmp(type->module, "builtins") ||
	    !strcmp(type->module, "__builtin__"))
		mw_text_print(buf, size, "%s", name);
	else
		mw_text_print(buf, size, "%s.%s", type->module, name);
}

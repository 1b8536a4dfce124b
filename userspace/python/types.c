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

/* The C string at ADDR, cleaned; false when there is none or it is not text. */
static bool c_text(struct mw_python *py, uint64_t addr, char *buf, size_t size)
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
			if (py->type_type ||
			    !c_text(py, mw_py_field(py, t, l->tp_name), name, sizeof(name)) ||
			    strcmp(name, "type"))
				return 0;
			py->type_type = t;
			return t;
		}
		t = next;
	}
	return 0;
}

/* What a type's direct and further bases are called decides what its objects own. */
static enum mw_py_kind kind_by_bases(struct mw_python *py, uint64_t addr)
{
	static const struct {
		const char *name;
		enum mw_py_kind kind;
	} known[] = {
		{"set", MW_PY_KIND_SET},
		{"frozenset", MW_PY_KIND_SET},
		{"bytearray", MW_PY_KIND_BYTEARRAY},
		{"array.array", MW_PY_KIND_ARRAY},
		{"collections.deque", MW_PY_KIND_DEQUE},
		{"numpy.ndarray", MW_PY_KIND_NDARRAY},
		{"code", MW_PY_KIND_CODE},
		{"frame", MW_PY_KIND_FRAME},
		{"generator", MW_PY_KIND_GENERATOR},
		{"coroutine", MW_PY_KIND_GENERATOR},
		{"async_generator", MW_PY_KIND_GENERATOR},
		{"float", MW_PY_KIND_FLOAT},
	};
	char name[48];

	for (int depth = 0; addr && depth < BASES_MAX; depth++) {
		if (c_text(py, mw_py_field(py, addr, py->layout.tp_name), name, sizeof(name)) &&
		    (!(mw_py_field(py, addr, py->layout.tp_flags) & FLAG_HEAPTYPE) ||
		     strchr(name, '.'))) {
			for (size_t i = 0; i < MW_ARRAY_SIZE(known); i++) {
				if (!strcmp(name, known[i].name))
					return known[i].kind;
			}
		}
		addr = mw_py_field(py, addr, py->layout.tp_base);
	}
	return MW_PY_KIND_OBJECT;
}

static enum mw_py_kind kind_of(struct mw_python *py, const struct mw_py_type *type)
{
	bool two = py->info.hex < MW_PY_VERSION(3, 0, 0);
	uint64_t f = type->flags;
	char name[48];

	if (f & FLAG_TYPE)
		return MW_PY_KIND_TYPE;
	if (f & FLAG_DICT) {
		for (uint64_t t = type->addr, depth = 0; t && depth < BASES_MAX; depth++) {
			if (c_text(py, mw_py_field(py, t, py->layout.tp_name), name,
				   sizeof(name)) &&
			    !strcmp(name, "collections.OrderedDict") &&
			    !(mw_py_field(py, t, py->layout.tp_flags) & FLAG_HEAPTYPE))
				return MW_PY_KIND_ODICT;
			t = mw_py_field(py, t, py->layout.tp_base);
		}
		return MW_PY_KIND_DICT;
	}
	return f & FLAG_UNICODE	     ? (two ? MW_PY_KIND_UNICODE2 : MW_PY_KIND_STR)
	       : f & FLAG_TUPLE	     ? MW_PY_KIND_TUPLE
	       : f & FLAG_LIST	     ? MW_PY_KIND_LIST
	       : f & FLAG_BYTES	     ? MW_PY_KIND_BYTES
	       : f & FLAG_LONG	     ? MW_PY_KIND_LONG
	       : two && f & FLAG_INT ? MW_PY_KIND_INT
				     : kind_by_bases(py, type->addr);
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

static bool read_type(struct mw_python *py, uint64_t addr, struct mw_py_type *type)
{
	const struct mw_py_layout *l = &py->layout;
	char name[sizeof(type->name)];

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
	    !c_text(py, mw_py_field(py, addr, l->tp_name), name, sizeof(name)))
		return false;
	memcpy(type->name, name, sizeof(name));
	type->heap_type = type->flags & FLAG_HEAPTYPE;
	type->pre = bytes_before(py, type->flags);
	type->kind = (uint8_t)kind_of(py, type);
	type->managed_dict =
		py->info.hex >= MW_PY_VERSION(3, 11, 0) && type->flags & FLAG_MANAGED_DICT;
	type->gc = type->flags & FLAG_HAVE_GC;
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
	if ((!py->slots || 2 * py->slot_count > py->slot_mask) && grow_slots(py))
		return -1;
	if (mw_array_reserve(&py->types, &py->type_capacity, py->type_count + 1,
			     sizeof(*py->types)))
		return -1;
	py->types[py->type_count] = type;
	py->slots[slot_of(py, addr)] = (struct mw_py_slot){addr, (int32_t)py->type_count};
	py->slot_count++;
	return (int32_t)py->type_count++;
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
		snprintf(type->module, sizeof(type->module), "%.*s",
			 (int)(dot - type->name) < 47 ? (int)(dot - type->name) : 47, type->name);
		memmove(type->name, dot + 1, strlen(dot + 1) + 1);
	} else if (!type->heap_type) {
		snprintf(type->module, sizeof(type->module),
			 py->info.hex < MW_PY_VERSION(3, 0, 0) ? "__builtin__" : "builtins");
	}
	if (!type->heap_type)
		return;
	if (!mw_py_text(py, mw_py_field(py, type->addr, l->ht_name), type->name,
			sizeof(type->name)))
		snprintf(type->name, sizeof(type->name), "?");
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
		snprintf(buf, size, "%s", name);
	else
		snprintf(buf, size, "%s.%s", type->module, name);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "python/print.h"
#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"

enum { BLOCK_MAX = 512, ITEMS = 3, WORDS = 6, HEADS = 2, OF_ITEM = 24 };

static const char *const names[MW_PRINT_TYPES] = {
	[MW_PRINT_TUPLE] = "PyTuple_Type", [MW_PRINT_STR] = "PyUnicode_Type",
	[MW_PRINT_INT] = "PyLong_Type",	   [MW_PRINT_FLOAT] = "PyFloat_Type",
	[MW_PRINT_BYTES] = "PyBytes_Type", [MW_PRINT_LIST] = "PyList_Type",
	[MW_PRINT_DICT] = "PyDict_Type",   [MW_PRINT_SET] = "PySet_Type",
};

static uint32_t offset_of(int32_t field, uint32_t otherwise)
{
	return field >= 0 ? (uint32_t)field : otherwise;
}

void mw_python_prints__learn(struct mw_python_prints *p, struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;

	memset(p, 0, sizeof(*p));
	for (int i = 0; i < MW_PRINT_TYPES; i++)
		p->types[i] = mw_py_symbol(py, names[i]);
	p->type_type = mw_py_symbol(py, "PyType_Type");
	p->gc_head = py->gc_head ? py->gc_head : offset_of(l->gc_head_size, 16);
	p->ob_size = offset_of(l->ob_size, 16);
	p->tuple_items = offset_of(l->tuple_items, 24);
	p->ascii_length = offset_of(l->ascii_length, 16);
	p->ascii_size = offset_of(l->ascii_size, 48);
	p->long_words = offset_of(l->long_tag, offset_of(l->ob_size, 16));
	p->ma_keys = offset_of(l->ma_keys, 0);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

/* A block's content, and the object in it. */
struct content {
	uint8_t bytes[BLOCK_MAX];
	uint64_t size, object;
};

static uint64_t word_at(const struct content *c, uint64_t offset)
{
	return c->object + offset + 8 <= c->size ? mw_u64_at(c->bytes + c->object + offset) : 0;
}

static uint64_t mix_words(const struct content *c, uint64_t hash, uint64_t from, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		hash = mix(hash, word_at(c, from + 8ULL * i));
	return hash;
}

/*
 * Items, and what those hold: in a loop the same blocks are handed out in the same order again, so
 * that addresses alone may be alike.
 */
static uint64_t mix_items(const struct mw_python_prints *p, struct mw_image *image,
			  const struct content *c, uint64_t hash)
{
	uint64_t count = word_at(c, p->ob_size);

	hash = mix(hash, count);
	for (uint64_t i = 0; i < count && i < WORDS; i++)
		hash = mix(hash, word_at(c, p->tuple_items + 8 * i));
	for (uint64_t i = 0; i < count && i < ITEMS; i++) {
		uint64_t item = word_at(c, p->tuple_items + 8 * i), type = 0, value[2];

		if (!mw_image__read_u64(image, item + 8, &type) ||
		    !mw_image__read_all(image, item + 16, value, sizeof(value)))
			continue;
		hash = mix(hash, type);
		if (type == p->types[MW_PRINT_INT] || type == p->types[MW_PRINT_FLOAT])
			hash = mix(mix(hash, value[0]),
				   type == p->types[MW_PRINT_INT] ? value[1] & 0xffffffff : 0);
	}
	return hash;
}

static uint64_t print_of(const struct mw_python_prints *p, struct mw_image *image,
			 const struct content *c, enum mw_python_print_type type)
{
	uint64_t hash = mix(c->object + 1, p->types[type]), certain = MW_PRINT_CERTAIN;

	/* Nobody refers to it: it waits in a free list to be handed out again. */
	if (!(word_at(c, 0) & 0xffffffff))
		return MW_PRINT_DEAD;
	switch (type) {
	case MW_PRINT_TUPLE:
		hash = mix_items(p, image, c, hash);
		break;
	case MW_PRINT_STR:
		hash = mix(hash, word_at(c, p->ascii_length));
		hash = mix_words(c, hash, p->ascii_size, WORDS);
		break;
	case MW_PRINT_INT:
		hash = mix(hash, word_at(c, p->long_words));
		hash = mix(hash, word_at(c, p->long_words + 8) & 0xffffffff);
		break;
	case MW_PRINT_FLOAT:
		hash = mix(hash, word_at(c, 16));
		break;
	case MW_PRINT_BYTES:
		hash = mix_words(c, hash, p->ob_size, WORDS);
		break;
	default:
		/* What they hold changes. */
		certain = 0;
		break;
	}
	hash = (hash & ~(uint64_t)3) | certain;
	return hash > 3 ? hash : 4 | certain;
}

/* Is there a type at ADDR: is its own type `type`, or derived from that? */
static bool is_type(const struct mw_python_prints *p, struct mw_image *image, uint64_t addr)
{
	uint64_t meta, above;

	if (!p->type_type || addr < 4096 || addr % 8 || !mw_image__read_u64(image, addr + 8, &meta))
		return false;
	return meta == p->type_type ||
	       (meta > 4096 && meta % 8 == 0 && mw_image__read_u64(image, meta + 8, &above) &&
		above == p->type_type);
}

/* Of an object of any type: what it holds may change. 0: there is none. */
static uint64_t print_of_any(const struct mw_python_prints *p, struct mw_image *image,
			     struct content *c)
{
	/* Of 3.11 and later the dictionary's pointers come before the collector's head. */
	const uint32_t heads[] = {0, p->gc_head, p->gc_head + 16};

	for (size_t i = 0; i < MW_ARRAY_SIZE(heads); i++) {
		uint64_t type, hash;

		c->object = heads[i];
		type = word_at(c, 8);
		if (!is_type(p, image, type))
			continue;
		if (!(word_at(c, 0) & 0xffffffff))
			return MW_PRINT_DEAD;
		hash = mix(c->object + 1, type) & ~(uint64_t)3;
		return hash ? hash : 4;
	}
	return 0;
}

uint64_t mw_python_print(const struct mw_python_prints *p, struct mw_image *image, uint64_t block,
			 uint64_t size)
{
	const uint32_t heads[HEADS] = {0, p->gc_head};
	struct content c = {.size = size < BLOCK_MAX ? size : BLOCK_MAX};

	if (!mw_image__read_all(image, block, c.bytes, c.size))
		return 0;
	for (int i = 0; i < HEADS; i++) {
		uint64_t type;

		c.object = heads[i];
		type = word_at(&c, 8);
		for (int k = 0; type && k < MW_PRINT_TYPES; k++) {
			if (p->types[k] == type)
				return print_of(p, image, &c, k);
		}
	}
	return print_of_any(p, image, &c);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One object: its size as sys.getsizeof() gives it, which is __sizeof__() of its type plus what
 * lies before it, and the blocks that it owns besides. Each rule is the __sizeof__ of Objects/ and
 * Modules/ of CPython, for the versions of the table of layouts.
 */
#include <string.h>

#include "python/python_impl.h"

enum { DIMENSIONS_MAX = 64 };

#define SIZE_CAP (1ULL << 46) /* lengths beyond are damage */

static uint8_t byte(struct mw_python *py, uint64_t addr)
{
	uint8_t value = 0;

	return mw_pages_read(&py->pages, addr, &value, 1) ? value : 0;
}

uint64_t mw_py_bytes_of(uint64_t count, uint64_t size)
{
	uint64_t bytes;

	return count < SIZE_CAP && !__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_CAP
		       ? bytes
		       : 0;
}

/* ---- str ------------------------------------------------------------------------------------ */

/*
 * Include/cpython/unicodeobject.h, PyASCIIObject.state: interned, kind (3 bits), compact, ascii.
 * `interned` has 2 bits, but a byte of its own in free-threaded builds from 3.14 on.
 */
static unsigned int state_shift(const struct mw_python *py)
{
	return py->layout.free_threaded && py->info.hex >= MW_PY_VERSION(3, 14, 0) ? 8 : 2;
}

unsigned int mw_py_str_width(struct mw_python *py, uint64_t addr)
{
	unsigned int kind = mw_pages_word32(&py->pages, addr + (uint64_t)py->layout.ascii_state) >>
				    state_shift(py) &
			    7;

	return kind == 1 || kind == 2 ? kind : 4;
}

enum mw_py_str mw_py_str_shape(struct mw_python *py, uint64_t addr)
{
	uint32_t state = mw_pages_word32(&py->pages, addr + (uint64_t)py->layout.ascii_state);
	unsigned int shift = state_shift(py), kind = state >> shift & 7;
	bool compact = state >> (shift + 3) & 1, ascii = state >> (shift + 4) & 1;

	if (!compact)
		return MW_PY_STR_LEGACY;
	return ascii	   ? MW_PY_STR_ASCII
	       : kind == 1 ? MW_PY_STR_1
	       : kind == 2 ? MW_PY_STR_2
			   : MW_PY_STR_4;
}

static uint64_t str_size(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t length = mw_py_field(py, addr, l->ascii_length), size, data = 0, utf8, wstr;
	enum mw_py_str shape = mw_py_str_shape(py, addr);

	switch (shape) {
	case MW_PY_STR_ASCII:
		size = (uint64_t)l->ascii_size + mw_py_bytes_of(length + 1, 1);
		break;
	case MW_PY_STR_LEGACY:
		data = mw_py_field(py, addr, l->unicode_data);
		size = (uint64_t)l->unicode_size +
		       (data ? mw_py_bytes_of(length + 1, mw_py_str_width(py, addr)) : 0);
		break;
	default:
		size = (uint64_t)l->compact_size + mw_py_bytes_of(length + 1, shape);
		data = addr + (uint64_t)l->compact_size;
	}
	/* The wide characters of 3.11 and before; they may be the data itself. */
	wstr = mw_py_field(py, addr, l->ascii_wstr);
	if (wstr && shape == MW_PY_STR_ASCII)
		size += mw_py_bytes_of(length + 1, 4);
	else if (wstr && wstr != data)
		size += mw_py_bytes_of(mw_py_field(py, addr, l->compact_wstr_length) + 1, 4);
	if (shape != MW_PY_STR_ASCII) {
		utf8 = mw_py_field(py, addr, l->compact_utf8);
		if (utf8 && utf8 != data)
			size += mw_py_bytes_of(mw_py_field(py, addr, l->compact_utf8_length) + 1,
					       1);
	}
	return size;
}

static void str_buffers(struct mw_python *py, uint32_t type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	enum mw_py_str shape = mw_py_str_shape(py, addr);

	mw_py_mark(py, type, mw_py_field(py, addr, l->ascii_wstr));
	if (shape == MW_PY_STR_ASCII)
		return;
	mw_py_mark(py, type, mw_py_field(py, addr, l->compact_utf8));
	if (shape == MW_PY_STR_LEGACY)
		mw_py_mark(py, type, mw_py_field(py, addr, l->unicode_data));
}

/*
 * ---- dict -------------------------------------------------------------------------------------
 */

/* The keys' size in slots, as a power of two; -1: not possible. */
static int keys_log2(struct mw_python *py, uint64_t keys)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t size;

	if (l->dk_log2_size >= 0) {
		uint8_t log2 = byte(py, keys + (uint64_t)l->dk_log2_size);

		return log2 < 40 ? log2 : -1;
	}
	size = mw_py_field(py, keys, l->dk_size);
	if (!size || size & (size - 1) || size > SIZE_CAP)
		return -1;
	return __builtin_ctzll(size);
}

bool mw_py_keys(struct mw_python *py, uint64_t keys, struct mw_py_keys *out)
{
	const struct mw_py_layout *l = &py->layout;
	int log2 = keys_log2(py, keys);
	bool unicode;

	if (log2 < 0)
		return false;
	/* DICT_KEYS_GENERAL is 0: entries of hash, key, value; otherwise key, value. */
	unicode = l->dk_kind >= 0 && byte(py, keys + (uint64_t)l->dk_kind);
	out->entry_size = unicode ? 16 : 24;
	out->entry_key = unicode ? 0 : 8;
	out->slots = 1ULL << log2;
	out->usable = (out->slots << 1) / 3;
	if (l->dk_log2_index_bytes >= 0) {
		uint8_t bytes = byte(py, keys + (uint64_t)l->dk_log2_index_bytes);

		out->index_bytes = bytes < 44 ? 1ULL << bytes : 0;
	} else {
		out->index_bytes = out->slots * (log2 < 8 ? 1 : log2 < 16 ? 2 : log2 < 32 ? 4 : 8);
	}
	out->entries = keys + (uint64_t)l->dict_keys_size + out->index_bytes;
	out->entry_count = mw_py_field(py, keys, l->dk_nentries);
	if (out->entry_count > out->usable)
		out->entry_count = out->usable;
	out->size = (uint64_t)l->dict_keys_size + out->index_bytes + out->usable * out->entry_size;
	return true;
}

static uint64_t keys_size(struct mw_python *py, uint64_t keys)
{
	struct mw_py_keys k;

	return mw_py_keys(py, keys, &k) ? k.size : 0;
}

/* shared_keys_usable_size(): how many values an instance may have. */
static uint64_t shared_usable(struct mw_python *py, uint64_t keys)
{
	uint64_t n = mw_py_field(py, keys, py->layout.dk_nentries) +
		     mw_py_field(py, keys, py->layout.dk_usable);

	return n < 65536 ? n : 0;
}

static uint64_t dict_extra(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t keys, size = 0;
	struct mw_py_keys k;

	if (l->ma_table >= 0) { /* 2.7 */
		if (mw_py_field(py, addr, l->ma_table) != addr + (uint64_t)l->ma_smalltable)
			size = mw_py_bytes_of(mw_py_field(py, addr, l->ma_mask) + 1, 24);
		return size;
	}
	keys = mw_py_field(py, addr, l->ma_keys);
	if (!keys || !mw_py_keys(py, keys, &k))
		return 0;
	if (mw_py_field(py, addr, l->ma_values))
		size = 8 * (py->info.hex < MW_PY_VERSION(3, 11, 0) ? k.usable
								   : shared_usable(py, keys));
	return size + (mw_py_field(py, keys, l->dk_refcnt) == 1 ? k.size : 0);
}

static void dict_buffers(struct mw_python *py, uint32_t type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t values;

	if (l->ma_table >= 0) {
		if (mw_py_field(py, addr, l->ma_table) != addr + (uint64_t)l->ma_smalltable)
			mw_py_mark(py, type, mw_py_field(py, addr, l->ma_table));
		return;
	}
	mw_py_mark(py, type, mw_py_field(py, addr, l->ma_keys));
	values = mw_py_field(py, addr, l->ma_values);
	/* From 3.13 on they may lie within the instance whose dictionary this is. */
	if (values &&
	    (l->dictvalues_embedded < 0 || !byte(py, values + (uint64_t)l->dictvalues_embedded)))
		mw_py_mark_values(py, type, values);
}

/*
 * Objects/odictobject.c, struct _odictobject behind its dict: od_first, od_last, od_fast_nodes,
 * od_fast_nodes_size; a node is key, hash, next, prev.
 */
enum { OD_FIRST = 0, OD_FAST_NODES = 16, OD_FAST_SIZE = 24, OD_NODE = 32, OD_NODE_NEXT = 16 };

static uint64_t odict_extra(struct mw_python *py, uint64_t addr)
{
	uint64_t od = addr + (uint64_t)py->layout.dict_size;
	uint64_t used = mw_py_field(py, addr, py->layout.ma_used);

	return dict_extra(py, addr) +
	       mw_py_bytes_of(mw_pages_word(&py->pages, od + OD_FAST_SIZE), 8) +
	       (mw_pages_word(&py->pages, od + OD_FIRST) ? mw_py_bytes_of(used, OD_NODE) : 0);
}

static void odict_buffers(struct mw_python *py, uint32_t type, uint64_t addr)
{
	uint64_t od = addr + (uint64_t)py->layout.dict_size;
	uint64_t used = mw_py_field(py, addr, py->layout.ma_used), node;

	dict_buffers(py, type, addr);
	mw_py_mark(py, type, mw_pages_word(&py->pages, od + OD_FAST_NODES));
	node = mw_pages_word(&py->pages, od + OD_FIRST);
	for (uint64_t i = 0; node && i < used && mw_py_may_follow(py); i++) {
		mw_py_mark(py, type, node);
		node = mw_pages_word(&py->pages, node + OD_NODE_NEXT);
	}
}

uint64_t mw_py_odict_node(struct mw_python *py, uint64_t addr, uint64_t node)
{
	return mw_pages_word(&py->pages, node ? node + OD_NODE_NEXT
					      : addr + (uint64_t)py->layout.dict_size + OD_FIRST);
}

/* ---- other containers ----------------------------------------------------------------------- */

static uint64_t set_extra(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;

	if (mw_py_field(py, addr, l->set_table) == addr + (uint64_t)l->set_smalltable)
		return 0;
	return mw_py_bytes_of(mw_py_field(py, addr, l->set_mask) + 1, 16);
}

/*
 * Modules/_collectionsmodule.c: from 3.x on a length in the head, blocks of 64 objects that are
 * linked at their start and end; in 2.7 a length behind the indices, 62 objects a block, both links
 * behind them, the one to the right first.
 */
struct deque_layout {
	int32_t left, left_index, length;
	uint64_t per_block, block_size;
	uint64_t next; /* in a block */
};

static const struct deque_layout *deque_layout(const struct mw_python *py)
{
	static const struct deque_layout three = {24, 40, 16, 64, 528, 520};
	static const struct deque_layout two = {16, 32, 48, 62, 512, 496};

	return py->info.hex < MW_PY_VERSION(3, 0, 0) ? &two : &three;
}

uint64_t mw_py_fields_of(const struct mw_python *py, uint64_t addr)
{
	return addr + (uint64_t)py->layout.object_size - 16;
}

static uint64_t deque_blocks(struct mw_python *py, uint64_t addr)
{
	const struct deque_layout *d = deque_layout(py);
	uint64_t at = mw_py_fields_of(py, addr);
	uint64_t length = mw_py_field(py, at, d->length),
		 first = mw_py_field(py, at, d->left_index);

	if (length > SIZE_CAP || first > d->per_block)
		return 0;
	return (first + length + d->per_block - 1) / d->per_block;
}

static void deque_buffers(struct mw_python *py, uint32_t type, uint64_t addr)
{
	const struct deque_layout *d = deque_layout(py);
	uint64_t block = mw_py_field(py, mw_py_fields_of(py, addr), d->left),
		 count = deque_blocks(py, addr);

	/* An empty one has a block, too; the last one's link is not set. */
	count += !count;
	for (uint64_t i = 0; block && i < count && mw_py_may_follow(py); i++) {
		mw_py_mark(py, type, block);
		block = mw_pages_word(&py->pages, block + d->next);
	}
}

bool mw_py_deque(struct mw_python *py, uint64_t addr, struct mw_py_deque *out)
{
	const struct deque_layout *d = deque_layout(py);
	uint64_t at = mw_py_fields_of(py, addr);

	*out = (struct mw_py_deque){
		.block = mw_py_field(py, at, d->left),
		.first = mw_py_field(py, at, d->left_index),
		.length = mw_py_field(py, at, d->length),
		.per_block = d->per_block,
		.items = d->next + 8 == d->block_size ? 8 : 0,
		.next = d->next,
	};
	return out->length <= SIZE_CAP && out->first <= d->per_block;
}

/*
 * Modules/arraymodule.c: ob_item, allocated, ob_descr; the descriptor's itemsize is its second int.
 */
enum { ARRAY_ITEM = 24, ARRAY_ALLOCATED = 32, ARRAY_DESCR = 40, ARRAY_DESCR_ITEMSIZE = 4 };

static uint64_t array_extra(struct mw_python *py, uint64_t addr)
{
	uint64_t at = mw_py_fields_of(py, addr),
		 descr = mw_pages_word(&py->pages, at + ARRAY_DESCR);
	uint32_t itemsize = mw_pages_word32(&py->pages, descr + ARRAY_DESCR_ITEMSIZE);

	return itemsize > 16
		       ? 0
		       : mw_py_bytes_of(mw_pages_word(&py->pages, at + ARRAY_ALLOCATED), itemsize);
}

/*
 * numpy/core/include/numpy/ndarraytypes.h, PyArrayObject_fields: data, nd, dimensions, strides,
 * base, descr, flags. PyArray_Descr has elsize as an int at 32 in numpy 1, behind it (at 40) a
 * pointer that is NULL or a pointer; in numpy 2 as a word at 40.
 */
enum {
	ND_DATA = 16,
	ND_COUNT = 24,
	ND_DIMENSIONS = 32,
	ND_DESCR = 56,
	ND_FLAGS = 64,
	ND_OWNDATA = 4,
	DESCR_TYPE_NUM = 28, /* an int; NPY_OBJECT is 17 */
	DESCR_OBJECT = 17,
	DESCR_ELSIZE_1 = 32,
	DESCR_ELSIZE_2 = 40,
};

/* Bytes of the elements of the array whose fields are at ADDR, when it owns them; 0: impossible. */
static uint64_t ndarray_bytes(struct mw_python *py, uint64_t addr)
{
	uint32_t nd = mw_pages_word32(&py->pages, addr + ND_COUNT);
	uint64_t dims = mw_pages_word(&py->pages, addr + ND_DIMENSIONS);
	uint64_t descr = mw_pages_word(&py->pages, addr + ND_DESCR);
	uint64_t elsize = mw_pages_word(&py->pages, descr + DESCR_ELSIZE_2), bytes;

	if (nd > DIMENSIONS_MAX || !(mw_pages_word32(&py->pages, addr + ND_FLAGS) & ND_OWNDATA))
		return 0;
	if (!elsize || elsize > UINT32_MAX)
		elsize = mw_pages_word32(&py->pages, descr + DESCR_ELSIZE_1);
	bytes = elsize;
	for (uint32_t i = 0; i < nd; i++)
		bytes = mw_py_bytes_of(bytes, mw_pages_word(&py->pages, dims + 8ULL * i));
	return bytes;
}

static uint64_t ndarray_extra(struct mw_python *py, uint64_t object)
{
	uint64_t addr = mw_py_fields_of(py, object);
	uint32_t nd = mw_pages_word32(&py->pages, addr + ND_COUNT);

	return nd > DIMENSIONS_MAX ? 0 : 16ULL * nd + ndarray_bytes(py, addr);
}

uint64_t mw_py_ndarray_objects(struct mw_python *py, uint64_t object, uint64_t *items)
{
	uint64_t addr = mw_py_fields_of(py, object);
	uint64_t descr = mw_pages_word(&py->pages, addr + ND_DESCR);

	*items = mw_pages_word(&py->pages, addr + ND_DATA);
	return mw_pages_word32(&py->pages, descr + DESCR_TYPE_NUM) == DESCR_OBJECT
		       ? ndarray_bytes(py, addr) / 8
		       : 0;
}

static uint64_t long_size(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t digits;

	if (l->long_tag >= 0) {
		digits = mw_py_field(py, addr, l->long_tag) >> 3;
		digits += !digits;
	} else {
		int64_t n = (int64_t)mw_py_field(py, addr, l->ob_size);

		digits = (uint64_t)(n < 0 ? -n : n);
		if (py->info.hex >= MW_PY_VERSION(3, 11, 0))
			digits += !digits;
	}
	return (uint64_t)l->long_digits + mw_py_bytes_of(digits, 4);
}

/* Words of locals, cells and the stack that a frame of CODE has. */
static uint64_t frame_words(struct mw_python *py, uint64_t code)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t n = mw_pages_word32(&py->pages, code + (uint64_t)l->co_stacksize);

	if (l->co_nlocalsplus >= 0)
		n += mw_pages_word32(&py->pages, code + (uint64_t)l->co_nlocalsplus);
	else
		n += mw_pages_word32(&py->pages, code + (uint64_t)l->co_nlocals) +
		     mw_py_field(py, mw_py_field(py, code, l->co_cellvars), l->ob_size) +
		     mw_py_field(py, mw_py_field(py, code, l->co_freevars), l->ob_size);
	return n < 1 << 24 ? n : 0;
}

/* A frame lies in the object from 3.11 on, its code object says how long it is. */
static uint64_t generator_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t code;

	if (l->gen_iframe < 0 || l->iframe_localsplus < 0)
		return type->basicsize;
	code = mw_py_field(py, addr, l->gen_iframe + l->iframe_code) & ~1ULL;
	return (uint64_t)(l->gen_iframe + l->iframe_localsplus) + 8 * frame_words(py, code);
}

static uint64_t frame_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;

	if (l->f_frame_data >= 0 && l->iframe_localsplus >= 0) {
		uint64_t frame = mw_py_field(py, addr, l->f_iframe);

		return (uint64_t)(l->f_frame_data + l->iframe_localsplus) +
		       8 * frame_words(py, mw_py_field(py, frame, l->iframe_code) & ~1ULL);
	}
	return type->basicsize + 8 * frame_words(py, mw_py_field(py, addr, l->f_code)) - 8;
}

/* code_sizeof() also counts what a code object owns. */
static uint64_t code_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t size = type->basicsize;

	if (type->itemsize) /* 3.11: rounded up to a word */
		return (size + mw_py_bytes_of(mw_py_field(py, addr, l->ob_size), type->itemsize) +
			7) &
		       ~7ULL;
	if (mw_py_field(py, addr, l->co_cell2arg))
		size += 8 * mw_py_field(py, mw_py_field(py, addr, l->co_cellvars), l->ob_size);
	if (mw_py_field(py, addr,
			l->co_opcache)) /* 3.8 to 3.10: a byte an instruction, 40 an entry */
		size += mw_py_field(py, mw_py_field(py, addr, l->co_code), l->ob_size) / 2 +
			40ULL * mw_pages_word32(&py->pages, addr + (uint64_t)l->co_opcache_size);
	return size;
}

/*
 * ---- any object ---------------------------------------------------------------------------------
 */

uint64_t mw_py_object_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t size = type->basicsize;

	switch ((enum mw_py_kind)type->kind) {
	case MW_PY_KIND_STR:
		size = str_size(py, addr);
		break;
	case MW_PY_KIND_BYTES:
		/* Python 2's string_sizeof() takes no notice of a subclass's own fields. */
		if (py->info.hex < MW_PY_VERSION(3, 0, 0))
			size = (uint64_t)l->bytes_data + 1;
		size += mw_py_bytes_of(mw_py_field(py, addr, l->ob_size), type->itemsize);
		break;
	case MW_PY_KIND_UNICODE2:
		size = (uint64_t)l->unicode2_size +
		       mw_py_bytes_of(mw_py_field(py, addr, l->unicode2_length) + 1, 4);
		break;
	case MW_PY_KIND_LONG:
		size = long_size(py, addr);
		break;
	case MW_PY_KIND_LIST:
		size += mw_py_bytes_of(mw_py_field(py, addr, l->list_allocated), 8);
		break;
	case MW_PY_KIND_DICT:
		size += dict_extra(py, addr);
		break;
	case MW_PY_KIND_ODICT:
		size += odict_extra(py, addr);
		break;
	case MW_PY_KIND_SET:
		size += set_extra(py, addr);
		break;
	case MW_PY_KIND_BYTEARRAY:
		size += mw_py_bytes_of(mw_py_field(py, addr, l->bytearray_alloc), 1);
		/* From 3.15 on it owns a bytes object, which has a head. */
		if (py->info.hex >= MW_PY_VERSION(3, 15, 0) &&
		    mw_py_field(py, addr, l->bytearray_alloc))
			size += (uint64_t)l->bytes_data + 1;
		break;
	case MW_PY_KIND_ARRAY:
		size += array_extra(py, addr);
		break;
	case MW_PY_KIND_DEQUE:
		size += mw_py_bytes_of(deque_blocks(py, addr), deque_layout(py)->block_size);
		break;
	case MW_PY_KIND_NDARRAY:
		size += ndarray_extra(py, addr);
		break;
	case MW_PY_KIND_TYPE:
		if (py->info.hex < MW_PY_VERSION(3, 0, 0)) { /* as any other object */
			size += mw_py_bytes_of(mw_py_field(py, addr, l->ob_size), type->itemsize);
			break;
		}
		if (!mw_py_is_heap_type(py, addr)) /* 3.11 and 3.12 add the head that it has not */
			return (uint64_t)l->type_size +
			       (l->ma_table < 0 && py->info.hex >> 8 >= 0x30b &&
						py->info.hex >> 8 < 0x30d
					? type->pre
					: 0);
		if (type->library == MW_PY_LIBRARY_CTYPE) {
			size += mw_py_bytes_of(mw_py_field(py, addr, l->ob_size), type->itemsize);
			break;
		}
		size = (uint64_t)l->heaptype_size;
		if (mw_py_field(py, addr, l->ht_cached_keys))
			size += keys_size(py, mw_py_field(py, addr, l->ht_cached_keys));
		break;
	case MW_PY_KIND_GENERATOR:
		size = generator_size(py, type, addr);
		break;
	case MW_PY_KIND_FRAME:
		size = frame_size(py, type, addr);
		break;
	case MW_PY_KIND_CODE:
		size = code_size(py, type, addr);
		break;
	default:
		if (type->itemsize) {
			int64_t n = (int64_t)mw_py_field(py, addr, l->ob_size);

			size += mw_py_bytes_of((uint64_t)(n < 0 ? -n : n), type->itemsize);
		}
	}
	if (type->library)
		size += mw_py_library_extra(py, type, addr);
	return size + type->pre;
}

uint64_t mw_py_length_at(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	struct mw_py_deque deque;
	int32_t offset = -1;

	switch ((enum mw_py_kind)type->kind) {
	case MW_PY_KIND_LIST:
		offset = l->ob_size;
		break;
	case MW_PY_KIND_DICT:
	case MW_PY_KIND_ODICT:
		offset = l->ma_used;
		break;
	case MW_PY_KIND_SET:
		offset = l->set_used;
		break;
	case MW_PY_KIND_DEQUE:
		if (!mw_py_deque(py, addr, &deque))
			return 0;
		return mw_py_fields_of(py, addr) + (uint64_t)deque_layout(py)->length;
	default:
		break;
	}
	return offset >= 0 ? addr + (uint64_t)offset : 0;
}

uint64_t mw_py_length(struct mw_python *py, const struct mw_py_type *type, uint64_t addr)
{
	uint64_t at = mw_py_length_at(py, type, addr);
	uint64_t length = at ? mw_py_field(py, at, 0) : 0;

	return length < SIZE_CAP / 8 ? length : 0;
}

/* Values of an instance apart from it, 3.11 and 3.12: pointers among the words before it. */
static void managed_buffers(struct mw_python *py, uint32_t type, uint64_t addr)
{
	uint64_t values;

	if (py->info.hex < MW_PY_VERSION(3, 12, 0)) {
		mw_py_mark_values(py, type, mw_pages_word(&py->pages, addr - 32));
		return;
	}
	values = mw_pages_word(&py->pages, addr - 24);
	if (values & 1) /* else it is a dictionary */
		mw_py_mark_values(py, type, values & ~1ULL);
}

void mw_py_object_buffers(struct mw_python *py, uint32_t index, uint64_t addr)
{
	const struct mw_py_type *type = &py->types[index];
	const struct mw_py_layout *l = &py->layout;

	if (type->managed_dict && py->info.hex < MW_PY_VERSION(3, 13, 0))
		managed_buffers(py, index, addr);
	if (type->library)
		mw_py_library_buffers(py, index, addr);
	switch ((enum mw_py_kind)type->kind) {
	case MW_PY_KIND_STR:
		str_buffers(py, index, addr);
		break;
	case MW_PY_KIND_UNICODE2:
		mw_py_mark(py, index, mw_py_field(py, addr, l->unicode2_str));
		break;
	case MW_PY_KIND_LIST:
		mw_py_mark(py, index, mw_py_field(py, addr, l->list_items));
		break;
	case MW_PY_KIND_DICT:
		dict_buffers(py, index, addr);
		break;
	case MW_PY_KIND_ODICT:
		odict_buffers(py, index, addr);
		break;
	case MW_PY_KIND_SET:
		if (mw_py_field(py, addr, l->set_table) != addr + (uint64_t)l->set_smalltable)
			mw_py_mark(py, index, mw_py_field(py, addr, l->set_table));
		break;
	case MW_PY_KIND_BYTEARRAY:
		mw_py_mark(py, index, mw_py_field(py, addr, l->bytearray_bytes));
		break;
	case MW_PY_KIND_ARRAY:
		mw_py_mark(py, index,
			   mw_pages_word(&py->pages, mw_py_fields_of(py, addr) + ARRAY_ITEM));
		break;
	case MW_PY_KIND_DEQUE:
		deque_buffers(py, index, addr);
		break;
	case MW_PY_KIND_NDARRAY:
		addr = mw_py_fields_of(py, addr);
		mw_py_mark(py, index, mw_pages_word(&py->pages, addr + ND_DIMENSIONS));
		if (mw_pages_word32(&py->pages, addr + ND_FLAGS) & ND_OWNDATA)
			mw_py_mark(py, index, mw_pages_word(&py->pages, addr + ND_DATA));
		break;
	case MW_PY_KIND_TYPE:
		mw_py_mark(py, index, mw_py_field(py, addr, l->ht_cached_keys));
		break;
	default:
		break;
	}
}

/*
 * ---- looking up ---------------------------------------------------------------------------------
 */

bool mw_py_entries(struct mw_python *py, uint64_t dict, struct mw_py_keys *out)
{
	const struct mw_py_layout *l = &py->layout;

	if (!dict || dict % 8)
		return false;
	if (l->ma_table < 0)
		return l->ma_keys >= 0 && mw_py_keys(py, mw_py_field(py, dict, l->ma_keys), out);
	*out = (struct mw_py_keys){.entries = mw_py_field(py, dict, l->ma_table),
				   .entry_size = 24,
				   .entry_key = 8,
				   .entry_count = mw_py_field(py, dict, l->ma_mask) + 1};
	return true;
}

bool mw_py_dict_text(struct mw_python *py, uint64_t dict, const char *key, char *buf, size_t size)
{
	enum { ENTRIES_MAX = 4096 };
	struct mw_py_keys k;
	char text[64];

	if (!mw_py_entries(py, dict, &k))
		return false;
	for (uint64_t i = 0; i < k.entry_count && i < ENTRIES_MAX; i++) {
		uint64_t at = k.entries + i * k.entry_size + k.entry_key;
		uint64_t name = mw_pages_word(&py->pages, at);

		if (name && mw_py_text(py, name, text, sizeof(text)) && !strcmp(text, key))
			return mw_py_text(py, mw_pages_word(&py->pages, at + 8), buf, size);
	}
	return false;
}

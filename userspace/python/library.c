// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Types of the standard library's extension modules: what their objects own besides, as their
 * __sizeof__ counts it. Fields are where Modules/ of CPython 2.7 to 3.15 has them; a build without
 * the GIL has a head that is longer, which mw_py_fields_of() takes into account.
 */
#include "python/python_impl.h"

/* _decimal/_decimal.c, PyDecObject; mpd_t of libmpdec: coefficients of 8 bytes. */
enum { DEC_FLAGS = 24, DEC_NOT_OWNED = 32 | 64 | 128, DEC_ALLOC = 56, DEC_DATA = 64 };

/* _io/bufferedio.c, struct buffered. */
enum { BUFFERED_BUFFER = 56, BUFFERED_SIZE = 120 };

/* _struct.c, PyStructObject; its codes end with one that has no definition. */
enum { STRUCT_CODES = 32, CODE_SIZE_2 = 24, CODE_SIZE_3 = 32, CODES_MAX = 1 << 16 };

/* _elementtree.c, ElementObject and ElementObjectExtra, which has place for four children. */
enum { ELEMENT_EXTRA = 40, EXTRA_ALLOCATED = 16, EXTRA_CHILDREN = 24, EXTRA_STATIC = 32 };
enum { EXTRA_SIZE = 64 };

/*
 * _ctypes/ctypes.h: StgInfo, from 3.13 on behind the head of a type, and before that StgDictObject,
 * a dict. Where its members are, by version.
 */
struct stg_layout {
	int32_t length, elements, format, dimensions, shape;
};

static const struct stg_layout *stg_layout(const struct mw_python *py)
{
	static const struct stg_layout info_3_14 = {24, 48, 144, 152, 160};
	static const struct stg_layout info_3_13 = {24, 48, 136, 144, 152};
	static const struct stg_layout dict = {16, 40, 120, 128, 136};

	return py->info.hex >= MW_PY_VERSION(3, 14, 0)	 ? &info_3_14
	       : py->info.hex >= MW_PY_VERSION(3, 13, 0) ? &info_3_13
							 : &dict;
}

/* Where the members of the ctypes type, or the dict of one, at ADDR begin. */
static uint64_t stg_of(const struct mw_python *py, uint64_t addr)
{
	uint64_t head = (uint64_t)py->layout.heaptype_size;

	if (py->info.hex < MW_PY_VERSION(3, 13, 0))
		return addr + (uint64_t)py->layout.dict_size;
	return addr + ((head + 15) & ~15ULL); /* PyObject_GetTypeData() */
}

/* Up to 3.12 CDataType_traverse() visits for a class what its dict has in `proto`. */
enum { STGDICT_PROTO = 48 };

uint64_t mw_py_library_prototype(struct mw_python *py, uint64_t type)
{
	uint64_t dict = mw_py_field(py, type, py->layout.tp_dict);
	int32_t kind = dict ? mw_py_type_of(py, dict) : -1;

	return kind >= 0 && py->types[kind].library == MW_PY_LIBRARY_STGDICT
		       ? mw_pages_word(&py->pages, stg_of(py, dict) + STGDICT_PROTO)
		       : 0;
}

static uint64_t text_length(struct mw_python *py, uint64_t addr)
{
	enum { TEXT_MAX = 1 << 16 };
	uint64_t n = 0;
	char c;

	while (n < TEXT_MAX && mw_pages_read(&py->pages, addr + n, &c, 1) && c)
		n++;
	return n;
}

static uint64_t stg_extra(struct mw_python *py, uint64_t addr)
{
	const struct stg_layout *l = stg_layout(py);
	uint64_t at = stg_of(py, addr), format = mw_py_field(py, at, l->format), size = 0;

	if (format)
		size += text_length(py, format) + 1;
	if (mw_py_field(py, at, l->elements))
		size += mw_py_bytes_of(mw_py_field(py, at, l->length) + 1, 8);
	return size + mw_py_bytes_of(mw_pages_word32(&py->pages, at + (uint64_t)l->dimensions), 8);
}

static uint64_t struct_extra(struct mw_python *py, uint64_t addr)
{
	uint64_t size = py->info.hex < MW_PY_VERSION(3, 0, 0) ? CODE_SIZE_2 : CODE_SIZE_3, n = 1;
	uint64_t at = mw_pages_word(&py->pages, addr + STRUCT_CODES);

	for (; at && n < CODES_MAX && mw_pages_word(&py->pages, at); n++)
		at += size;
	return n * size;
}

static uint64_t element_extra(struct mw_python *py, uint64_t addr)
{
	uint64_t extra = mw_pages_word(&py->pages, addr + ELEMENT_EXTRA), size = EXTRA_SIZE;

	if (!extra)
		return 0;
	if (mw_pages_word(&py->pages, extra + EXTRA_CHILDREN) != extra + EXTRA_STATIC)
		size += mw_py_bytes_of(mw_pages_word(&py->pages, extra + EXTRA_ALLOCATED), 8);
	return size;
}

/*
 * _datetimemodule.c: naive ones are allocated without their last field, the time zone.
 */
enum { DATE_HAS_ZONE = 24, DATE_ZONE = 8 };

uint64_t mw_py_library_short_by(struct mw_python *py, const struct mw_py_type *type,
				uint64_t object)
{
	uint8_t has_zone = 1;

	if (type->library != MW_PY_LIBRARY_DATE)
		return 0;
	mw_pages_read(&py->pages, mw_py_fields_of(py, object) + DATE_HAS_ZONE, &has_zone, 1);
	return has_zone ? 0 : DATE_ZONE;
}

static bool owns_digits(struct mw_python *py, uint64_t addr)
{
	return !(mw_pages_word32(&py->pages, addr + DEC_FLAGS) & DEC_NOT_OWNED);
}

uint64_t mw_py_library_extra(struct mw_python *py, const struct mw_py_type *type, uint64_t object)
{
	uint64_t addr = mw_py_fields_of(py, object);

	switch ((enum mw_py_library)type->library) {
	case MW_PY_LIBRARY_DECIMAL:
		return owns_digits(py, addr)
			       ? mw_py_bytes_of(mw_pages_word(&py->pages, addr + DEC_ALLOC), 8)
			       : 0;
	case MW_PY_LIBRARY_BUFFERED:
		return mw_pages_word(&py->pages, addr + BUFFERED_BUFFER)
			       ? mw_py_bytes_of(mw_pages_word(&py->pages, addr + BUFFERED_SIZE), 1)
			       : 0;
	case MW_PY_LIBRARY_STRUCT:
		return struct_extra(py, addr);
	case MW_PY_LIBRARY_ELEMENT:
		return element_extra(py, addr);
	case MW_PY_LIBRARY_CTYPE:
		return stg_extra(py, object);
	case MW_PY_LIBRARY_STGDICT: /* 3.7 on; it counts what it has behind a dict twice */
		return py->info.hex < MW_PY_VERSION(3, 7, 0)
			       ? 0
			       : stg_extra(py, object) + type->basicsize -
					 (uint64_t)py->layout.dict_size;
	default:
		return 0;
	}
}

void mw_py_library_buffers(struct mw_python *py, uint32_t type, uint64_t object)
{
	uint64_t addr = mw_py_fields_of(py, object), at;
	const struct stg_layout *stg = stg_layout(py);

	switch ((enum mw_py_library)py->types[type].library) {
	case MW_PY_LIBRARY_DECIMAL:
		if (owns_digits(py, addr))
			mw_py_mark(py, type, mw_pages_word(&py->pages, addr + DEC_DATA));
		break;
	case MW_PY_LIBRARY_BUFFERED:
		mw_py_mark(py, type, mw_pages_word(&py->pages, addr + BUFFERED_BUFFER));
		break;
	case MW_PY_LIBRARY_STRUCT:
		mw_py_mark(py, type, mw_pages_word(&py->pages, addr + STRUCT_CODES));
		break;
	case MW_PY_LIBRARY_ELEMENT:
		at = mw_pages_word(&py->pages, addr + ELEMENT_EXTRA);
		mw_py_mark(py, type, at);
		if (at && mw_pages_word(&py->pages, at + EXTRA_CHILDREN) != at + EXTRA_STATIC)
			mw_py_mark(py, type, mw_pages_word(&py->pages, at + EXTRA_CHILDREN));
		break;
	case MW_PY_LIBRARY_CTYPE:
	case MW_PY_LIBRARY_STGDICT:
		at = stg_of(py, object);
		mw_py_mark(py, type, mw_py_field(py, at, stg->elements));
		mw_py_mark(py, type, mw_py_field(py, at, stg->format));
		mw_py_mark(py, type, mw_py_field(py, at, stg->shape));
		break;
	default:
		break;
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/chars.h"
#include "python/lines.h"
#include "util/text.h"

enum {
	FLAG_BYTES = 1 << 27, /* Py_TPFLAGS_STRING_SUBCLASS in 2.7 */
	FLAG_UNICODE = 1 << 28,
	TEXT_MAX = 1 << 20,
};

_Static_assert((int)MW_PY_NAME_MAX <= (int)MW_PY_FILE_MAX,
	       "read_text() has room for a file's name");

/* 2.7, 3.6 to 3.9 (Objects/lnotab_notes.txt): pairs of bytes, how far code and line move. */
static uint32_t line_by_lnotab(uint32_t version, uint32_t line, const uint8_t *table, size_t len,
			       uint32_t offset)
{
	bool is_signed = version >= MW_PY_VERSION(3, 6, 0);
	uint64_t at = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		at += table[i];
		if (at > offset)
			break;
		line += is_signed ? (uint32_t)(int32_t)(int8_t)table[i + 1] : table[i + 1];
	}
	return line;
}

/* 3.10 (the same file): pairs again, but of ranges, and -128 says that a range has no line. */
static uint32_t line_by_ranges(uint32_t line, const uint8_t *table, size_t len, uint32_t offset)
{
	uint64_t at = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		int8_t move = (int8_t)table[i + 1];

		if (move != -128)
			line += (uint32_t)(int32_t)move;
		at += table[i];
		if (at > offset)
			return move == -128 ? 0 : line;
	}
	return 0;
}

/* Six bits a byte, the lowest first; the seventh says that more follow. */
static uint32_t varint(const uint8_t *table, size_t len, size_t *i)
{
	uint32_t value = 0;

	for (unsigned int shift = 0; *i < len && shift < 32; shift += 6) {
		uint8_t byte = table[(*i)++];

		value |= (uint32_t)(byte & 63) << shift;
		if (!(byte & 64))
			break;
	}
	return value;
}

/* From 3.11 on (Objects/locations.md): an entry begins with a byte whose highest bit is set. */
static uint32_t line_by_locations(uint32_t line, const uint8_t *table, size_t len, uint32_t offset)
{
	enum {
		SHORT_LAST = 9,
		ONE_LINE_0 = 10,
		ONE_LINE_2 = 12,
		NO_COLUMNS = 13,
		LONG = 14,
		NONE = 15
	};
	uint64_t at = 0;
	size_t i = 0;

	while (i < len) {
		uint8_t first = table[i++], code = first >> 3 & 15;

		if (code >= ONE_LINE_0 && code <= ONE_LINE_2) {
			line += code - ONE_LINE_0;
		} else if (code == NO_COLUMNS || code == LONG) {
			uint32_t move = varint(table, len, &i);

			line += move & 1 ? -(move >> 1) : move >> 1;
		}
		at += 2 * ((first & 7u) + 1);
		if (at > offset)
			return code == NONE ? 0 : line;
		while (i < len && !(table[i] & 128))
			i++; /* columns */
	}
	return 0;
}

uint32_t mw_py_line(uint32_t version, uint32_t first_line, const uint8_t *table, size_t len,
		    uint32_t offset)
{
	if (version < MW_PY_VERSION(3, 10, 0))
		return line_by_lnotab(version, first_line, table, len, offset);
	if (version < MW_PY_VERSION(3, 11, 0))
		return line_by_ranges(first_line, table, len, offset);
	return line_by_locations(first_line, table, len, offset);
}

struct reader {
	const struct mw_py_layout *layout;
	mw_py_read_fn read;
	void *arg;
};

static uint64_t word_at(const struct reader *r, uint64_t addr, int32_t field)
{
	uint64_t value = 0;

	return field >= 0 && r->read(r->arg, addr + (uint64_t)field, &value, 8) ? value : 0;
}

/*
 * Whether ADDR may be an object of the built-in type whose bit in tp_flags is given (bytes, which
 * is 2.7's str, and str; Include/object.h of 2.7 and later).
 */
static bool has_type(const struct reader *r, uint64_t addr, uint64_t flag)
{
	uint64_t type = addr && addr % 8 == 0 ? word_at(r, addr, r->layout->ob_type) : 0;

	return type && type % 8 == 0 && word_at(r, type, r->layout->tp_flags) & flag;
}

static bool is_code(const struct reader *r, uint64_t addr)
{
	uint64_t type = addr && addr % 8 == 0 ? word_at(r, addr, r->layout->ob_type) : 0;
	uint64_t at = type && type % 8 == 0 ? word_at(r, type, r->layout->tp_name) : 0;
	char name[sizeof("code")];

	return at && r->read(r->arg, at, name, sizeof(name)) && !memcmp(name, "code", sizeof(name));
}

/*
 * The string at ADDR; "?" when it is one but can't be read, or is not as the compiler makes them.
 */
static int read_text(const struct reader *r, uint64_t addr, char *out, size_t size)
{
	const struct mw_py_layout *l = r->layout;
	bool bytes = l->ascii_length < 0; /* 2.7: in any encoding */
	uint8_t raw[4 * MW_PY_FILE_MAX];
	char text[MW_PY_UTF8_MAX * MW_PY_FILE_MAX];
	uint64_t length, data, state;
	unsigned int kind = 1;
	size_t n;

	if (!has_type(r, addr, bytes ? FLAG_BYTES : FLAG_UNICODE))
		return -EFAULT;
	if (bytes) {
		length = word_at(r, addr, l->ob_size);
		data = addr + (uint64_t)l->bytes_data;
	} else {
		length = word_at(r, addr, l->ascii_length);
		state = word_at(r, addr, l->ascii_state);
		/* interned, kind:3, compact:1, ascii:1; as in objects.c */
		state >>= l->free_threaded && l->version >= MW_PY_VERSION(3, 14, 0) ? 8 : 2;
		kind = state & 7;
		data = addr + (uint64_t)(state & 16 ? l->ascii_size : l->compact_size);
		if (!(state & 8))
			kind = 0;
	}
	if (length > TEXT_MAX)
		return -EFAULT;
	/* SIZE characters are more than fit, so mw_text_clean() will say that there are more. */
	n = length < size ? length : size;
	if ((kind != 1 && kind != 2 && kind != 4) || !r->read(r->arg, data, raw, n * kind)) {
		snprintf(out, size, "?");
		return 0;
	}
	if (bytes)
		mw_text_clean(out, size, (const char *)raw, n);
	else
		mw_text_clean(out, size, text, mw_py_utf8(text, raw, n, kind));
	return 0;
}

int mw_py_code__read(struct mw_py_code *code, const struct mw_py_layout *layout, uint64_t addr,
		     mw_py_read_fn read, void *arg)
{
	struct reader r = {layout, read, arg};
	int32_t name = layout->co_qualname >= 0 ? layout->co_qualname : layout->co_name;
	uint64_t table, len;

	memset(code, 0, sizeof(*code));
	if (!is_code(&r, addr) ||
	    !read(arg, addr + (uint64_t)layout->co_firstlineno, &code->first_line,
		  sizeof(code->first_line)) ||
	    read_text(&r, word_at(&r, addr, name), code->name, sizeof(code->name)) ||
	    read_text(&r, word_at(&r, addr, layout->co_filename), code->file, sizeof(code->file)))
		return -EFAULT;
	table = word_at(&r, addr, layout->co_linetable);
	if (!has_type(&r, table, FLAG_BYTES))
		return -EFAULT;
	len = word_at(&r, table, layout->ob_size);
	if (len > MW_PY_TABLE_MAX)
		return -EFAULT;
	code->table = malloc(len ? len : 1);
	if (!code->table)
		return -ENOMEM;
	if (!read(arg, table + (uint64_t)layout->bytes_data, code->table, len)) {
		mw_py_code__free(code);
		return -EFAULT;
	}
	code->table_len = len;
	return 0;
}

void mw_py_code__free(struct mw_py_code *code)
{
	free(code->table);
	code->table = NULL;
	code->table_len = 0;
}

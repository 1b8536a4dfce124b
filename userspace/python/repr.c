// SPDX-License-Identifier: GPL-2.0-or-later
/* The text of one object for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/text.h"

enum { DEPTH = 2, ITEMS = 6, SET_SLOTS = 4096 };

struct text {
	char *buf;
	size_t size, len;
};

static void add(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (t->len + n + 4 > t->size) {
		if (t->len + 4 <= t->size && (t->len < 3 || strcmp(t->buf + t->len - 3, "..."))) {
			memcpy(t->buf + t->len, "...", 4);
			t->len += 3;
		}
		t->size = t->len; /* nothing more fits */
		return;
	}
	memcpy(t->buf + t->len, s, n + 1);
	t->len += n;
}

static const struct mw_py_type *type_of(struct mw_python *py, uint64_t addr)
{
	int32_t type = mw_py_type_of(py, addr);

	return type < 0 ? NULL : &py->types[type];
}

/* The full name of TYPE, which may not have been asked for its name yet. */
static void add_name(struct mw_python *py, struct text *t, const struct mw_py_type *type)
{
	struct mw_py_type named = *type;
	char text[160];

	mw_py_type_name(py, &named);
	mw_python_type_name(&named, text, sizeof(text));
	add(t, text);
}

/* What goes before the next item of a list in braces; false: enough were shown. */
static bool next_item(struct text *t, uint64_t *shown)
{
	if (*shown == ITEMS) {
		add(t, ", ...");
		return false;
	}
	if ((*shown)++)
		add(t, ", ");
	return true;
}

static bool is_static_type(const struct mw_py_type *t, const char *name)
{
	return t && !t->heap_type && !strcmp(t->name, name);
}

static void add_int(struct mw_python *py, struct text *t, const struct mw_py_type *type,
		    uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t digits, value = 0;
	bool negative;
	char text[48];

	if (l->long_tag >= 0) {
		digits = mw_py_field(py, addr, l->long_tag) >> 3;
		negative = (mw_py_field(py, addr, l->long_tag) & 3) == 2;
	} else {
		int64_t n = (int64_t)mw_py_field(py, addr, l->ob_size);

		digits = (uint64_t)(n < 0 ? -n : n);
		negative = n < 0;
	}
	if (is_static_type(type, "bool")) {
		add(t, digits ? "True" : "False");
		return;
	}
	if (digits > 2) {
		snprintf(text, sizeof(text), "<int of about %" PRIu64 " bits>", digits * 30);
		add(t, text);
		return;
	}
	for (uint64_t i = digits; i-- > 0;)
		value = value << 30 |
			(mw_pages_word32(&py->pages, addr + (uint64_t)l->long_digits + 4 * i) &
			 ((1u << 30) - 1));
	snprintf(text, sizeof(text), "%s%" PRIu64, negative ? "-" : "", value);
	add(t, text);
}

static void add_float(struct mw_python *py, struct text *t, uint64_t addr)
{
	uint64_t bits = mw_py_field(py, addr, py->layout.float_value);
	char text[40];
	double value;

	memcpy(&value, &bits, sizeof(value));
	snprintf(text, sizeof(text), "%.12g", value);
	if (!strpbrk(text, ".enN"))
		strcat(text, ".0");
	add(t, text);
}

static void add_bytes(struct mw_python *py, struct text *t, uint64_t data, uint64_t length)
{
	char raw[80], text[100];
	size_t n = length < sizeof(raw) ? (size_t)length : sizeof(raw);

	if (!mw_pages_read(&py->pages, data, raw, n))
		n = 0;
	for (size_t i = 0; i < n; i++)
		raw[i] = raw[i] >= ' ' && raw[i] < 127 ? raw[i] : '?';
	mw_text_clean(text, sizeof(text), raw, n);
	add(t, py->info.hex < MW_PY_VERSION(3, 0, 0) ? "'" : "b'");
	add(t, text);
	add(t, length > n ? "'..." : "'");
}

static void add_object(struct mw_python *py, struct text *t, uint64_t addr, int depth);

static void add_items(struct mw_python *py, struct text *t, uint64_t items, uint64_t count,
		      int depth)
{
	for (uint64_t i = 0; i < count && i < ITEMS; i++) {
		if (i)
			add(t, ", ");
		add_object(py, t, mw_pages_word(&py->pages, items + 8 * i), depth + 1);
	}
	if (count > ITEMS)
		add(t, ", ...");
}

/* The key and the value of entry I of the dictionary at ADDR; false: there are no more. */
static bool dict_entry(struct mw_python *py, uint64_t addr, uint64_t i, uint64_t *key,
		       uint64_t *value)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t values = mw_py_field(py, addr, l->ma_values), at;
	struct mw_py_keys k;

	if (l->ma_table >= 0) {
		at = mw_py_field(py, addr, l->ma_table) + 24 * i;
		*key = mw_pages_word(&py->pages, at + 8);
		*value = mw_pages_word(&py->pages, at + 16);
		return i <= mw_py_field(py, addr, l->ma_mask);
	}
	if (!mw_py_keys(py, mw_py_field(py, addr, l->ma_keys), &k) || i >= k.entry_count)
		return false;
	at = k.entries + i * k.entry_size + k.entry_key;
	*key = mw_pages_word(&py->pages, at);
	*value = mw_pages_word(&py->pages, at + 8);
	if (values) {
		/* To 3.12 a bare array; then behind capacity, size and two flags. */
		if (l->dictvalues_embedded >= 0)
			values += (uint64_t)l->dictvalues_values;
		*value = mw_pages_word(&py->pages, values + 8 * i);
	}
	return true;
}

static void add_dict(struct mw_python *py, struct text *t, uint64_t addr, int depth)
{
	uint64_t key, value, shown = 0;

	add(t, "{");
	for (uint64_t i = 0; i < SET_SLOTS && dict_entry(py, addr, i, &key, &value); i++) {
		if (!key || !value)
			continue;
		if (!next_item(t, &shown))
			break;
		add_object(py, t, key, depth + 1);
		add(t, ": ");
		add_object(py, t, value, depth + 1);
	}
	add(t, "}");
}

static void add_set(struct mw_python *py, struct text *t, uint64_t addr, int depth)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t table = mw_py_field(py, addr, l->set_table),
		 slots = mw_py_field(py, addr, l->set_mask) + 1;
	uint64_t shown = 0;
	/* Python 2 has the hash before the key. */
	unsigned int at = py->info.hex < MW_PY_VERSION(3, 0, 0) ? 8 : 0;

	add(t, "{");
	for (uint64_t i = 0; i < slots && i < SET_SLOTS; i++) {
		uint64_t key = mw_pages_word(&py->pages, table + 16 * i + at);

		/* A deleted entry holds `dummy`, an object without a name. */
		if (!key || mw_pages_word(&py->pages, table + 16 * i + 8 - at) == UINT64_MAX)
			continue;
		if (!next_item(t, &shown))
			break;
		add_object(py, t, key, depth + 1);
	}
	add(t, "}");
}

/* "<function app.f at 0x...>": the name is where the type keeps it. */
static void add_plain(struct mw_python *py, struct text *t, const struct mw_py_type *type,
		      uint64_t addr)
{
	char text[64], name[64] = "";
	int32_t at = is_static_type(type, "function") ? py->layout.func_qualname
		     : is_static_type(type, "code")   ? py->layout.co_name
						      : -1;

	if (is_static_type(type, "NoneType")) {
		add(t, "None");
		return;
	}
	add(t, "<");
	add_name(py, t, type);
	if (at >= 0 && mw_py_text(py, mw_py_field(py, addr, at), name, sizeof(name))) {
		add(t, " ");
		add(t, name);
	}
	snprintf(text, sizeof(text), " at 0x%" PRIx64 ">", addr);
	add(t, text);
}

static void add_type(struct mw_python *py, struct text *t, uint64_t addr)
{
	int32_t type = mw_py_type_at(py, addr);

	if (type < 0)
		return;
	add(t, "<class '");
	add_name(py, t, &py->types[type]);
	add(t, "'>");
}

static void add_object(struct mw_python *py, struct text *t, uint64_t addr, int depth)
{
	const struct mw_py_layout *l = &py->layout;
	const struct mw_py_type *type = addr ? type_of(py, addr) : NULL;
	char text[100];

	if (!type) {
		snprintf(text, sizeof(text), addr ? "<? at 0x%" PRIx64 ">" : "NULL", addr);
		add(t, text);
		return;
	}
	switch ((enum mw_py_kind)type->kind) {
	case MW_PY_KIND_LONG:
		add_int(py, t, type, addr);
		return;
	case MW_PY_KIND_INT:
		snprintf(text, sizeof(text), "%" PRId64,
			 (int64_t)mw_py_field(py, addr, l->int_value));
		add(t, text);
		return;
	case MW_PY_KIND_FLOAT:
		add_float(py, t, addr);
		return;
	case MW_PY_KIND_STR:
		if (!mw_py_text(py, addr, text, sizeof(text)))
			break;
		add(t, "'");
		add(t, text);
		add(t, "'");
		return;
	case MW_PY_KIND_BYTES:
		add_bytes(py, t, addr + (uint64_t)l->bytes_data, mw_py_field(py, addr, l->ob_size));
		return;
	case MW_PY_KIND_TYPE:
		add_type(py, t, addr);
		return;
	case MW_PY_KIND_TUPLE:
	case MW_PY_KIND_LIST:
	case MW_PY_KIND_DICT:
	case MW_PY_KIND_ODICT:
	case MW_PY_KIND_SET:
		if (depth >= DEPTH) {
			add(t, "...");
			return;
		}
		break;
	default:
		break;
	}
	switch ((enum mw_py_kind)type->kind) {
	case MW_PY_KIND_TUPLE:
		add(t, "(");
		add_items(py, t, addr + (uint64_t)l->tuple_items, mw_py_field(py, addr, l->ob_size),
			  depth);
		add(t, mw_py_field(py, addr, l->ob_size) == 1 ? ",)" : ")");
		return;
	case MW_PY_KIND_LIST:
		add(t, "[");
		add_items(py, t, mw_py_field(py, addr, l->list_items),
			  mw_py_field(py, addr, l->ob_size), depth);
		add(t, "]");
		return;
	case MW_PY_KIND_DICT:
	case MW_PY_KIND_ODICT:
		add_dict(py, t, addr, depth);
		return;
	case MW_PY_KIND_SET:
		add_set(py, t, addr, depth);
		return;
	default:
		add_plain(py, t, type, addr);
	}
}

void mw_py_repr(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	struct text t = {buf, size, 0};

	buf[0] = '\0';
	add_object(py, &t, addr, 0);
}

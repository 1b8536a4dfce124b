// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Free lists: dead objects that are kept for the next of their type. Most can be recognised: they
 * have a type and no references left. This file finds those that overwrite either of them.
 */
#include <string.h>

#include "python/python_impl.h"
#include "util/bytes.h"

enum { CHAIN_MAX = 1 << 16, FLOATS_MAX = 101, SURE = 6, KEYS_MAX = 80 };

static int32_t type_of_kind(const struct mw_python *py, enum mw_py_kind kind)
{
	for (size_t i = 0; i < py->type_count; i++) {
		if (py->types[i].kind == kind && !py->types[i].heap_type)
			return (int32_t)i;
	}
	return -1;
}

/* Objects that are chained through the word at OFFSET. */
static void mark_chain(struct mw_python *py, int32_t type, uint64_t head, uint32_t offset)
{
	uint64_t n = 0;

	for (uint64_t at = head; at && at % 8 == 0 && n < CHAIN_MAX && mw_py_may_follow(py); n++) {
		mw_py_mark_parked(py, (uint32_t)type, at);
		at = mw_pages_word(&py->pages, at + offset);
	}
}

/* An array of COUNT (at most MAX) pointers. */
static void mark_array(struct mw_python *py, int32_t type, uint64_t array, uint32_t count,
		       uint32_t max)
{
	for (uint32_t i = 0; i < count && i < max; i++)
		mw_py_mark_parked(py, (uint32_t)type, mw_pages_word(&py->pages, array + 8ULL * i));
}

/* How many dead floats can be reached from HEAD; 0: it is no such list. */
static uint64_t count_floats(struct mw_python *py, uint64_t head)
{
	uint32_t align = py->info.alignment ? py->info.alignment : 16;
	uint64_t size = (24 + align - 1) / align * align;
	uint64_t n = 0;

	for (uint64_t at = head; at; n++) {
		uint32_t *label = at % 8 || at < 4096 ? NULL : mw_py_label_at(py, at, NULL, NULL);
		const struct mw_py_pool *pool = mw_py_pool_find(py, at);

		if (n >= FLOATS_MAX || !label || mw_py_label_role(*label) == MW_PY_ROLE_NONE ||
		    mw_pages_word(&py->pages, at) ||
		    (pool && !py->debug && pool->block_size != size))
			return 0;
		at = mw_pages_word(&py->pages, at + 8);
	}
	return n;
}

/* The list's length is next to its head, unless the linker put it elsewhere. */
static bool length_is_near(const struct mw_py_data *d, uint64_t offset, uint64_t n)
{
	for (int near = -16; near <= 16; near += 4) {
		if ((near < 0 || near >= 8) && offset + (uint64_t)near + 4 <= d->size &&
		    mw_u32_at(d->bytes + offset + near) == n)
			return true;
	}
	return false;
}

/*
 * Up to 3.9 floats' list is a static variable (Objects/floatobject.c: free_list, numfree): of the
 * pointers to chains of dead floats the one with the longest, which short ones can only be with
 * their length nearby.
 */
static void find_floats(struct mw_python *py, int32_t type)
{
	const struct mw_py_data *d = &py->data;
	uint64_t best = 0, best_head = 0;

	for (uint64_t off = 16; off + 24 <= d->size; off += 8) {
		uint64_t head = mw_u64_at(d->bytes + off);
		uint64_t n = head ? count_floats(py, head) : 0;

		if (n > best && (n >= SURE || length_is_near(d, off, n))) {
			best = n;
			best_head = head;
		}
	}
	if (!best)
		return;
	mark_chain(py, type, best_head, 8);
	mw_py_evidence(py, "free list of floats by its content");
}

static void mark_of_interpreter(struct mw_python *py, uint64_t interp, int32_t floats,
				int32_t dicts)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t at;

	if (l->interp_float_state >= 0 && l->float_free >= 0 && floats >= 0) {
		at = interp + (uint64_t)(l->interp_float_state + l->float_free);
		mark_chain(py, floats, mw_pages_word(&py->pages, at), 8);
	}
	if (l->interp_dict_state >= 0 && l->dict_keys_free >= 0 && dicts >= 0) {
		at = interp + (uint64_t)l->interp_dict_state;
		mark_array(py, dicts, at + (uint64_t)l->dict_keys_free,
			   mw_pages_word32(&py->pages, at + (uint64_t)l->dict_keys_numfree),
			   KEYS_MAX);
	}
}

/*
 * 3.13, Include/internal/pycore_freelist.h: floats are a chain, dictkeys an array and its length.
 */
static void mark_freelists_3_13(struct mw_python *py, uint64_t lists, int32_t floats, int32_t dicts)
{
	const struct mw_py_layout *l = &py->layout;

	if (l->freelists_float_items >= 0 && floats >= 0)
		mark_chain(py, floats,
			   mw_pages_word(&py->pages, lists + (uint64_t)l->freelists_float_items),
			   (uint32_t)l->ob_type);
	if (l->freelists_keys_items >= 0 && l->freelists_keys_numfree >= 0 && dicts >= 0)
		mark_array(py, dicts, lists + (uint64_t)l->freelists_keys_items,
			   mw_pages_word32(&py->pages, lists + (uint64_t)l->freelists_keys_numfree),
			   KEYS_MAX);
}

/*
 * 3.14 and later, Include/internal/pycore_freelist_state.h: each is a pointer and a length, and all
 * chain through the first word, so that the type pointer stays.
 */
static void mark_freelists_3_14(struct mw_python *py, uint64_t lists, int32_t dicts)
{
	for (uint64_t at = lists; at + 16 <= lists + (uint64_t)py->layout.freelists_size;
	     at += 16) {
		uint64_t object = mw_pages_word(&py->pages, at),
			 n = mw_pages_word(&py->pages, at + 8);

		for (uint64_t i = 0; object && i < n && i < CHAIN_MAX; i++) {
			int32_t type = mw_py_type_of(py, object);

			if (type < 0) /* keys of dictionaries, which are no objects */
				type = dicts;
			if (type >= 0)
				mw_py_mark_parked(py, (uint32_t)type, object);
			object = mw_pages_word(&py->pages, object);
		}
	}
}

static void mark_freelists(struct mw_python *py, uint64_t lists, int32_t floats, int32_t dicts)
{
	if (py->info.hex >= MW_PY_VERSION(3, 14, 0))
		mark_freelists_3_14(py, lists, dicts);
	else
		mark_freelists_3_13(py, lists, floats, dicts);
}

/* Free-threaded: each thread has its own. */
static void mark_of_threads(struct mw_python *py, const struct mw_py_interpreter *interp,
			    int32_t floats, int32_t dicts)
{
	uint64_t t = mw_py_thread(py, interp, 0);

	for (uint32_t k = 0; t && k < interp->threads; k++) {
		mark_freelists(py, t + (uint64_t)py->layout.tstate_freelists, floats, dicts);
		t = mw_py_thread(py, interp, t);
	}
}

void mw_py_freelists(struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;
	int32_t floats = type_of_kind(py, MW_PY_KIND_FLOAT);
	int32_t dicts = type_of_kind(py, MW_PY_KIND_DICT);

	if (py->info.hex < MW_PY_VERSION(3, 10, 0) && floats >= 0)
		find_floats(py, floats);
	for (size_t i = 0; i < py->interpreter_count; i++) {
		uint64_t interp = py->interpreters[i].addr;

		mark_of_interpreter(py, interp, floats, dicts);
		if (l->free_threaded && l->tstate_freelists >= 0)
			mark_of_threads(py, &py->interpreters[i], floats, dicts);
		else if (l->interp_freelists >= 0)
			mark_freelists(py, interp + (uint64_t)l->interp_freelists, floats, dicts);
	}
}

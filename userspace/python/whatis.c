// SPDX-License-Identifier: GPL-2.0-or-later
/* What lies at one address of Python's memory. */
#include <errno.h>
#include <string.h>

#include "python/python_impl.h"
#include "python/referents.h"

const char *mw_python_what_name(enum mw_py_what what)
{
	static const char *const words[] = {
		[MW_PY_WHAT_OBJECT] = "object", [MW_PY_WHAT_PARKED] = "parked",
		[MW_PY_WHAT_BUFFER] = "buffer", [MW_PY_WHAT_FREE] = "free",
		[MW_PY_WHAT_DATA] = "data",	[MW_PY_WHAT_SYSTEM] = "interpreter",
		[MW_PY_WHAT_POOL] = "pool",	[MW_PY_WHAT_ARENA] = "arena",
		[MW_PY_WHAT_STATIC] = "static",
	};

	return words[what];
}

/* Keep the first few of an object's referents that are objects, each once. */
struct keep {
	struct mw_python *py;
	struct mw_py_object *out;
};

static int keep_referent(void *arg, const struct mw_py_referent *r)
{
	const struct keep *keep = arg;
	struct mw_py_object *out = keep->out;

	if (r->via == MW_PY_VIA_BUFFER || r->via == MW_PY_VIA_TYPE ||
	    mw_py_type_of(keep->py, r->addr) < 0)
		return 0;
	for (size_t i = 0; i < out->referent_count; i++) {
		if (out->referents[i] == r->addr)
			return 0;
	}
	out->referents[out->referent_count++] = r->addr;
	return out->referent_count == MW_PY_REFERENTS;
}

static void describe_object(struct mw_python *py, struct mw_py_object *out)
{
	uint64_t refs = mw_pages_word(&py->pages, out->addr + (uint64_t)py->layout.ob_refcnt);
	struct keep keep = {py, out};

	out->refcount = py->info.hex >= MW_PY_VERSION(3, 12, 0) ? (uint32_t)refs : refs;
	out->size = mw_py_object_size(py, out->type, out->addr);
	mw_py_repr(py, out->addr, out->repr, sizeof(out->repr));
	mw_python__referents(py, out->addr, keep_referent, &keep);
}

/* Outside the heap the only objects are static ones and the interpreter's own. */
static int look_for_static(struct mw_python *py, uint64_t addr, struct mw_py_object *out)
{
	int32_t type = mw_py_type_of(py, addr);

	if (type < 0)
		return -ENOENT;
	out->what = MW_PY_WHAT_STATIC;
	out->type = &py->types[type];
	out->addr = addr;
	describe_object(py, out);
	return 0;
}

static const enum mw_py_what words[] = {
	[MW_PY_ROLE_NONE] = MW_PY_WHAT_FREE,	 [MW_PY_ROLE_OTHER] = MW_PY_WHAT_DATA,
	[MW_PY_ROLE_LIVE] = MW_PY_WHAT_OBJECT,	 [MW_PY_ROLE_PARKED] = MW_PY_WHAT_PARKED,
	[MW_PY_ROLE_BUFFER] = MW_PY_WHAT_BUFFER, [MW_PY_ROLE_CELLS] = MW_PY_WHAT_OBJECT,
	[MW_PY_ROLE_SYSTEM] = MW_PY_WHAT_SYSTEM,
};

/* The cell of a block of Python 2's that ADDR is in. */
static void look_at_cell(struct mw_python *py, uint64_t addr, struct mw_py_object *out,
			 uint32_t type)
{
	uint64_t cell = mw_py_cell_of(out->block, addr);

	out->what = MW_PY_WHAT_SYSTEM;
	if (!cell)
		return;
	out->type = &py->types[type];
	out->addr = cell;
	out->what = MW_PY_WHAT_PARKED;
	if (!mw_py_cell_is_live(py, cell, type))
		return;
	out->what = MW_PY_WHAT_OBJECT;
	describe_object(py, out);
}

static void look_at_block(struct mw_python *py, uint32_t label, struct mw_py_object *out)
{
	enum mw_py_role role = mw_py_label_role(label);

	out->what = words[role];
	if (role != MW_PY_ROLE_LIVE && role != MW_PY_ROLE_PARKED && role != MW_PY_ROLE_BUFFER)
		return;
	out->type = &py->types[label & MW_PY_LABEL_TYPE];
	if (role == MW_PY_ROLE_BUFFER) {
		mw_python__owners(py, &out->block, 1, &out->owner);
		return;
	}
	out->addr = out->block + mw_py_debug_at(py, out->block) + out->type->pre;
	if (role == MW_PY_ROLE_PARKED)
		return;
	out->tracked = label & MW_PY_LABEL_TRACKED;
	if (out->tracked)
		out->generation = mw_py_generation(py, out->addr);
	describe_object(py, out);
}

int mw_python__object(struct mw_python *py, uint64_t addr, struct mw_py_object *out)
{
	uint32_t *label;

	memset(out, 0, sizeof(*out));
	mw_py_allow_links(py);
	out->generation = -1;
	out->pool = mw_py_pool_find(py, addr);
	out->arena = mw_python__arena(py, addr);
	label = mw_py_label_at(py, addr, &out->block, &out->block_size);
	if (label && !out->pool && mw_py_label_role(*label) <= MW_PY_ROLE_OTHER)
		return -ENOENT; /* a chunk that stays the heap's */
	if (label && mw_py_label_role(*label) == MW_PY_ROLE_CELLS) {
		look_at_cell(py, addr, out, *label & MW_PY_LABEL_TYPE);
	} else if (label) {
		look_at_block(py, *label, out);
	} else if (out->pool) {
		const struct mw_py_pool *pool = out->pool;
		uint64_t offset = addr - pool->addr;

		out->what = MW_PY_WHAT_POOL;
		if (pool->state <= MW_PY_POOL_FULL && offset >= pool->first &&
		    (offset - pool->first) / pool->block_size < pool->capacity) {
			out->what = MW_PY_WHAT_FREE;
			out->block = addr - (offset - pool->first) % pool->block_size;
			out->block_size = pool->block_size;
		}
	} else if (out->arena) {
		out->what = MW_PY_WHAT_ARENA;
	} else {
		return look_for_static(py, addr, out);
	}
	return 0;
}

/*
 * ---- all of them
 * ---------------------------------------------------------------------------------
 */

static void set_block(struct mw_python *py, struct mw_py_block *b, uint64_t start, uint64_t size,
		      uint32_t label)
{
	enum mw_py_role role = mw_py_label_role(label);

	*b = (struct mw_py_block){.start = start, .size = size, .what = words[role]};
	if (role != MW_PY_ROLE_LIVE && role != MW_PY_ROLE_PARKED && role != MW_PY_ROLE_BUFFER)
		return;
	b->type = &py->types[label & MW_PY_LABEL_TYPE];
	if (role != MW_PY_ROLE_BUFFER)
		b->object = start + mw_py_debug_at(py, start) + b->type->pre;
}

static int each_of_pool(struct mw_python *py, const struct mw_py_pool *pool, mw_py_block_fn fn,
			void *arg)
{
	struct mw_py_block block;
	int ret = 0;

	if (pool->state > MW_PY_POOL_FULL)
		return 0;
	for (uint32_t i = 0; i < pool->capacity && !ret; i++) {
		set_block(py, &block, pool->addr + pool->first + i * pool->block_size,
			  pool->block_size, i < pool->handed_out ? py->labels[pool->label + i] : 0);
		block.pool = pool;
		ret = fn(arg, &block);
	}
	return ret;
}

static int each_of_cells(struct mw_python *py, size_t chunk, mw_py_block_fn fn, void *arg)
{
	uint32_t type = py->chunk_labels[chunk] & MW_PY_LABEL_TYPE;
	uint64_t start = mw_py_chunk_data(&py->chunks[chunk]), cell;
	int ret = 0;

	for (uint64_t at = start + 8; !ret && (cell = mw_py_cell_of(start, at)); at += 24) {
		bool live = mw_py_cell_is_live(py, cell, type);
		const struct mw_py_block b = {
			.start = cell,
			.size = 24,
			.object = cell,
			.what = live ? MW_PY_WHAT_OBJECT : MW_PY_WHAT_PARKED,
			.type = &py->types[type],
		};

		ret = fn(arg, &b);
	}
	return ret;
}

int mw_python__each_block(struct mw_python *py, const struct mw_py_pool *pool, mw_py_block_fn fn,
			  void *arg)
{
	int ret = 0;

	if (pool)
		return each_of_pool(py, pool, fn, arg);
	for (size_t i = 0; i < py->pool_count && !ret; i++)
		ret = each_of_pool(py, &py->pools[i], fn, arg);
	for (size_t i = 0; i < py->chunk_count && !ret; i++) {
		if (mw_py_label_role(py->chunk_labels[i]) == MW_PY_ROLE_CELLS) {
			ret = each_of_cells(py, i, fn, arg);
			continue;
		}

		struct mw_py_block block;

		if (mw_py_label_role(py->chunk_labels[i]) <= MW_PY_ROLE_OTHER)
			continue;
		set_block(py, &block, mw_py_chunk_data(&py->chunks[i]),
			  mw_py_chunk_usable(&py->chunks[i]), py->chunk_labels[i]);
		ret = fn(arg, &block);
	}
	return ret;
}

const struct mw_py_pool *mw_python__pool(struct mw_python *py, uint64_t addr)
{
	return mw_py_pool_find(py, addr);
}

int mw_python__type_of(struct mw_python *py, uint64_t addr, struct mw_py_type *type)
{
	int32_t i = mw_py_type_of(py, addr);

	if (i < 0)
		return -ENOENT;
	*type = py->types[i];
	mw_py_type_name(py, type);
	return 0;
}

void mw_python__repr(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	mw_py_repr(py, addr, buf, size);
}

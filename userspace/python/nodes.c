// SPDX-License-Identifier: GPL-2.0-or-later
/* Live blocks by number, and all of them in order with their bytes at hand. */
#include <errno.h>
#include <stdlib.h>

#include "python/python_impl.h"
#include "python/referents.h"
#include "util/search.h"

enum {
	NEAR_START = 129, /* a head of the program's own, or what aligns to two cache lines */
	TYPE_DEL_2 = 376, /* PyTypeObject.tp_del, behind tp_weaklist */
};

uint32_t mw_python__numbers(const struct mw_python *py)
{
	return (uint32_t)(py->label_count + py->chunk_count);
}

int64_t mw_python__number(struct mw_python *py, uint64_t addr)
{
	uint64_t start;
	uint32_t *label;
	size_t number;

	if (addr < 4096 || addr >> 47)
		return -1;
	label = mw_py_label_at(py, addr, &start, NULL);
	if (!label)
		return -1;
	number = label >= py->labels && label < py->labels + py->label_count
			 ? (size_t)(label - py->labels)
			 : py->label_count + (size_t)(label - py->chunk_labels);
	switch (mw_py_label_role(*label)) {
	case MW_PY_ROLE_LIVE:
		addr -= py->types[*label & MW_PY_LABEL_TYPE].pre;
		return addr == start || (py->any_debug && addr == start + mw_py_debug_at(py, start))
			       ? (int64_t)number
			       : -1;
	case MW_PY_ROLE_BUFFER:
	case MW_PY_ROLE_OTHER:
		/* Where the heap of a program at a fixed address is, any number of 32 bits may be.
		 */
		return addr >> 32 || !(addr % 8) || addr - start < NEAR_START ? (int64_t)number
									      : -1;
	case MW_PY_ROLE_CELLS:
		return (int64_t)number;
	default:
		return -1;
	}
}

static bool set_node(struct mw_python *py, struct mw_py_node *node, uint64_t start, uint64_t size,
		     uint64_t bytes, uint32_t label)
{
	static const enum mw_py_what words[] = {
		[MW_PY_ROLE_NONE] = MW_PY_WHAT_FREE,	 [MW_PY_ROLE_OTHER] = MW_PY_WHAT_DATA,
		[MW_PY_ROLE_LIVE] = MW_PY_WHAT_OBJECT,	 [MW_PY_ROLE_PARKED] = MW_PY_WHAT_PARKED,
		[MW_PY_ROLE_BUFFER] = MW_PY_WHAT_BUFFER, [MW_PY_ROLE_CELLS] = MW_PY_WHAT_OBJECT,
		[MW_PY_ROLE_SYSTEM] = MW_PY_WHAT_SYSTEM,
	};
	enum mw_py_role role = mw_py_label_role(label);

	if (role == MW_PY_ROLE_NONE || role == MW_PY_ROLE_PARKED)
		return false;
	*node = (struct mw_py_node){
		.start = start,
		.size = size,
		.bytes = bytes,
		.what = words[role],
		.type = -1,
	};
	if (role == MW_PY_ROLE_LIVE || role == MW_PY_ROLE_BUFFER || role == MW_PY_ROLE_CELLS)
		node->type = (int32_t)(label & MW_PY_LABEL_TYPE);
	if (role == MW_PY_ROLE_LIVE) {
		node->object = start + mw_py_debug_at(py, start) + py->types[node->type].pre;
		node->tracked = label & MW_PY_LABEL_TRACKED;
	}
	node->cells = role == MW_PY_ROLE_CELLS;
	return true;
}

/* The same for chunk I. */
static bool set_chunk(struct mw_python *py, struct mw_py_node *node, size_t i)
{
	const struct mw_py_chunk *c = &py->chunks[i];

	return set_node(py, node, mw_py_chunk_data(c), mw_py_chunk_usable(c), c->size,
			py->chunk_labels[i]);
}

static bool pool_label_by(const void *at, const void *key)
{
	return ((const struct mw_py_pool *)at)->label <= *(const uint32_t *)key;
}

bool mw_python__node(struct mw_python *py, uint32_t number, struct mw_py_node *node)
{
	const struct mw_py_pool *pool;
	size_t i;

	mw_py_allow_links(py); /* for what follows from this one */
	if (number >= py->label_count) {
		i = number - py->label_count;
		return i < py->chunk_count && set_chunk(py, node, i);
	}
	i = mw_search(py->pools, py->pool_count, sizeof(*py->pools), pool_label_by, &number);
	if (!i)
		return false;
	pool = &py->pools[i - 1];
	if (pool->state > MW_PY_POOL_FULL || number - pool->label >= pool->handed_out)
		return false;
	return set_node(py, node,
			pool->addr + pool->first + (number - pool->label) * pool->block_size,
			pool->block_size, pool->block_size, py->labels[number]);
}

static uint32_t label_of(const struct mw_python *py, uint32_t number)
{
	return number < py->label_count ? py->labels[number]
					: py->chunk_labels[number - py->label_count];
}

bool mw_python__is_data(const struct mw_python *py, uint32_t number)
{
	return mw_py_label_role(label_of(py, number)) == MW_PY_ROLE_OTHER;
}

int32_t mw_python__type_number(const struct mw_python *py, uint32_t number)
{
	uint32_t label = label_of(py, number);

	return mw_py_label_role(label) == MW_PY_ROLE_LIVE ? (int32_t)(label & MW_PY_LABEL_TYPE)
							  : -1;
}

bool mw_python__read(struct mw_python *py, uint64_t addr, void *buf, size_t len)
{
	return mw_pages_read(&py->pages, addr, buf, len);
}

size_t mw_python__type_count(const struct mw_python *py)
{
	return py->type_count;
}

const struct mw_py_type *mw_python__type(struct mw_python *py, int32_t index)
{
	if (index < 0 || (size_t)index >= py->type_count)
		return NULL;
	mw_py_type_name(py, &py->types[index]);
	return &py->types[index];
}

const struct mw_py_type *mw_python__block_type(struct mw_python *py, uint64_t start)
{
	const uint32_t *label = mw_py_label_at(py, start, NULL, NULL);
	enum mw_py_role role = label ? mw_py_label_role(*label) : MW_PY_ROLE_NONE;

	return role == MW_PY_ROLE_LIVE || role == MW_PY_ROLE_BUFFER
		       ? mw_python__type(py, (int32_t)(*label & MW_PY_LABEL_TYPE))
		       : NULL;
}

/*
 * Immortal ones of 3.12 and later have the upper half of the lower word set; free-threaded builds
 * keep the owner's count apart, and defer counting of some (pycore_object.h).
 */
bool mw_python__refcount(struct mw_python *py, const struct mw_py_node *node, uint64_t *count)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t refs = mw_py_field(py, node->object, l->ob_refcnt);

	*count = refs;
	if (py->info.hex < MW_PY_VERSION(3, 12, 0))
		return true;
	if (l->free_threaded) {
		int64_t shared = (int64_t)mw_py_field(py, node->object, l->ob_ref_shared) >> 2;

		*count = (uint32_t)refs + (uint64_t)shared;
		return (uint32_t)refs != UINT32_MAX && shared >= 0 && shared < INT64_MAX / 16;
	}
	*count = (uint32_t)refs;
	return *count < 1ULL << 30;
}

uint64_t mw_python__own_dict(struct mw_python *py, const struct mw_py_node *node)
{
	const struct mw_py_type *t = &py->types[node->type];

	if (t->managed_dict)
		return mw_pages_word(&py->pages,
				     node->object - (py->layout.free_threaded ? 8 : 24));
	return t->dictoffset > 0 ? mw_pages_word(&py->pages, node->object + (uint64_t)t->dictoffset)
				 : 0;
}

uint64_t mw_python__getsizeof(struct mw_python *py, const struct mw_py_node *node)
{
	const struct mw_py_type type = py->types[node->type];

	return mw_py_object_size(py, &type, node->object);
}

void mw_python__words(struct mw_python *py, const struct mw_py_node *node, uint64_t *start,
		      uint64_t *end)
{
	uint64_t size;

	*start = node->start;
	*end = node->start + node->size;
	if (!node->object)
		return;
	size = mw_python__getsizeof(py, node);
	if (py->types[node->type].gc && size > py->gc_head)
		size -= py->gc_head;
	*start = node->object;
	if (size < *end - *start)
		*end = *start + size;
}

/* Modules/gcmodule.c of Python 2, has_finalizer(): a class with tp_del, which __del__ gives it. */
bool mw_python__blocks_collection(struct mw_python *py, const struct mw_py_node *node)
{
	uint64_t type = py->types[node->type].addr;

	return py->info.hex < MW_PY_VERSION(3, 0, 0) &&
	       mw_pages_word(&py->pages, type + TYPE_DEL_2) != 0;
}

/*
 * ---- all of them ------------------------------------------------------------------------------
 */

struct visit {
	struct mw_python *py;
	bool read; /* have the bytes at hand */
	mw_py_node_fn fn;
	void *arg;
};

static int visit_pool(const struct visit *v, const struct mw_py_pool *pool)
{
	struct mw_py_node node;
	int ret = 0;

	if (pool->state > MW_PY_POOL_FULL)
		return 0;
	for (uint32_t i = 0; i < pool->handed_out && !ret; i++) {
		if (set_node(v->py, &node, pool->addr + pool->first + i * pool->block_size,
			     pool->block_size, pool->block_size, v->py->labels[pool->label + i]))
			ret = v->fn(v->arg, pool->label + i, &node);
	}
	return ret;
}

static int visit_pools(const struct visit *v, size_t first, size_t end)
{
	struct mw_python *py = v->py;
	uint8_t *buf = first < end ? malloc(MW_PY_SWEEP) : NULL;
	int ret = first < end && !buf ? -ENOMEM : 0;

	for (size_t i = first, n; i < end && !ret; i += n) {
		uint64_t size;

		n = mw_py_together(py, i, end, &size);
		if (v->read && size <= MW_PY_SWEEP) {
			ssize_t got = mw_image__read(py->image, py->pools[i].addr, buf, size);

			py->pages.hand = buf;
			py->pages.hand_start = py->pools[i].addr;
			py->pages.hand_size = got > 0 ? (uint64_t)got : 0;
		}
		for (size_t k = 0; k < n && !ret; k++)
			ret = visit_pool(v, &py->pools[i + k]);
		py->pages.hand_size = 0;
	}
	free(buf);
	return ret;
}

static int visit_chunks(const struct visit *v, size_t first, size_t end)
{
	struct mw_python *py = v->py;
	struct mw_read_buffer w;
	struct mw_py_node node;
	int ret = first < end ? mw_read_buffer__init(&w, py->image) : 0;

	if (ret || first == end)
		return ret;
	for (size_t i = first; i < end && !ret; i++) {
		if (!set_chunk(py, &node, i))
			continue;
		if (v->read && node.what != MW_PY_WHAT_BUFFER &&
		    mw_read_buffer__at(&w, node.start, node.size < 64 ? node.size : 64)) {
			py->pages.hand = w.buf;
			py->pages.hand_start = w.start;
			py->pages.hand_size = w.len;
		}
		ret = v->fn(v->arg, (uint32_t)(py->label_count + i), &node);
		py->pages.hand_size = 0;
	}
	mw_read_buffer__free(&w);
	return ret;
}

int mw_python__each_node(struct mw_python *py, bool read, mw_py_node_fn fn, void *arg)
{
	const struct mw_py_part all = {.pool_end = py->pool_count, .chunk_end = py->chunk_count};
	const struct mw_py_part *part = py->part ? py->part : &all;
	const struct visit v = {py, read, fn, arg};
	int ret;

	mw_py_allow_links(py);
	ret = visit_pools(&v, part->pool, part->pool_end);
	return ret ? ret : visit_chunks(&v, part->chunk, part->chunk_end);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Labels of blocks, and what is counted by them. */
#include <errno.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/search.h"

/*
 * ---- labels -----------------------------------------------------------------------------------
 */

static bool chunk_begins_by(const void *at, const void *key)
{
	return ((const struct mw_py_chunk *)at)->start <= *(const uint64_t *)key;
}

size_t mw_py_chunks_before(const struct mw_python *py, uint64_t addr)
{
	size_t i =
		mw_search(py->chunks, py->chunk_count, sizeof(*py->chunks), chunk_begins_by, &addr);

	return i ? i - 1 : 0;
}

uint32_t *mw_py_label_at(struct mw_python *py, uint64_t addr, uint64_t *start, uint64_t *size)
{
	const struct mw_py_pool *pool = mw_py_pool_find(py, addr);
	const struct mw_py_chunk *chunk;
	size_t i;

	if (pool) {
		uint64_t offset = addr - pool->addr;

		if (pool->state > MW_PY_POOL_FULL || offset < pool->first)
			return NULL;
		offset -= pool->first;
		/* All but mimalloc's huge ones: a shorter division is a faster one. */
		offset = (offset | pool->block_size) >> 32
				 ? offset / pool->block_size
				 : (uint32_t)offset / (uint32_t)pool->block_size;
		if (offset >= pool->handed_out)
			return NULL;
		i = (size_t)offset;
		if (start)
			*start = pool->addr + pool->first + offset * pool->block_size;
		if (size)
			*size = pool->block_size;
		return &py->labels[pool->label + i];
	}
	i = mw_py_chunks_before(py, addr);
	chunk = py->chunks + i;
	if (!py->chunk_count || addr < mw_py_chunk_data(chunk) ||
	    addr - chunk->start >= chunk->size)
		return NULL;
	if (start)
		*start = mw_py_chunk_data(chunk);
	if (size)
		*size = chunk->size;
	return &py->chunk_labels[i];
}

/* Take back what LABEL of a block was counted as. */
static void uncount(struct mw_python *py, uint32_t label, uint64_t start, uint64_t size)
{
	struct mw_py_type *t;
	uint64_t length;

	if (mw_py_label_role(label) <= MW_PY_ROLE_OTHER)
		return;
	t = &py->types[label & MW_PY_LABEL_TYPE];
	switch (mw_py_label_role(label)) {
	case MW_PY_ROLE_LIVE:
		t->count--;
		length = mw_py_object_size(py, t, start + mw_py_debug_at(py, start) + t->pre);
		t->bytes -= length; /* it may run on: see sort_types() */
		t->tracked -= !!(label & MW_PY_LABEL_TRACKED);
		break;
	case MW_PY_ROLE_PARKED:
		t->parked--;
		break;
	case MW_PY_ROLE_BUFFER:
		t->buffer_bytes -= size;
		break;
	default:
		break;
	}
}

/* May other parts have a block at ADDR? Most addresses are of one, and few are of none. */
static bool is_elsewhere(const struct mw_python *py, uint64_t addr)
{
	const struct mw_py_chunk *last = py->chunks + py->chunk_count - 1;

	return mw_python__arena(py, addr) ||
	       (py->chunk_count && addr >= py->chunks->start && addr < last->start + last->size);
}

/* Whoever is first in the order of all blocks has it, so that this waits for the parts before. */
static void claim(struct mw_python *py, uint32_t type, uint64_t addr, bool within)
{
	if (!is_elsewhere(py, addr))
		return;
	if (mw_array_reserve(&py->claims, &py->claim_capacity, py->claim_count + 1,
			     sizeof(*py->claims))) {
		py->no_memory = true;
		return;
	}
	py->claims[py->claim_count++] = (struct mw_py_claim){addr, type, within};
}

static void mark(struct mw_python *py, uint32_t type, uint64_t addr, bool within)
{
	uint64_t start, size;
	uint32_t *label;
	enum mw_py_role role;

	if (addr < 4096)
		return;
	if (py->part && (addr < py->part->low || addr >= py->part->high)) {
		claim(py, type, addr, within);
		return;
	}
	label = mw_py_label_at(py, addr, &start, &size);
	if (!label)
		return;
	if (py->probes) {
		mw_py_probe(py, start);
		return;
	}
	role = mw_py_label_role(*label);
	/* Where something lies inside of an object, the object is the owner. */
	if (role == MW_PY_ROLE_NONE || role == MW_PY_ROLE_BUFFER ||
	    (role == MW_PY_ROLE_LIVE && !within && addr != start + mw_py_debug_at(py, start)))
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_BUFFER, type);
	py->types[type].buffer_bytes += size;
}

void mw_py_mark(struct mw_python *py, uint32_t type, uint64_t addr)
{
	mark(py, type, addr, false);
}

void mw_py_mark_values(struct mw_python *py, uint32_t type, uint64_t addr)
{
	mark(py, type, addr, true);
}

void mw_py_take_claims(struct mw_python *py, const struct mw_python *reader, const uint32_t *map)
{
	for (size_t i = 0; i < reader->claim_count; i++) {
		const struct mw_py_claim *c = &reader->claims[i];

		mark(py, map ? map[c->type] : c->type, c->addr, c->within);
	}
}

void mw_py_mark_system(struct mw_python *py, enum mw_py_system what, uint64_t addr)
{
	uint64_t start, size;
	uint32_t *label = addr < 4096 ? NULL : mw_py_label_at(py, addr, &start, &size);

	if (!label || mw_py_label_role(*label) == MW_PY_ROLE_NONE)
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_SYSTEM, (uint32_t)what);
}

void mw_py_mark_parked(struct mw_python *py, uint32_t type, uint64_t addr)
{
	uint64_t start, size;
	uint32_t *label = mw_py_label_at(py, addr, &start, &size);

	if (!label || mw_py_label_role(*label) == MW_PY_ROLE_NONE ||
	    mw_py_label_role(*label) == MW_PY_ROLE_PARKED)
		return;
	uncount(py, *label, start, size);
	*label = mw_py_label(MW_PY_ROLE_PARKED, type);
	py->types[type].parked++;
}

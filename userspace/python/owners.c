// SPDX-License-Identifier: GPL-2.0-or-later
/* From a buffer back to the object that owns it: the census keeps only the owner's type. */
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"

void mw_py_probe(struct mw_python *py, uint64_t start)
{
	for (size_t i = 0; i < py->probe_count; i++) {
		if (py->probes[i] == start && !py->probe_owners[i])
			py->probe_owners[i] = py->probe_object;
	}
}

/* Which types own the blocks: a bit each; NULL: out of memory. Objects own themselves. */
static uint64_t *types_of(struct mw_python *py, const uint64_t *blocks, size_t count,
			  uint64_t *starts, uint64_t *owners)
{
	uint64_t *wanted = calloc(py->type_count / 64 + 1, sizeof(*wanted));

	for (size_t i = 0; wanted && i < count; i++) {
		uint32_t *label = mw_py_label_at(py, blocks[i], &starts[i], NULL), type;

		owners[i] = 0;
		if (!label) {
			starts[i] = 0;
			continue;
		}
		type = *label & MW_PY_LABEL_TYPE;
		if (mw_py_label_role(*label) == MW_PY_ROLE_LIVE)
			owners[i] = starts[i] + mw_py_debug_at(py, starts[i]) + py->types[type].pre;
		else if (mw_py_label_role(*label) == MW_PY_ROLE_BUFFER)
			wanted[type / 64] |= 1ULL << type % 64;
	}
	return wanted;
}

static void ask(struct mw_python *py, const uint64_t *wanted, uint32_t label, uint64_t start)
{
	uint32_t type = label & MW_PY_LABEL_TYPE;

	if (mw_py_label_role(label) != MW_PY_ROLE_LIVE || !(wanted[type / 64] >> type % 64 & 1))
		return;
	py->probe_object = start + mw_py_debug_at(py, start) + py->types[type].pre;
	mw_py_object_buffers(py, type, py->probe_object);
}

void mw_python__owners(struct mw_python *py, const uint64_t *blocks, size_t count, uint64_t *owners)
{
	uint64_t starts[MW_PY_PROBES], *wanted;

	memset(owners, 0, count * sizeof(*owners));
	wanted = types_of(py, blocks, count, starts, owners);
	if (!wanted)
		return;
	mw_py_allow_links(py);
	py->probes = starts;
	py->probe_owners = owners;
	py->probe_count = count;
	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		for (uint32_t k = 0; pool->state <= MW_PY_POOL_FULL && k < pool->handed_out; k++)
			ask(py, wanted, py->labels[pool->label + k],
			    pool->addr + pool->first + k * pool->block_size);
	}
	for (size_t i = 0; i < py->chunk_count; i++)
		ask(py, wanted, py->chunk_labels[i], mw_py_chunk_data(&py->chunks[i]));
	py->probes = NULL;
	free(wanted);
}

const struct mw_py_type *mw_python__chunk_type(const struct mw_python *py, uint64_t start,
					       size_t *cursor, bool *owned)
{
	enum mw_py_role role;
	uint32_t label;

	if (owned)
		*owned = false;
	while (*cursor < py->chunk_count && py->chunks[*cursor].start < start)
		(*cursor)++;
	if (*cursor == py->chunk_count || py->chunks[*cursor].start != start)
		return NULL;
	label = py->chunk_labels[*cursor];
	role = mw_py_label_role(label);
	if (owned)
		*owned = role > MW_PY_ROLE_OTHER;
	return role == MW_PY_ROLE_LIVE || role == MW_PY_ROLE_BUFFER || role == MW_PY_ROLE_PARKED ||
			       role == MW_PY_ROLE_CELLS
		       ? &py->types[label & MW_PY_LABEL_TYPE]
		       : NULL;
}

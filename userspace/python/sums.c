// SPDX-License-Identifier: GPL-2.0-or-later
/* What the census says in a few numbers, and what it says of lengths: for who compares two of them.
 */
#include "python/python_impl.h"
#include "util/array.h"

int mw_py_note_length(struct mw_python *py, uint32_t type, uint64_t addr)
{
	uint64_t length = mw_py_length(py, &py->types[type], addr);
	int ret;

	if (length < MW_PY_LENGTH_MIN)
		return 0;
	ret = mw_array_reserve(&py->containers, &py->container_capacity, py->container_count + 1,
			       sizeof(*py->containers));
	if (!ret)
		py->containers[py->container_count++] = (struct mw_py_container){
			.addr = addr, .length = length, .type = (int32_t)type};
	return ret;
}

/* What was met first, and turned out later to be a buffer, is none. */
int mw_python__each_container(struct mw_python *py, mw_py_container_fn fn, void *arg)
{
	int ret = 0;

	for (size_t i = 0; i < py->container_count && !ret; i++) {
		const struct mw_py_container *c = &py->containers[i];
		const uint32_t *label = mw_py_label_at(py, c->addr, NULL, NULL);

		if (label && mw_py_label_role(*label) == MW_PY_ROLE_LIVE)
			ret = fn(arg, c);
	}
	return ret;
}

bool mw_python__length(struct mw_python *py, uint64_t addr, uint64_t *length)
{
	int32_t type = mw_py_type_of(py, addr);

	*length = type < 0 ? 0 : mw_py_length(py, &py->types[type], addr);
	return *length != 0;
}

uint64_t mw_python__length_at(struct mw_python *py, uint64_t addr)
{
	int32_t type = mw_py_type_of(py, addr);

	return type < 0 ? 0 : mw_py_length_at(py, &py->types[type], addr);
}

static void add(struct mw_py_sums *sums, uint32_t label, uint64_t size)
{
	switch (mw_py_label_role(label)) {
	case MW_PY_ROLE_NONE:
		sums->free_blocks += size;
		break;
	case MW_PY_ROLE_OTHER:
	case MW_PY_ROLE_SYSTEM:
		sums->data += size;
		break;
	case MW_PY_ROLE_PARKED:
		sums->parked += size;
		break;
	default:
		sums->live += size;
	}
}

void mw_python__sums(const struct mw_python *py, struct mw_py_sums *sums)
{
	*sums = (struct mw_py_sums){0};
	for (size_t i = 0; i < py->pool_count; i++) {
		const struct mw_py_pool *pool = &py->pools[i];

		if (pool->state > MW_PY_POOL_FULL) {
			sums->free_pools += pool->size;
			continue;
		}
		for (uint32_t k = 0; k < pool->handed_out; k++)
			add(sums, py->labels[pool->label + k], pool->block_size);
		sums->free_blocks += (pool->capacity - pool->handed_out) * pool->block_size;
	}
	for (size_t i = 0; i < py->chunk_count; i++) {
		if (mw_py_label_role(py->chunk_labels[i]) <= MW_PY_ROLE_OTHER)
			continue;
		add(sums, py->chunk_labels[i], py->chunks[i].size);
		sums->in_heaps += py->chunks[i].size;
	}
}

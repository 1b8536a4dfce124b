// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks divided into parts, by their number alone. Each part is read by one thread with a struct
 * mw_python of its own: a copy that shares what nobody changes meanwhile, and has its own cache of
 * pages, types and findings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/elffile.h"
#include "python/python_impl.h"
#include "util/array.h"
#include "util/parallel.h"

enum { POOLS_MIN = 16 << 20, CHUNKS_MIN = 1 << 16, LINKS_MIN = 1 << 20 };

/* How many parts SIZE is worth, if a part should have at least MIN of it. */
static size_t parts_of(uint64_t size, uint64_t min)
{
	uint64_t n = size / min;

	return n < 1 ? 1 : n < MW_PY_PARTS_MAX / 2 ? (size_t)n : MW_PY_PARTS_MAX / 2;
}

/* Bytes of all pools; 0: they are not in the order of their addresses. */
static uint64_t ordered_bytes(const struct mw_python *py)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < py->pool_count; i++) {
		if (i && py->pools[i].addr < py->pools[i - 1].addr)
			return 0;
		sum += py->pools[i].size;
	}
	return sum;
}

static size_t divide_pools(const struct mw_python *py, struct mw_py_part *parts)
{
	uint64_t bytes = ordered_bytes(py), done = 0;
	size_t count = parts_of(bytes, POOLS_MIN), n = 0;

	for (size_t i = 0; i < py->pool_count; i++) {
		if (!i || (n < count && done >= bytes / count * n))
			parts[n++] = (struct mw_py_part){.pool = i, .low = py->pools[i].addr};
		done += py->pools[i].size;
		parts[n - 1].pool_end = i + 1;
	}
	return n;
}

static size_t divide_chunks(const struct mw_python *py, struct mw_py_part *parts)
{
	size_t count = py->chunk_count ? parts_of(py->chunk_count, CHUNKS_MIN) : 0;

	for (size_t n = 0; n < count; n++) {
		size_t first = py->chunk_count / count * n;

		parts[n] = (struct mw_py_part){
			.chunk = first,
			.chunk_end =
				n + 1 < count ? py->chunk_count / count * (n + 1) : py->chunk_count,
			.low = py->chunks[first].start,
		};
	}
	return count;
}

/* Between themselves COUNT parts have every address. */
static void set_bounds(struct mw_py_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		parts[i].high = i + 1 < count ? parts[i + 1].low : UINT64_MAX;
	if (count)
		parts[0].low = 0;
}

size_t mw_py_divide(const struct mw_python *py, struct mw_py_part *parts, size_t *of_pools)
{
	size_t pools = divide_pools(py, parts), chunks = divide_chunks(py, parts + pools);

	set_bounds(parts, pools);
	set_bounds(parts + pools, chunks);
	*of_pools = pools;
	return pools + chunks;
}

/*
 * ---- readers ------------------------------------------------------------------------------------
 */

static void free_reader(const struct mw_python *py, struct mw_python *reader)
{
	if (!reader)
		return;
	if (reader->names != py->names)
		free(reader->names);
	if (reader->file != py->file)
		mw_elffile__close(reader->file);
	mw_pages__free(&reader->pages);
	free(reader->types);
	free(reader->slots);
	free(reader->containers);
	free(reader->claims);
	free(reader);
}

/* LINKS: how many of all lists together it may follow. */
static struct mw_python *new_reader(const struct mw_python *py, const struct mw_py_part *part,
				    uint64_t links)
{
	size_t slots = py->slots ? (py->slot_mask + 1) * sizeof(*py->slots) : 0;
	size_t types = (py->type_count + 1) * sizeof(*py->types);
	struct mw_python *reader = malloc(sizeof(*reader));

	if (!reader)
		return NULL;
	*reader = *py;
	reader->part = part;
	reader->pages = (struct mw_pages){0};
	reader->containers = NULL;
	reader->claims = NULL;
	reader->container_count = reader->container_capacity = 0;
	reader->claim_count = reader->claim_capacity = 0;
	reader->links_left = links;
	reader->info.problems = &reader->problems;
	mw_problems__init(&reader->problems, py->image);
	memset(&reader->census, 0, sizeof(reader->census));
	reader->slots = slots ? malloc(slots) : NULL;
	reader->types = malloc(types);
	reader->type_capacity = py->type_count + 1;
	if ((slots && !reader->slots) || !reader->types ||
	    mw_pages__init(&reader->pages, py->image)) {
		free_reader(py, reader);
		return NULL;
	}
	if (slots)
		memcpy(reader->slots, py->slots, slots);
	for (size_t i = 0; i < py->type_count; i++) {
		reader->types[i] = py->types[i];
		mw_py_type_uncount(&reader->types[i]);
	}
	return reader;
}

struct run {
	const struct mw_python *py;
	const struct mw_py_part *parts;
	struct mw_python **readers;
	size_t count;
	mw_py_part_fn fn;
	void *arg;
};

static int run_part(void *arg, size_t i)
{
	const struct run *r = arg;
	int ret;

	r->readers[i] = new_reader(r->py, &r->parts[i], r->py->links_left / r->count + LINKS_MIN);
	if (!r->readers[i])
		return -ENOMEM;
	ret = r->fn(r->arg, i, r->readers[i]);
	/* The next part needs as much. */
	mw_pages__free(&r->readers[i]->pages);
	return ret;
}

/* What went wrong, in the order of the parts. */
static void take_problems(struct mw_python *py, const struct mw_python *reader)
{
	const struct mw_problems *p = &reader->problems;

	for (size_t i = 0; i < p->count; i++)
		mw_problems__add(&py->problems, p->list[i].addr, p->list[i].what);
	py->problems.total += p->total - p->count;
	py->problems.changed += p->changed;
	py->no_memory |= reader->no_memory;
}

/*
 * ---- the census ---------------------------------------------------------------------------------
 */

/* What READER's numbers of types are in PY; NULL: no memory. SAME: they are the same. */
static uint32_t *take_types(struct mw_python *py, const struct mw_python *reader, bool *same)
{
	uint32_t *map = malloc((reader->type_count + 1) * sizeof(*map));

	*same = true;
	for (size_t i = 0; map && i < reader->type_count; i++) {
		int32_t type = mw_py_take_type(py, &reader->types[i]);

		if (type < 0) {
			free(map);
			return NULL;
		}
		map[i] = (uint32_t)type;
		*same &= map[i] == i;
	}
	if (!py->type_type)
		py->type_type = reader->type_type;
	return map;
}

struct relabel {
	struct mw_python *py, **readers;
	uint32_t **maps; /* NULL: the numbers are the same */
};

static void renumber(uint32_t *label, const uint32_t *map, size_t count)
{
	uint32_t type = *label & MW_PY_LABEL_TYPE;
	enum mw_py_role role = mw_py_label_role(*label);

	if (role >= MW_PY_ROLE_LIVE && role <= MW_PY_ROLE_BUFFER && type < count)
		*label = (*label & ~MW_PY_LABEL_TYPE) | map[type];
}

/* All that the part has labelled: its own blocks, and others between its bounds. */
static int relabel_part(void *arg, size_t i)
{
	const struct relabel *r = arg;
	const struct mw_python *reader = r->readers[i];
	const struct mw_py_part *part = reader->part;
	const uint32_t *map = r->maps[i];
	struct mw_python *py = r->py;

	for (size_t k = 0; map && k < py->pool_count; k++) {
		const struct mw_py_pool *pool = &py->pools[k];

		if (pool->addr < part->low || pool->addr >= part->high ||
		    pool->state > MW_PY_POOL_FULL)
			continue;
		for (uint32_t b = 0; b < pool->handed_out; b++)
			renumber(&py->labels[pool->label + b], map, reader->type_count);
	}
	for (size_t k = 0; map && k < py->chunk_count; k++) {
		if (py->chunks[k].start >= part->low && py->chunks[k].start < part->high)
			renumber(&py->chunk_labels[k], map, reader->type_count);
	}
	return 0;
}

static int take_containers(struct mw_python *py, const struct mw_python *reader,
			   const uint32_t *map)
{
	if (!reader->container_count)
		return 0;
	if (mw_array_reserve(&py->containers, &py->container_capacity,
			     py->container_count + reader->container_count,
			     sizeof(*py->containers)))
		return -ENOMEM;
	for (size_t i = 0; i < reader->container_count; i++) {
		struct mw_py_container *c = &py->containers[py->container_count++];

		*c = reader->containers[i];
		if (map)
			c->type = (int32_t)map[c->type];
	}
	return 0;
}

/* Put together what the readers found, as if one had read all parts in their order. */
static int take_over(struct mw_python *py, struct mw_python **readers, size_t count)
{
	uint32_t *maps[MW_PY_PARTS_MAX] = {0};
	struct relabel relabel = {py, readers, maps};
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		bool same;

		maps[i] = take_types(py, readers[i], &same);
		ret = maps[i] ? take_containers(py, readers[i], maps[i]) : -ENOMEM;
		py->census.immortal += readers[i]->census.immortal;
		py->census.interned += readers[i]->census.interned;
		py->census.interned_bytes += readers[i]->census.interned_bytes;
		if (same) {
			free(maps[i]);
			maps[i] = NULL;
		}
	}
	if (!ret)
		ret = mw_in_parallel(mw_image__readers(py->image), count, relabel_part, &relabel);
	for (size_t i = 0; i < count && !ret; i++)
		mw_py_take_claims(py, readers[i], maps[i]);
	for (size_t i = 0; i < count; i++)
		free(maps[i]);
	return ret;
}

/*
 * ---- the whole ----------------------------------------------------------------------------------
 */

static int run(struct mw_python *py, const struct mw_py_part *parts, size_t count, mw_py_part_fn fn,
	       void *arg, bool labels)
{
	struct mw_python *readers[MW_PY_PARTS_MAX] = {0};
	struct run r = {py, parts, readers, count, fn, arg};
	int ret = mw_in_parallel(mw_image__readers(py->image), count, run_part, &r);

	for (size_t i = 0; i < count && readers[i]; i++)
		take_problems(py, readers[i]);
	if (!ret && labels)
		ret = take_over(py, readers, count);
	for (size_t i = 0; i < count; i++)
		free_reader(py, readers[i]);
	return ret;
}

int mw_py_label_in_parts(struct mw_python *py, const struct mw_py_part *parts, size_t count,
			 mw_py_part_fn fn, void *arg)
{
	/* One part has everything, so that there is nothing to put together. */
	return count == 1 ? fn(arg, 0, py) : run(py, parts, count, fn, arg, true);
}

size_t mw_python__part_count(const struct mw_python *py)
{
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	size_t pools;

	return mw_py_divide(py, parts, &pools);
}

int mw_python__in_parts(struct mw_python *py, mw_py_part_fn fn, void *arg)
{
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	size_t pools, count = mw_py_divide(py, parts, &pools);

	mw_py_allow_links(py);
	return run(py, parts, count, fn, arg, false);
}

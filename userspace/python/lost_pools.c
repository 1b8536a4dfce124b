// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pymalloc's pools without the interpreter's data, which a core that was cut short has lost first:
 * by their headers alone (Objects/obmalloc.c, struct pool_header), whose size class, offsets, count
 * and list must agree. Where an arena begins and ends is not in it; neighbouring pools that name
 * the same arena stand for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"

enum { POOLS_MIN = 4, KINDS = 4, CLASS_BYTES_MAX = 512 };

/* The sizes that obmalloc.c has had; builds that patch them are not found. */
static const struct {
	uint32_t pool, alignment, arena; /* bytes */
} kinds[KINDS] = {
	{4096, 8, 256 << 10}, {4096, 16, 256 << 10}, {16384, 8, 1 << 20}, {16384, 16, 1 << 20}};

struct found {
	uint64_t addr;
	uint32_t arena; /* index, as the pool says */
	uint8_t kind;
};

struct search {
	struct found *found;
	size_t count, capacity;
	size_t votes[KINDS];
};

static bool is_pool(const uint8_t *header, uint64_t addr, unsigned int kind)
{
	uint32_t size = kinds[kind].pool, class = mw_u32_at(header + MW_PY_HEAD_CLASS), block;
	uint32_t next = mw_u32_at(header + MW_PY_HEAD_OFFSET);
	uint64_t free = mw_u64_at(header + MW_PY_HEAD_FREE);

	if (addr % size || class >= CLASS_BYTES_MAX / kinds[kind].alignment)
		return false;
	block = (class + 1) * kinds[kind].alignment;
	return mw_u32_at(header + MW_PY_HEAD_MAX_OFFSET) == size - block &&
	       next > MW_PY_HEAD_SIZE && next <= size && (next - MW_PY_HEAD_SIZE) % block == 0 &&
	       mw_u32_at(header + MW_PY_HEAD_COUNT) <= (next - MW_PY_HEAD_SIZE) / block &&
	       (!free || (free - addr >= MW_PY_HEAD_SIZE && free - addr < next &&
			  (free - addr - MW_PY_HEAD_SIZE) % block == 0));
}

static int look(struct search *s, const uint8_t *header, uint64_t addr)
{
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		if (!is_pool(header, addr, kind))
			continue;
		if (mw_array_reserve(&s->found, &s->capacity, s->count + 1, sizeof(*s->found)))
			return -ENOMEM;
		s->found[s->count++] = (struct found){
			.addr = addr,
			.arena = mw_u32_at(header + MW_PY_HEAD_ARENA),
			.kind = (uint8_t)kind,
		};
		s->votes[kind]++;
		break;
	}
	return 0;
}

/* Search the pages from AT to END, of which a core that was cut short may lack some. */
static int search_pages(struct mw_python *py, uint64_t at, uint64_t end, struct search *s)
{
	uint8_t headers[MW_PARTS_MAX][MW_PY_HEAD_SIZE];
	int ret = 0;

	while (!ret && at + MW_PY_HEAD_SIZE <= end) {
		uint64_t left = (end - at + MW_PAGE_SIZE - 1) / MW_PAGE_SIZE;
		size_t n = left < MW_PARTS_MAX ? (size_t)left : MW_PARTS_MAX;
		size_t got = mw_image__read_parts(py->image, at, MW_PAGE_SIZE, headers,
						  MW_PY_HEAD_SIZE, n);

		for (size_t i = 0; i < got && !ret; i++)
			ret = look(s, headers[i], at + i * MW_PAGE_SIZE);
		at += (got + (got < n)) * MW_PAGE_SIZE;
	}
	return ret;
}

/* Search what is resident of all private memory. */
static int search_private(struct mw_python *py, struct search *s)
{
	const struct mw_spans *spans;
	int ret = mw_image__spans(py->image, &spans);

	for (size_t i = 0; i < spans->count && !ret; i++) {
		uint64_t at = spans->spans[i].start, end = spans->spans[i].end, next;

		for (; at < end && !ret; at = next) {
			const struct mw_region *r = mw_image__find(py->image, at);

			next = r && r->map.end < end ? r->map.end : end;
			if (r && r->map.writable && !r->map.inode && !r->map.shared && !r->io)
				ret = search_pages(py, at, next, s);
		}
	}
	return ret;
}

/* The pools COUNT from FOUND on, which name the same arena. */
static int add_arena(struct mw_python *py, const struct found *found, size_t count)
{
	struct mw_py_arena *a;
	size_t k = 0;

	if (mw_array_reserve(&py->arenas, &py->arena_capacity, py->arena_count + 1,
			     sizeof(*py->arenas)))
		return -ENOMEM;
	a = &py->arenas[py->arena_count++];
	*a = (struct mw_py_arena){
		.addr = found[0].addr,
		.size = found[count - 1].addr + py->info.pool_size - found[0].addr,
		.first_pool = (uint32_t)py->pool_count,
	};
	for (uint64_t at = a->addr; at < a->addr + a->size; at += py->info.pool_size) {
		bool here = found[k].addr == at;

		k += here;
		if (mw_py_add_pool_at(py, a, at, here ? UINT64_MAX : 0, NULL))
			return -ENOMEM;
	}
	mw_py_add_totals(py, a);
	return 0;
}

static int add_arenas(struct mw_python *py, struct search *s, unsigned int kind)
{
	size_t out = 0, next;
	int ret = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->found[i].kind == kind)
			s->found[out++] = s->found[i];
	}
	py->info.pool_size = kinds[kind].pool;
	py->info.alignment = kinds[kind].alignment;
	for (size_t i = 0; i < out && !ret; i = next) {
		next = i + 1;
		while (next < out && s->found[next].arena == s->found[i].arena &&
		       s->found[next].addr - s->found[i].addr < kinds[kind].arena)
			next++;
		ret = add_arena(py, s->found + i, next - i);
	}
	return ret;
}

int mw_py_lost_pools(struct mw_python *py)
{
	struct search s = {0};
	unsigned int best = 0;
	int ret = search_private(py, &s);

	for (unsigned int kind = 1; kind < KINDS; kind++)
		best = s.votes[kind] > s.votes[best] ? kind : best;
	/* The interpreter's lists say that there are pools; else only more than one can. */
	if (!ret && s.votes[best] < (py->pymalloc ? 1 : POOLS_MIN))
		ret = -ENOENT;
	if (!ret)
		ret = add_arenas(py, &s, best);
	free(s.found);
	return ret;
}

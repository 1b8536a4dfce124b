// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/pool_counts.h"
#include "python/python_impl.h"
#include "util/bytes.h"

enum { READ_MAX = 64, CHUNK = 128 }; /* arenas a reading; entries of their array a read */

struct mw_pool_counts {
	uint64_t lists[MW_PY_ARENA_LISTS]; /* addresses of the pointers to arrays of arenas */
	size_t list_count;
	uint32_t pool_size;
	uint64_t random, part; /* an arena is read where its hash is 0 modulo PART */
	size_t arenas;	       /* that there were, at the last reading */
	uint64_t before, now;  /* blocks in use in those that were read */
};

struct mw_pool_counts *mw_pool_counts__new(const struct mw_python *py)
{
	struct mw_pool_counts *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	memcpy(c->lists, py->arena_lists, sizeof(c->lists));
	c->list_count = py->arena_list_count;
	c->pool_size = py->info.pool_size;
	c->random = 88172645463325252ULL;
	c->part = 1;
	return c;
}

void mw_pool_counts__free(struct mw_pool_counts *c)
{
	free(c);
}

static bool is_drawn(const struct mw_pool_counts *c, uint64_t addr)
{
	uint64_t hash = ((addr >> 12) + c->random) * 0x9e3779b97f4a7c15ULL;

	return c->part <= 1 || (hash >> 33) % c->part == 0;
}

/* Blocks in use in the pools of an arena that were ever taken: those before NEVER_USED. */
static void read_arena(struct mw_pool_counts *c, struct mw_image *image, uint64_t addr,
		       uint64_t never_used)
{
	uint64_t pool = (addr + c->pool_size - 1) & ~(uint64_t)(c->pool_size - 1);
	uint32_t counts[MW_PARTS_MAX];

	while (pool < never_used) {
		size_t left = (size_t)((never_used - pool) / c->pool_size), got;

		left = left < MW_PARTS_MAX ? left : MW_PARTS_MAX;
		got = left ? mw_image__read_parts(image, pool, c->pool_size, counts,
						  sizeof(counts[0]), left)
			   : 0;
		for (size_t i = 0; i < got; i++)
			c->now += counts[i];
		if (!got || got < left)
			break;
		pool += got * c->pool_size;
	}
}

/* One state's arenas. */
static int read_list(struct mw_pool_counts *c, struct mw_image *image, uint64_t list)
{
	uint8_t objects[CHUNK * MW_PY_ARENA_SIZE];
	struct mw_py_arena_end end = {0};
	uint64_t arenas;
	int ret = 0;

	if (!mw_image__read_u64(image, list, &arenas))
		return -EFAULT;
	for (size_t i = 0; !ret;) {
		ssize_t got = mw_image__read(image, arenas + i * MW_PY_ARENA_SIZE, objects,
					     sizeof(objects));
		size_t count = got > 0 ? (size_t)got / MW_PY_ARENA_SIZE : 0;

		for (size_t k = 0; k < count && !ret; k++, i++) {
			const uint8_t *o = objects + k * MW_PY_ARENA_SIZE;
			uint64_t addr = mw_u64_at(o);

			if (!mw_py_arena_is_there(&end, o, i, c->pool_size))
				return 0;
			c->arenas += addr != 0;
			if (addr && is_drawn(c, addr))
				read_arena(c, image, addr, mw_u64_at(o + MW_PY_ARENA_POOL));
		}
		if (count < CHUNK)
			break;
	}
	return ret;
}

static int read_all(struct mw_pool_counts *c, struct mw_image *image)
{
	int ret = c->list_count ? 0 : -ENOENT;

	c->now = c->arenas = 0;
	for (size_t i = 0; i < c->list_count && !ret; i++)
		ret = read_list(c, image, c->lists[i]);
	return ret;
}

int mw_pool_counts__begin(struct mw_pool_counts *c, struct mw_image *image)
{
	int ret;

	c->random = c->random * 6364136223846793005ULL + 1442695040888963407ULL;
	c->part = c->arenas / READ_MAX + 1;
	ret = read_all(c, image);
	c->before = c->now;
	return ret;
}

int mw_pool_counts__moved(struct mw_pool_counts *c, struct mw_image *image, double *moved)
{
	int ret = read_all(c, image);

	*moved = ((double)c->now - (double)c->before) * (double)c->part;
	return ret;
}

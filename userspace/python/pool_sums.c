// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pools that are resident as a whole, summed up by owner from labels alone. Who wants nothing but
 * sums need not see tens of millions of blocks one by one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/parallel.h"
#include "util/search.h"

struct tally {
	uint64_t bytes, count;
};

/* Of each label, without its flag: ROLES for each type. Behind them a pool's own bytes. */
enum { ROLES = 8 };

static bool span_ends_by(const void *at, const void *key)
{
	return ((const struct mw_span *)at)->end <= *(const uint64_t *)key;
}

bool mw_py_pool_is_whole(const struct mw_python *py, const struct mw_py_pool *pool,
			 const struct mw_spans *spans)
{
	size_t i = mw_search(spans->spans, spans->count, sizeof(*spans->spans), span_ends_by,
			     &pool->addr);
	const struct mw_region *region = mw_image__find(py->image, pool->addr);
	uint64_t end = pool->addr + pool->size;

	return pool->state <= MW_PY_POOL_FULL && i < spans->count &&
	       spans->spans[i].start <= pool->addr && spans->spans[i].end >= end && region &&
	       region->map.end >= end;
}

static void add(struct tally *tally, uint64_t bytes, uint64_t count)
{
	tally->bytes += bytes * count;
	tally->count += count;
}

static void add_pool(struct tally *t, struct tally *own, const uint32_t *labels,
		     const struct mw_py_pool *pool)
{
	uint64_t rest = pool->capacity - pool->handed_out;
	uint64_t tail = pool->size - pool->first - pool->capacity * pool->block_size;

	add(own, pool->first, pool->first != 0);
	for (uint32_t i = 0; i < pool->handed_out; i++)
		add(&t[(labels[i] & MW_PY_LABEL_TYPE) * ROLES + mw_py_label_role(labels[i])],
		    pool->block_size, 1);
	add(&t[MW_PY_ROLE_NONE], rest * pool->block_size, rest != 0);
	add(own, tail, tail != 0);
}

struct summing {
	const struct mw_python *py;
	const struct mw_spans *spans;
	const struct mw_py_part *parts;
	struct tally *tallies; /* SIZE of them for each part */
	size_t size;
};

static int add_part(void *arg, size_t i)
{
	const struct summing *s = arg;
	struct tally *mine = s->tallies + i * s->size;

	for (size_t k = s->parts[i].pool; k < s->parts[i].pool_end; k++) {
		const struct mw_py_pool *pool = &s->py->pools[k];

		if (mw_py_pool_is_whole(s->py, pool, s->spans))
			add_pool(mine, mine + s->size - 1, s->py->labels + pool->label, pool);
	}
	return 0;
}

/* Give FN the blocks with LABEL, of which an object's heads for the collector are apart. */
static int give(struct mw_python *py, uint32_t label, const struct tally *t, mw_py_sum_fn fn,
		void *arg)
{
	struct mw_py_sum sum = {.bytes = t->bytes, .count = t->count};
	uint64_t heads = 0;
	int ret;

	if (!t->count)
		return 0; /* there may be no such type */
	if (mw_py_label_role(label) == MW_PY_ROLE_LIVE && py->types[label & MW_PY_LABEL_TYPE].gc)
		heads = t->count * py->gc_head;
	mw_py_owner(py, label, &sum);
	if (!heads || heads >= t->bytes)
		return fn(arg, &sum);
	sum.bytes -= heads;
	ret = fn(arg, &sum);
	sum.bytes = heads;
	mw_py_overhead_owner(true, &sum);
	return ret ? ret : fn(arg, &sum);
}

static int give_own(const struct tally *t, mw_py_sum_fn fn, void *arg)
{
	struct mw_py_sum sum = {.bytes = t->bytes, .count = t->count};

	mw_py_overhead_owner(false, &sum);
	return t->count ? fn(arg, &sum) : 0;
}

int mw_python__whole_pools(struct mw_python *py, const struct mw_spans *spans, mw_py_sum_fn fn,
			   void *arg)
{
	struct mw_py_part parts[MW_PY_PARTS_MAX];
	/* What is held has a number above its type's, and the interpreter's own has two. */
	size_t labels = ROLES * (py->type_count + 2);
	struct summing s = {.py = py, .spans = spans, .parts = parts, .size = labels + 1};
	size_t count;
	int ret;

	mw_py_divide(py, parts, &count);
	s.tallies = calloc((count + 1) * s.size, sizeof(*s.tallies));
	if (!s.tallies)
		return -ENOMEM;
	ret = mw_in_parallel(mw_processors(), count, add_part, &s);
	for (size_t i = 0; i < s.size && !ret; i++) {
		for (size_t k = 1; k < count; k++) {
			s.tallies[i].bytes += s.tallies[k * s.size + i].bytes;
			s.tallies[i].count += s.tallies[k * s.size + i].count;
		}
		ret = i == labels ? give_own(&s.tallies[i], fn, arg)
				  : give(py,
					 mw_py_label((enum mw_py_role)(i % ROLES),
						     (uint32_t)(i / ROLES)),
					 &s.tallies[i], fn, arg);
	}
	free(s.tallies);
	return ret;
}

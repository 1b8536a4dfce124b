// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "ledger/resident_ranges.h"
#include "ledger/unshared.h"

enum { PAGE = MW_PAGE_SIZE, WORD = 8, GC_HEAD = 16, POOL_MAX = 1 << 20 };

/* One pool: its memory here and there, and which of its words count references or link lists. */
struct pool {
	const struct mw_py_pool *pool;
	uint8_t *here, *there, *is_count; /* IS_COUNT: by word */
	bool tracked;
};

/*
 * ob_refcnt is an object's first word; PyGC_Head is the two before it (Include/object.h,
 * Include/internal/pycore_gc.h of CPython, since 2.0).
 */
static int mark(void *arg, const struct mw_py_block *block)
{
	uint64_t base = ((struct pool *)arg)->pool->addr, offset = block->object - base;
	struct pool *p = arg;

	if (!block->object || offset >= p->pool->size)
		return 0;
	p->is_count[offset / WORD] = 1;
	if (block->object - block->start < GC_HEAD)
		return 0;
	p->tracked = true;
	memset(p->is_count + (offset - GC_HEAD) / WORD, 1, GC_HEAD / WORD);
	return 0;
}

/* Does the page at OFFSET differ in nothing but such words? */
static bool is_counted(const struct pool *p, size_t offset)
{
	if (!memcmp(p->here + offset, p->there + offset, PAGE))
		return true;
	for (size_t at = offset; at < offset + PAGE; at += WORD) {
		if (!p->is_count[at / WORD] && memcmp(p->here + at, p->there + at, WORD) != 0)
			return false;
	}
	return true;
}

struct measuring {
	struct mw_unshared *out;
	struct mw_survey *survey;
	struct mw_image *origin;
	struct mw_resident_ranges all, own;
	struct pool pool;
};

static int measure_pool(struct measuring *m, const struct mw_py_pool *pool)
{
	struct pool *p = &m->pool;
	struct mw_unshared_pages *sum;

	if (pool->size > POOL_MAX || pool->size % PAGE || pool->addr % PAGE)
		return 0;
	p->pool = pool;
	p->tracked = false;
	memset(p->is_count, 0, pool->size / WORD);
	if (mw_python__each_block(m->survey->py, pool, mark, p))
		return -ENOMEM;
	/* What the origin has given back since is no copy. */
	if (!mw_image__read_all(m->survey->image, pool->addr, p->here, pool->size) ||
	    !mw_image__read_all(m->origin, pool->addr, p->there, pool->size))
		return 0;
	sum = p->tracked ? &m->out->tracked : &m->out->plain;
	for (size_t offset = 0; offset < pool->size; offset += PAGE) {
		uint64_t at = pool->addr + offset;

		if (!mw_resident_ranges__between(&m->all, at, at + PAGE))
			continue;
		if (!mw_resident_ranges__between(&m->own, at, at + PAGE))
			sum->shared += PAGE;
		else if (is_counted(p, offset))
			sum->counted += PAGE;
		else
			sum->changed += PAGE;
	}
	return 0;
}

int mw_unshared__measure(struct mw_unshared *out, struct mw_survey *survey,
			 const struct mw_spans *own, struct mw_image *origin, struct mw_err *err)
{
	struct measuring m = {.out = out, .survey = survey, .origin = origin, .own.spans = own};
	const struct mw_py_info *info = survey->py ? mw_python__info(survey->py) : NULL;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (!info || !info->layout || !info->pool_count)
		return -ENOENT;
	m.pool.here = malloc(POOL_MAX);
	m.pool.there = malloc(POOL_MAX);
	m.pool.is_count = malloc(POOL_MAX / WORD);
	if (!m.pool.here || !m.pool.there || !m.pool.is_count ||
	    mw_image__spans(survey->image, &m.all.spans))
		ret = -ENOMEM;
	for (size_t i = 0; i < info->pool_count && !ret; i++)
		ret = measure_pool(&m, &info->pools[i]);
	free(m.pool.here);
	free(m.pool.there);
	free(m.pool.is_count);
	return ret ? mw_err_no_memory(err, mw_image__name(survey->image)) : 0;
}

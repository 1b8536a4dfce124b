// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "bpf/memwhere.h"
#include "image/image.h"
#include "python/print.h"
#include "trace/pymalloc_blocks.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/log.h"

/* struct pool_header of Objects/obmalloc.c */
enum { COUNT = 0, FREEBLOCK = 8, CLASS = 36, NEXT_OFFSET = 40, HEADER = 48, POOL_MAX = 64 << 10 };

/* What blocks of one process after another are read with. */
struct reader {
	mw_pools_of_space_fn pools_of;
	void *arg;
	uint32_t space;
	bool open; /* of SPACE what there is has been looked up */
	const struct mw_pymalloc *pools;
	struct mw_image *image;
	uint64_t pool; /* address of what is in BYTES, 0: nothing */
	bool readable;
	uint8_t bytes[POOL_MAX];
};

static uint64_t address_of(const struct mw_tracked_block *block)
{
	return (block->key & ((1ULL << MW_SPACE_SHIFT) - 1)) << 3;
}

static bool open_space(struct reader *r, uint32_t space)
{
	pid_t pid = 0;

	if (r->open && r->space == space)
		return r->image;
	mw_image__close(r->image);
	r->open = true;
	r->space = space;
	r->pool = 0;
	r->pools = r->pools_of(r->arg, space, &pid);
	r->image = r->pools ? mw_image__open_process(pid, 0, NULL) : NULL;
	return r->image;
}

uint64_t mw_pymalloc_print(const struct mw_pymalloc *pools, struct mw_image *image, uint64_t addr,
			   uint64_t size)
{
	return mw_python_print(mw_pymalloc__prints(pools), image, addr, size);
}

static bool read_pool(struct reader *r, uint64_t pool)
{
	uint32_t size = mw_pymalloc__pool_size(r->pools);

	if (r->pool != pool) {
		r->pool = pool;
		r->readable =
			size <= POOL_MAX && mw_image__read_all(r->image, pool, r->bytes, size);
	}
	return r->readable;
}

/* Is the block of SIZE bytes at OFFSET of the pool that was read allocated? */
static enum mw_liveness_state state_in_pool(const struct reader *r, uint64_t offset, uint64_t size)
{
	uint32_t pool_size = mw_pymalloc__pool_size(r->pools);
	uint32_t align = mw_pymalloc__alignment(r->pools);
	uint64_t at = mw_u64_at(r->bytes + FREEBLOCK);

	if (!mw_u32_at(r->bytes + COUNT) || (mw_u32_at(r->bytes + CLASS) + 1ULL) * align != size ||
	    offset >= mw_u32_at(r->bytes + NEXT_OFFSET))
		return MW_LIVENESS_FREED;
	/* The process runs: a list that changed while it was read says nothing. */
	for (uint32_t left = pool_size / align; at; left--) {
		uint64_t link = at - r->pool;

		if (!left || link < HEADER || link > pool_size - 8)
			return MW_LIVENESS_UNKNOWN;
		if (link == offset)
			return MW_LIVENESS_FREED;
		at = mw_u64_at(r->bytes + link);
	}
	return MW_LIVENESS_ALIVE;
}

static enum mw_liveness_state judge(struct reader *r, struct mw_tracked_block *b)
{
	uint64_t addr = address_of(b), print;
	uint64_t pool = addr & ~(uint64_t)(mw_pymalloc__pool_size(r->pools) - 1);
	enum mw_liveness_state state;
	uint8_t byte;

	if (!read_pool(r, pool)) /* an arena that was given back, or swapped out */
		return mw_image__read(r->image, pool, &byte, 1) == 0 ? MW_LIVENESS_FREED
								     : MW_LIVENESS_UNKNOWN;
	state = state_in_pool(r, addr - pool, b->size);
	if (state != MW_LIVENESS_ALIVE)
		return state;
	print = mw_pymalloc_print(r->pools, r->image, addr, b->size);
	if (print == MW_PRINT_DEAD || (b->print && print != b->print))
		return MW_LIVENESS_FREED; /* parked, or another object */
	b->same = b->print && (print & MW_PRINT_CERTAIN);
	return MW_LIVENESS_ALIVE;
}

size_t mw_pymalloc_blocks__judge(struct mw_tracked *t, mw_pools_of_space_fn pools_of, void *arg,
				 double age)
{
	struct reader *r = calloc(1, sizeof(*r));
	double now = mw_monotonic();
	size_t count, found[3] = {0};
	struct mw_tracked_block *blocks = mw_tracked__blocks(t, &count);

	if (!r)
		return 0;
	r->pools_of = pools_of;
	r->arg = arg;
	for (size_t i = 0; i < count; i++) { /* in order of their keys */
		struct mw_tracked_block *b = &blocks[i];
		enum mw_liveness_state state;

		if (now - (double)b->time / 1e9 < age ||
		    !open_space(r, (uint32_t)(b->key >> MW_SPACE_SHIFT)))
			continue;
		state = judge(r, b);
		found[state]++;
		mw_tracked__found(t, b, state, b->size, 0, now);
	}
	mw_image__close(r->image);
	free(r);
	count = found[0] + found[1] + found[2];
	if (count)
		mw_detail("pools read in %.0f ms: of %zu sampled small objects %zu live, %zu are "
			  "gone, of %zu nothing is known",
			  1e3 * (mw_monotonic() - now), count, found[MW_LIVENESS_ALIVE],
			  found[MW_LIVENESS_FREED], found[MW_LIVENESS_UNKNOWN]);
	return count;
}

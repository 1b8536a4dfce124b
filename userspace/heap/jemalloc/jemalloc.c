// SPDX-License-Identifier: GPL-2.0-or-later
/* jemalloc's heap as heap.h has it. */
#include <errno.h>
#include <stdlib.h>

#include "heap/jemalloc/impl.h"

static int jemalloc_read(struct mw_slab_heap *heap)
{
	struct mw_jemalloc *je = (struct mw_jemalloc *)heap;
	int ret = mw_jemalloc__read_extents(je);

	/* Extents that overlap were split, merged or unmapped while they were read. */
	if (!ret)
		mw_slab_heap__sort(heap, "extents that overlap");
	if (!ret)
		ret = mw_jemalloc__read_base(je);
	if (!ret) {
		mw_slab_heap__sort(heap, "extents that overlap");
		ret = mw_jemalloc__read_caches(je);
	}
	return ret;
}

static void jemalloc_close(struct mw_heap *heap)
{
	struct mw_jemalloc *je = (struct mw_jemalloc *)heap;

	mw_slab_heap__free(&je->heap);
	for (size_t i = 0; i < je->tree_count; i++)
		free(je->trees[i].leaves.list);
	free(je->nodes);
	free(je->bases);
	free(je);
}

static struct mw_heap *jemalloc_open(struct mw_image *image, struct mw_err *err)
{
	struct mw_jemalloc *je = calloc(1, sizeof(*je));
	int ret;

	if (!je) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	mw_heap__init(&je->heap.base, &mw_jemalloc_ops, image);
	je->heap.read = jemalloc_read;
	ret = mw_jemalloc__find(je, err);
	if (ret) {
		jemalloc_close(&je->heap.base);
		errno = -ret;
		return NULL;
	}
	return &je->heap.base;
}

const struct mw_heap_ops mw_jemalloc_ops = {
	.name = "jemalloc",
	.kinds = 1 << MW_BLOCK_LIVE | 1 << MW_BLOCK_CACHE | 1 << MW_BLOCK_BIN |
		 1 << MW_BLOCK_DIRTY | 1 << MW_BLOCK_MUZZY | 1 << MW_BLOCK_OVERHEAD |
		 1 << MW_BLOCK_RETAINED,
	.open = jemalloc_open,
	.close = jemalloc_close,
	.info = mw_slab_heap__info,
	.blocks = mw_slab_heap__blocks,
	.find = mw_slab_heap__find,
	.span = mw_slab_heap__span,
};

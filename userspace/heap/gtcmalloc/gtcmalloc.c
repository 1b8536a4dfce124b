// SPDX-License-Identifier: GPL-2.0-or-later
/* The heap of Google's tcmalloc as heap.h has it. */
#include <errno.h>
#include <stdlib.h>

#include "heap/gtcmalloc/impl.h"

static int gtc_read(struct mw_slab_heap *heap)
{
	struct mw_gtc *gtc = (struct mw_gtc *)heap;
	int ret = mw_gtc__read_page_map(gtc);

	if (!ret)
		ret = mw_gtc__read_spans(gtc);
	if (!ret) {
		mw_slab_heap__sort(heap, "spans that overlap");
		ret = mw_gtc__read_caches(gtc);
	}
	if (!ret)
		ret = mw_gtc__claim_rest(gtc);
	if (!ret)
		mw_slab_heap__sort(heap, "spans that overlap");
	return ret;
}

static void gtc_close(struct mw_heap *heap)
{
	struct mw_gtc *gtc = (struct mw_gtc *)heap;

	mw_slab_heap__free(&gtc->heap);
	mw_u64map__free(&gtc->windows);
	free(gtc->runs.list);
	free(gtc);
}

static struct mw_heap *gtc_open(struct mw_image *image, struct mw_err *err)
{
	struct mw_gtc *gtc = calloc(1, sizeof(*gtc));
	int ret;

	if (!gtc) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	mw_heap__init(&gtc->heap.base, &mw_gtcmalloc_ops, image);
	gtc->heap.read = gtc_read;
	ret = mw_gtc__find(gtc, err);
	if (ret) {
		gtc_close(&gtc->heap.base);
		errno = -ret;
		return NULL;
	}
	return &gtc->heap.base;
}

const struct mw_heap_ops mw_gtcmalloc_ops = {
	.name = "tcmalloc",
	.kinds = 1 << MW_BLOCK_LIVE | 1 << MW_BLOCK_CACHE | 1 << MW_BLOCK_BIN |
		 1 << MW_BLOCK_PAGES | 1 << MW_BLOCK_OVERHEAD | 1 << MW_BLOCK_RETAINED,
	.open = gtc_open,
	.close = gtc_close,
	.info = mw_slab_heap__info,
	.blocks = mw_slab_heap__blocks,
	.find = mw_slab_heap__find,
	.span = mw_slab_heap__span,
};

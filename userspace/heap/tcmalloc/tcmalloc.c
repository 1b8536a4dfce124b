// SPDX-License-Identifier: GPL-2.0-or-later
/* gperftools' heap as heap.h has it. */
#include <errno.h>
#include <stdlib.h>

#include "heap/tcmalloc/impl.h"

/*
 * libtcmalloc_debug puts a header before what it hands out: size, offset, and two numbers that tell
 * it from a freed one and how it was asked for (MallocBlock in debugallocation.cc).
 */
static bool has_debug_header(struct mw_image *image, uint64_t object)
{
	enum { MALLOC = 0xEFCDAB90, NEW = 0xFEBADC81, NEW_ARRAY = 0xBCEADF72 };
	struct {
		uint64_t size, offset, magic;
		uint32_t type, sign;
	} head;

	return mw_image__read_all(image, object, &head, sizeof(head)) &&
	       (head.magic == 0xDEADBEEF || head.magic == 0xABCDEFAB) &&
	       (head.type == MALLOC || head.type == NEW || head.type == NEW_ARRAY);
}

/* The header of each object, as the first live ones of some slabs have it. */
static uint16_t header_of(const struct mw_tcmalloc *tc)
{
	enum { DEBUG_HEADER = 32, SAMPLES = 64 };
	const struct mw_slabs *slabs = &tc->heap.slabs;
	unsigned int seen = 0, debug = 0;

	for (size_t i = 0; i < slabs->count && seen < SAMPLES; i++) {
		const struct mw_slab *slab = &slabs->list[i];
		uint32_t k = 0;

		while (k < slab->count && mw_slabs__state(slabs, slab, k) != MW_OBJECT_LIVE)
			k++;
		if (k == slab->count || slab->size <= DEBUG_HEADER)
			continue;
		seen++;
		debug += has_debug_header(tc->heap.base.image, slab->first + k * slab->size);
	}
	return debug > seen / 2 ? DEBUG_HEADER : 0;
}

static int tcmalloc_read(struct mw_slab_heap *heap)
{
	struct mw_tcmalloc *tc = (struct mw_tcmalloc *)heap;
	int ret = mw_tcmalloc__read_spans(tc);

	if (!ret) {
		mw_slab_heap__sort(heap, "spans that overlap");
		ret = mw_tcmalloc__read_caches(tc);
	}
	if (!ret)
		ret = mw_tcmalloc__claim_own(tc);
	if (!ret) {
		mw_slab_heap__sort(heap, "spans that overlap");
		heap->header = header_of(tc);
	}
	return ret;
}

static void tcmalloc_close(struct mw_heap *heap)
{
	struct mw_tcmalloc *tc = (struct mw_tcmalloc *)heap;

	mw_slab_heap__free(&tc->heap);
	free(tc->own);
	free(tc->leaves.list);
	free(tc->threads.list);
	free(tc);
}

static struct mw_heap *tcmalloc_open(struct mw_image *image, struct mw_err *err)
{
	struct mw_tcmalloc *tc = calloc(1, sizeof(*tc));
	int ret;

	if (!tc) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	mw_heap__init(&tc->heap.base, &mw_tcmalloc_ops, image);
	tc->heap.read = tcmalloc_read;
	ret = mw_tcmalloc__find(tc, err);
	if (ret) {
		tcmalloc_close(&tc->heap.base);
		errno = -ret;
		return NULL;
	}
	return &tc->heap.base;
}

const struct mw_heap_ops mw_tcmalloc_ops = {
	.name = "tcmalloc",
	.kinds = 1 << MW_BLOCK_LIVE | 1 << MW_BLOCK_CACHE | 1 << MW_BLOCK_BIN |
		 1 << MW_BLOCK_PAGES | 1 << MW_BLOCK_OVERHEAD | 1 << MW_BLOCK_RETAINED,
	.open = tcmalloc_open,
	.close = tcmalloc_close,
	.info = mw_slab_heap__info,
	.blocks = mw_slab_heap__blocks,
	.find = mw_slab_heap__find,
	.span = mw_slab_heap__span,
};

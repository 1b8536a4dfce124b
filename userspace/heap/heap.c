// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap/heap_impl.h"
#include "util/array.h"

/* The walkers. Where their claims overlap, a later one's lie within an earlier one's. */
static const struct mw_heap_ops *const walkers[] = {&mw_ptmalloc_ops};

_Static_assert(MW_ARRAY_SIZE(walkers) <= MW_HEAPS_MAX, "a place for each in struct mw_heaps");

int mw_heaps__open(struct mw_heaps *heaps, struct mw_image *image, struct mw_err *err)
{
	memset(heaps, 0, sizeof(*heaps));
	for (size_t i = 0; i < MW_ARRAY_SIZE(walkers); i++) {
		struct mw_err why = {0};
		struct mw_heap *heap = walkers[i]->open(image, &why);

		if (heap) {
			heaps->list[heaps->count++] = heap;
		} else if (why.code != -ENOENT) {
			mw_heaps__close(heaps);
			if (err)
				*err = why;
			return why.code;
		} else if (!heaps->none.code) {
			heaps->none = why;
		}
	}
	return 0;
}

void mw_heaps__close(struct mw_heaps *heaps)
{
	for (size_t i = 0; i < heaps->count; i++)
		heaps->list[i]->ops->close(heaps->list[i]);
	memset(heaps, 0, sizeof(*heaps));
}

const char *mw_arena_kind_name(enum mw_arena_kind kind)
{
	static const char *const names[] = {[MW_ARENA_MAIN] = "main", [MW_ARENA_THREAD] = "thread"};

	return names[kind];
}

int mw_heap__info(struct mw_heap *heap, enum mw_heap_detail detail, struct mw_heap_info *info)
{
	int ret;

	memset(info, 0, sizeof(*info));
	info->allocator = heap->ops->name;
	info->kinds = heap->ops->kinds;
	ret = heap->ops->info(heap, detail, info);
	info->problems = &heap->problems;
	info->evidence = heap->evidence;
	return ret;
}

struct mw_blocks *mw_heap__blocks(struct mw_heap *heap)
{
	return heap->ops->blocks(heap);
}

int mw_heap__find(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		  size_t count)
{
	memset(blocks, 0, count * sizeof(*blocks));
	return heap->ops->find(heap, addrs, blocks, count);
}

void mw_heap__init(struct mw_heap *heap, const struct mw_heap_ops *ops, struct mw_image *image)
{
	heap->ops = ops;
	heap->image = image;
	mw_problems__init(&heap->problems, image);
	for (enum mw_block_kind kind = 0; kind < MW_BLOCK_KINDS; kind++)
		snprintf(heap->owners[kind], MW_OWNER_BUF, "%s/%s", ops->name,
			 mw_block_kind_path(kind));
	snprintf(heap->owners[MW_BLOCK_UNKNOWN], MW_OWNER_BUF, "%s", MW_OWNER_UNKNOWN);
}

void mw_heap__add_evidence(struct mw_heap *heap, const char *what)
{
	if (heap->evidence_count < MW_HEAP_EVIDENCE)
		heap->evidence[heap->evidence_count++] = what;
}

void mw_block_picker__see(struct mw_block_picker *picker, const struct mw_block *block)
{
	const uint64_t *addrs = picker->addrs;

	while (picker->next < picker->count && addrs[picker->next] < block->start)
		picker->next++;
	while (picker->next < picker->count && addrs[picker->next] - block->start < block->size)
		picker->out[picker->next++] = *block;
}

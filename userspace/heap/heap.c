// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap/heap_impl.h"
#include "util/array.h"

/* The walkers. Where their claims overlap, a later one's lie within an earlier one's. */
static const struct mw_heap_ops *const walkers[] = {
	&mw_ptmalloc_ops, &mw_jemalloc_ops, &mw_tcmalloc_ops, &mw_gtcmalloc_ops, &mw_mimalloc_ops};

_Static_assert(MW_ARRAY_SIZE(walkers) <= MW_HEAPS_MAX, "a place for each in struct mw_heaps");

int mw_heaps__open(struct mw_heaps *heaps, struct mw_image *image, struct mw_err *err)
{
	memset(heaps, 0, sizeof(*heaps));
	for (size_t i = 0; i < MW_ARRAY_SIZE(walkers); i++) {
		struct mw_err why = {0};
		struct mw_heap *heap = walkers[i]->open(image, &why);

		if (heap) {
			heaps->list[heaps->count++] = heap;
		} else if (why.code != -ENOENT && why.code != -ENOTSUP) {
			mw_heaps__close(heaps);
			if (err)
				*err = why;
			return why.code;
		} else if (!heaps->none.code || why.code == -ENOTSUP) {
			heaps->none = why;
		}
	}
	if (heaps->count && heaps->none.code == -ENOENT)
		memset(&heaps->none, 0, sizeof(heaps->none));
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
	static const char *const names[] = {[MW_ARENA_MAIN] = "main",
					    [MW_ARENA_THREAD] = "thread",
					    [MW_ARENA_SHARED] = "shared"};

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

const struct mw_heap_setting *mw_heap_info__setting(const struct mw_heap_info *info,
						    const char *key)
{
	for (size_t i = 0; info->settings && i < info->setting_count; i++) {
		if (!strcmp(info->settings[i].key, key))
			return &info->settings[i];
	}
	return NULL;
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

bool mw_heap__trims(const struct mw_heap *heap, const struct mw_block *block, uint64_t *start,
		    uint64_t *end)
{
	return heap->ops->trims && heap->ops->trims(heap, block, start, end);
}

bool mw_heap__span(const struct mw_heap *heap, uint64_t addr, uint64_t *start, uint64_t *end)
{
	return heap->ops->span && heap->ops->span(heap, addr, start, end);
}

bool mw_heap__has_runs(const struct mw_heap *heap)
{
	return heap->ops->span;
}

ssize_t mw_heap__look(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		      size_t count)
{
	bool again = heap->looked_at;
	int ret;

	heap->looked_at = true;
	memset(blocks, 0, count * sizeof(*blocks));
	if (heap->ops->look)
		return heap->ops->look(heap, addrs, blocks, count);
	ret = again ? -ESTALE : heap->ops->find(heap, addrs, blocks, count);
	return ret ? ret : (ssize_t)count;
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

int mw_heap_not_found(struct mw_image *image, const char *name, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		const char *file = strrchr(map->path, '/');

		if (map->inode && file && strstr(file, name) && mw_image__is_cut(image))
			return mw_err_set(err, -ENOTSUP, "unknown-heap", NULL,
					  "%s is loaded, but what describes its heap is not in the "
					  "core, which was cut short",
					  name);
		if (map->inode && file && strstr(file, name))
			return mw_err_set(
				err, -ENOTSUP, "unknown-heap", NULL,
				"%s is loaded, but its heap can't be read: a version or a "
				"build that is not known here, or nothing was allocated yet",
				name);
	}
	return mw_err_set(err, -ENOENT, "no-heap", NULL, "no heap of %s", name);
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

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "ledger/reclaim.h"
#include "ledger/resident_ranges.h"
#include "ledger/survey.h"

/* A free chunk of many times the threshold was small blocks once, rather than large ones. */
enum { BATCH = 512, MERGED = 8 };

static void see_free(struct mw_reclaim *out, struct mw_heap *heap, const struct mw_block *b,
		     bool main_arena, uint64_t merged, struct mw_resident_ranges *r)
{
	struct mw_resident_ranges inner = *r;
	uint64_t start, end, bytes = mw_resident_ranges__between(r, b->start, b->start + b->size);

	out->free += bytes;
	if (!main_arena)
		out->thread += bytes;
	else if (b->kind != MW_BLOCK_TOP)
		out->below_pin += bytes;
	if (b->size >= MW_LARGE_BLOCK && b->size <= merged &&
	    (b->kind == MW_BLOCK_BIN || (main_arena && b->kind == MW_BLOCK_TOP)))
		out->large += bytes;
	if (mw_heap__trims(heap, b, &start, &end))
		out->trim += mw_resident_ranges__between(&inner, start, end);
}

static int measure(struct mw_reclaim *out, struct mw_heap *heap, const struct mw_heap_info *info,
		   struct mw_resident_ranges r)
{
	struct mw_blocks *blocks = mw_heap__blocks(heap);
	struct mw_block batch[BATCH];
	const struct mw_heap_setting *threshold = mw_heap_info__setting(info, "mmap_threshold");
	uint64_t above_pin = 0, merged = threshold ? MERGED * threshold->value : UINT64_MAX;
	size_t n;

	if (!blocks)
		return -1;
	while ((n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n; i++) {
			const struct mw_block *b = &batch[i];
			bool in_arena = b->arena < info->arena_count;
			bool main_arena = in_arena && info->arenas[b->arena].kind == MW_ARENA_MAIN;

			if (mw_block_state(b) == MW_STATE_FREE) {
				see_free(out, heap, b, main_arena, merged, &r);
				continue;
			}
			if (b->kind != MW_BLOCK_LIVE || !in_arena)
				continue;
			if (b->size >= MW_LARGE_BLOCK)
				out->large_live += mw_resident_ranges__between(&r, b->start,
									       b->start + b->size);
			if (main_arena) {
				out->pin = *b;
				above_pin = out->below_pin;
			}
		}
	}
	mw_blocks__close(blocks);
	out->below_pin = above_pin;
	return 0;
}

int mw_survey__reclaim(struct mw_survey *survey, struct mw_reclaim *out, struct mw_err *err)
{
	struct mw_resident_ranges r = {0};
	int ret;

	memset(out, 0, sizeof(*out));
	if (mw_image__spans(survey->image, &r.spans))
		return mw_err_no_memory(err, mw_image__name(survey->image));
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		ret = mw_heap__info(survey->heaps.list[i], MW_HEAP_SUMS, &info);
		if (!ret && info.arena_count && !strcmp(info.allocator, "glibc"))
			ret = measure(out, survey->heaps.list[i], &info, r);
		if (ret)
			return mw_err_no_memory(err, mw_image__name(survey->image));
	}
	return 0;
}

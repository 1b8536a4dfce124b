// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ledger/whatis.h"
#include "util/text.h"

enum { BATCH = 512 };

static bool find_block(struct mw_blocks *blocks, uint64_t addr, struct mw_block *found)
{
	struct mw_block batch[BATCH];
	bool hit = false;
	size_t n;

	while (blocks && !hit && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n && !hit; i++) {
			if (addr - batch[i].start < batch[i].size && addr >= batch[i].start) {
				*found = batch[i];
				hit = true;
			}
		}
		if (batch[n - 1].start > addr)
			break;
	}
	return hit;
}

static int find_in_heap(struct mw_whatis *what, struct mw_heap *heap)
{
	struct mw_heap_info info;
	struct mw_block block;
	int ret = mw_heap__find(heap, &what->addr, &block, 1);

	if (ret || !block.size)
		return ret;
	what->has_block = true;
	what->block = block;
	mw_text_print(what->owner, sizeof(what->owner), "%s", block.owner);
	ret = mw_heap__info(heap, MW_HEAP_FOUND, &info);
	if (block.arena < info.arena_count)
		what->arena = info.arenas + block.arena;
	return ret;
}

/* The block of Python's memory, in the ledger's words, and the object in it. */
static int find_in_python(struct mw_whatis *what, struct mw_survey *survey, struct mw_err *err)
{
	struct mw_py_census census;
	struct mw_blocks *blocks;
	struct mw_block block;
	int ret;

	if (!mw_survey__python(survey, NULL))
		return 0;
	ret = mw_survey__census(survey, &census, err);
	if (ret)
		return ret;
	what->has_python = !mw_python__object(survey->py, what->addr, &what->python);
	if (!what->has_python || what->python.what == MW_PY_WHAT_STATIC)
		return 0;
	blocks = mw_python__blocks_at(survey->py, what->addr);
	if (!blocks)
		return mw_err_no_memory(err, mw_image__name(survey->image));
	if (find_block(blocks, what->addr, &block))
		mw_text_print(what->owner, sizeof(what->owner), "%s", block.owner);
	mw_blocks__close(blocks);
	return 0;
}

int mw_whatis(struct mw_whatis *what, struct mw_survey *survey, uint64_t addr, struct mw_err *err)
{
	struct mw_symbolizer *symbols;
	struct mw_blocks *claims;
	struct mw_block claim;
	int ret = 0;

	memset(what, 0, sizeof(*what));
	what->addr = addr;
	what->region = mw_image__find(survey->image, addr);
	snprintf(what->owner, sizeof(what->owner), "unmapped");
	if (!what->region)
		return 0;
	symbols = mw_symbolizer__open(survey->image);
	what->has_symbol = symbols && mw_symbolizer__name(symbols, addr, &what->symbol);
	mw_symbolizer__close(symbols);
	claims = mw_image_owners(survey->image);
	if (!claims)
		return mw_err_no_memory(err, mw_image__name(survey->image));
	mw_ledger_region_owner(what->region, what->owner, sizeof(what->owner));
	if (find_block(claims, addr, &claim))
		snprintf(what->owner, sizeof(what->owner), "%s", claim.owner);
	mw_blocks__close(claims);
	for (size_t i = 0; i < survey->heaps.count && !ret; i++)
		ret = find_in_heap(what, survey->heaps.list[i]);
	if (ret)
		return mw_err_no_memory(err, mw_image__name(survey->image));
	return find_in_python(what, survey, err);
}

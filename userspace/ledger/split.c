// SPDX-License-Identifier: GPL-2.0-or-later
/* The same claims as the ledger's, summed by the part that a block's arena and kind belong to. */
#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "ledger/pieces.h"
#include "ledger/split.h"
#include "ledger/survey.h"

static const char *const names[] = {
	[MW_SPLIT_BRK] = "brk heap",	       [MW_SPLIT_THREADS] = "thread arenas",
	[MW_SPLIT_MMAPPED] = "mmapped chunks", [MW_SPLIT_PYTHON] = "Python arenas",
	[MW_SPLIT_OTHER] = "other mappings",
};

const char *mw_split_name(enum mw_split_part part)
{
	return part < MW_SPLIT_PARTS ? names[part] : "?";
}

struct arenas {
	struct mw_blocks base;
	const struct mw_py_info *info;
	size_t next;
};

static size_t fill_arenas(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct arenas *a = (struct arenas *)blocks;
	size_t n = 0;

	for (; n < max && a->next < a->info->arena_count; a->next++) {
		const struct mw_py_arena *arena = &a->info->arenas[a->next];

		out[n++] = (struct mw_block){
			.start = arena->addr, .size = arena->size, .arena = MW_BLOCK_NO_ARENA};
	}
	return n;
}

/* The sources: the survey's heaps, then Python's arenas. */
struct splitter {
	size_t heap_count;
	struct mw_heap_info info[MW_HEAPS_MAX];
	uint64_t *parts;
};

static enum mw_split_part part_of(const struct mw_heap_info *info, const struct mw_block *block)
{
	if (block->arena < info->arena_count) {
		switch (info->arenas[block->arena].kind) {
		case MW_ARENA_MAIN:
			return MW_SPLIT_BRK;
		case MW_ARENA_THREAD:
			return MW_SPLIT_THREADS;
		case MW_ARENA_SHARED:
			return MW_SPLIT_MMAPPED;
		}
	}
	return MW_SPLIT_MMAPPED;
}

static int add_piece(void *arg, const struct mw_piece *piece)
{
	struct splitter *s = arg;
	enum mw_split_part part = MW_SPLIT_OTHER;

	if (piece->block)
		part = piece->source < s->heap_count
			       ? part_of(&s->info[piece->source], piece->block)
			       : MW_SPLIT_PYTHON;
	s->parts[part] += piece->resident;
	return 0;
}

/* Pages that came while the image was read are taken off the largest parts. */
static void adjust(uint64_t parts[MW_SPLIT_PARTS], uint64_t excess)
{
	while (excess) {
		unsigned int largest = 0;
		uint64_t take;

		for (unsigned int i = 1; i < MW_SPLIT_PARTS; i++)
			largest = parts[i] > parts[largest] ? i : largest;
		take = parts[largest] < excess ? parts[largest] : excess;
		if (!take)
			return;
		parts[largest] -= take;
		excess -= take;
	}
}

int mw_survey__split(struct mw_survey *survey, uint64_t parts[MW_SPLIT_PARTS], struct mw_err *err)
{
	struct mw_blocks *sources[MW_HEAPS_MAX + 1] = {NULL};
	struct splitter splitter = {.heap_count = survey->heaps.count, .parts = parts};
	struct arenas arenas = {.base.fill = fill_arenas};
	uint64_t excess = 0;
	int ret = 0;

	memset(parts, 0, MW_SPLIT_PARTS * sizeof(*parts));
	for (size_t i = 0; i < survey->heaps.count && !ret; i++) {
		ret = mw_heap__info(survey->heaps.list[i], MW_HEAP_FOUND, &splitter.info[i]);
		sources[i] = mw_heap__blocks(survey->heaps.list[i]);
		if (!sources[i])
			ret = -ENOMEM;
	}
	if (!ret && mw_survey__python(survey, NULL)) {
		arenas.info = mw_python__info(survey->py);
		sources[survey->heaps.count] = &arenas.base;
	}
	if (!ret)
		ret = mw_pieces__each(survey->image, sources, survey->heaps.count + 1, add_piece,
				      &splitter, &excess);
	for (size_t i = 0; i < survey->heaps.count; i++)
		mw_blocks__close(sources[i]);
	if (ret)
		return mw_err_no_memory(err, NULL);
	adjust(parts, excess);
	return 0;
}

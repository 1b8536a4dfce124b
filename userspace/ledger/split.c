// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A ledger of coarse owners: the same walk as the real one, with the blocks' owners replaced by
 * the part that their arena belongs to.
 */
#include <errno.h>
#include <string.h>

#include "heap/block.h"
#include "ledger/ledger.h"
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

struct chunks {
	struct mw_blocks base;
	struct mw_blocks *inner;
	const struct mw_ptmalloc_info *info;
};

static size_t fill_chunks(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct chunks *c = (struct chunks *)blocks;
	size_t n = c->inner->fill(c->inner, out, max);

	for (size_t i = 0; i < n; i++) {
		uint32_t arena = out[i].arena;

		out[i].owner = arena >= c->info->arena_count ? names[MW_SPLIT_MMAPPED]
			       : c->info->arenas[arena].main ? names[MW_SPLIT_BRK]
							     : names[MW_SPLIT_THREADS];
	}
	return n;
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

		out[n++] = (struct mw_block){.start = arena->addr,
					     .size = arena->size,
					     .owner = names[MW_SPLIT_PYTHON],
					     .arena = MW_BLOCK_NO_ARENA};
	}
	return n;
}

int mw_survey__split(struct mw_survey *survey, uint64_t parts[MW_SPLIT_PARTS], struct mw_err *err)
{
	struct chunks chunks = {.base.fill = fill_chunks};
	struct arenas arenas = {.base.fill = fill_arenas};
	struct mw_blocks *sources[2] = {NULL, NULL};
	struct mw_ledger ledger;
	int ret;

	memset(parts, 0, MW_SPLIT_PARTS * sizeof(*parts));
	if (survey->pt) {
		chunks.info = mw_ptmalloc__info(survey->pt);
		chunks.inner = mw_ptmalloc__blocks(survey->pt);
		if (!chunks.inner)
			return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
		sources[0] = &chunks.base;
	}
	if (mw_survey__python(survey, NULL)) {
		arenas.info = mw_python__info(survey->py);
		sources[1] = &arenas.base;
	}
	ret = mw_ledger__build(&ledger, survey->image, sources, 2, err);
	mw_blocks__close(chunks.inner);
	if (ret)
		return ret;
	for (size_t i = 0; i < ledger.count; i++) {
		unsigned int part = 0;

		while (part < MW_SPLIT_OTHER && strcmp(ledger.entries[i].owner, names[part]))
			part++;
		parts[part] += ledger.entries[i].resident;
	}
	mw_ledger__free(&ledger);
	return 0;
}

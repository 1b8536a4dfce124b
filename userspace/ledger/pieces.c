// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "ledger/pieces.h"
#include "ledger/resident_ranges.h"

enum { BATCH = 512 };

/* One source of claims and how far it was read. */
struct level {
	struct mw_blocks *blocks;
	struct mw_block batch[BATCH];
	size_t at, have;
	struct mw_resident_ranges residency;
	size_t source;
};

struct nest {
	const struct mw_region *region; /* the present one */
	struct level levels[MW_PIECES_SOURCES];
	size_t level_count;
	mw_piece_fn fn;
	void *arg;
	int ret; /* other than 0: FN wants to end */
};

static const struct mw_block *peek(struct level *level)
{
	if (level->at == level->have) {
		if (!level->blocks)
			return NULL;
		level->have = level->blocks->fill(level->blocks, level->batch, BATCH);
		level->at = 0;
		if (!level->have) {
			level->blocks = NULL;
			return NULL;
		}
	}
	return &level->batch[level->at];
}

static void give(struct nest *n, const struct mw_block *block, size_t source, uint64_t bytes,
		 uint64_t resident, bool whole)
{
	const struct mw_piece piece = {n->region, block, source, bytes, resident, whole};

	if (!n->ret)
		n->ret = n->fn(n->arg, &piece);
}

/*
 * Give what the levels from INDEX on claim of [START, END), within this level's blocks and between
 * them. BYTES and RESIDENT get how much that was; the rest is the caller's own.
 */
static void claim(struct nest *n, size_t index, uint64_t start, uint64_t end, uint64_t *bytes,
		  uint64_t *resident)
{
	struct level *level = &n->levels[index];
	const struct mw_block *block;
	uint64_t inner, inner_resident;

	*bytes = *resident = 0;
	if (index >= n->level_count)
		return;
	while (start < end && (block = peek(level)) && block->start < end) {
		uint64_t block_end = block->start + block->size, here;
		uint64_t to = block_end < end ? block_end : end;

		if (block_end <= start) {
			level->at++;
			continue;
		}
		if (block->start > start) {
			claim(n, index + 1, start, block->start, &inner, &inner_resident);
			*bytes += inner;
			*resident += inner_resident;
			start = block->start;
		}
		here = mw_resident_ranges__between(&level->residency, start, to);
		claim(n, index + 1, start, to, &inner, &inner_resident);
		give(n, block, level->source, to - start - inner, here - inner_resident,
		     to == block_end && inner < to - start);
		*bytes += to - start;
		*resident += here;
		start = to;
		if (block_end <= end)
			level->at++;
	}
	claim(n, index + 1, start, end, &inner, &inner_resident);
	*bytes += inner;
	*resident += inner_resident;
}

int mw_pieces__each(struct mw_image *image, struct mw_blocks **sources, size_t count,
		    mw_piece_fn fn, void *arg, uint64_t *excess)
{
	const struct mw_regions *regions = mw_image__regions(image);
	struct nest *n = calloc(1, sizeof(*n));
	const struct mw_spans *spans = NULL;
	int ret = n ? mw_image__spans(image, &spans) : -ENOMEM;

	*excess = 0;
	for (size_t i = 0; !ret && i < count; i++) {
		if (!sources[i])
			continue;
		n->levels[n->level_count].residency.spans = spans;
		n->levels[n->level_count].source = i;
		n->levels[n->level_count++].blocks = sources[i];
	}
	for (size_t i = 0; !ret && i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t size = r->map.end - r->map.start, bytes, resident;

		n->fn = fn;
		n->arg = arg;
		n->region = r;
		claim(n, 0, r->map.start, r->map.end, &bytes, &resident);
		if (resident > r->resident) {
			*excess += resident - r->resident;
			resident = r->resident;
		}
		/* Pages that left while the image was read are nobody's. */
		if (bytes < size || resident < r->resident)
			give(n, NULL, 0, size - bytes, r->resident - resident, bytes < size);
		ret = n->ret;
	}
	free(n);
	return ret;
}

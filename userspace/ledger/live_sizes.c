// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "ledger/live_sizes.h"

enum { BATCH = 512 };

/* Put BLOCK among the largest, if it is one. */
static void keep(struct mw_live_sizes *s, const struct mw_live_block *block)
{
	size_t i = s->biggest_count;

	if (i == MW_LIVE_BIGGEST && block->bytes <= s->biggest[i - 1].bytes)
		return;
	if (i < MW_LIVE_BIGGEST)
		s->biggest_count++;
	else
		i--;
	for (; i && s->biggest[i - 1].bytes < block->bytes; i--)
		s->biggest[i] = s->biggest[i - 1];
	s->biggest[i] = *block;
}

static void see(struct mw_live_sizes *s, const struct mw_block *b, struct mw_python *py,
		size_t *cursor)
{
	struct mw_live_block block = {.addr = b->start + b->header, .bytes = b->size};
	unsigned int i = b->size ? 63 - (unsigned int)__builtin_clzll(b->size) : 0;
	struct mw_live_size *size = &s->sizes[i < MW_LIVE_SIZES ? i : MW_LIVE_SIZES - 1];
	bool owned = false;

	if (mw_block_state(b) != MW_STATE_LIVE)
		return;
	if (py)
		block.type = mw_python__chunk_type(py, b->start, cursor, &owned);
	size->count++;
	size->bytes += b->size;
	size->python += owned;
	keep(s, &block);
}

int mw_live_sizes__measure(struct mw_live_sizes *sizes, struct mw_heap *heap, struct mw_python *py)
{
	struct mw_blocks *blocks = mw_heap__blocks(heap);
	uint64_t starts[MW_LIVE_BIGGEST], owners[MW_LIVE_BIGGEST];
	struct mw_block batch[BATCH];
	size_t cursor = 0, n;

	memset(sizes, 0, sizeof(*sizes));
	if (!blocks)
		return -ENOMEM;
	while ((n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n; i++)
			see(sizes, &batch[i], py, &cursor);
	}
	mw_blocks__close(blocks);
	for (size_t i = 0; i < sizes->biggest_count; i++)
		starts[i] = sizes->biggest[i].addr;
	if (py)
		mw_python__owners(py, starts, sizes->biggest_count, owners);
	for (size_t i = 0; py && i < sizes->biggest_count; i++)
		sizes->biggest[i].object = owners[i];
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "trace/dead_spaces.h"
#include "util/array.h"

void mw_dead_spaces__add(struct mw_dead_spaces *dead, uint32_t space, uint32_t slot,
			 uint64_t before)
{
	/* Without memory their blocks stay outstanding: no more can be done. */
	if (!mw_array_reserve(&dead->list, &dead->capacity, dead->count + 1, sizeof(*dead->list)))
		dead->list[dead->count++] = (struct mw_dead_space){space, slot, before};
}

void mw_dead_spaces__free(struct mw_dead_spaces *dead)
{
	free(dead->list);
	*dead = (struct mw_dead_spaces){0};
}

struct purge {
	const struct mw_dead_spaces *dead;
	const struct mw_blocks *blocks;
	mw_dead_block_fn fn;
	void *arg;
};

static void on_block(uint64_t key, const struct mw_alloc_record *block, void *arg)
{
	const struct purge *purge = arg;

	for (size_t i = 0; i < purge->dead->count; i++) {
		const struct mw_dead_space *d = &purge->dead->list[i];

		if (key >> MW_SPACE_SHIFT != d->space || block->time >= d->before)
			continue;
		if (mw_blocks__remove(purge->blocks, key))
			purge->fn(d->slot, block, purge->arg);
		return;
	}
}

void mw_dead_spaces__purge(struct mw_dead_spaces *dead, const struct mw_blocks *blocks,
			   mw_dead_block_fn fn, void *arg)
{
	struct purge purge = {dead, blocks, fn, arg};

	if (!dead->count)
		return;
	mw_blocks__each(blocks, on_block, &purge);
	dead->count = 0;
}

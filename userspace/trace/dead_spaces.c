// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <stdlib.h>

#include "trace/bpf_map.h"
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
	int fd;
	mw_dead_block_fn fn;
	void *arg;
};

static void on_block(uint64_t key, const void *value, void *arg)
{
	const struct purge *purge = arg;
	const struct mw_alloc_record *block = value;

	for (size_t i = 0; i < purge->dead->count; i++) {
		const struct mw_dead_space *d = &purge->dead->list[i];

		if (key >> MW_SPACE_SHIFT != d->space || block->time >= d->before)
			continue;
		if (!bpf_map_delete_elem(purge->fd, &key))
			purge->fn(d->slot, block, purge->arg);
		return;
	}
}

void mw_dead_spaces__purge(struct mw_dead_spaces *dead, int fd, mw_dead_block_fn fn, void *arg)
{
	struct purge purge = {dead, fd, fn, arg};

	if (!dead->count)
		return;
	mw_bpf_map__each(fd, sizeof(struct mw_alloc_record), on_block, &purge);
	dead->count = 0;
}

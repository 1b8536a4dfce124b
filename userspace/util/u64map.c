// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "util/u64map.h"

enum { FIRST = 256 };

static size_t place(const struct mw_u64map *map, uint64_t key)
{
	size_t at = (size_t)((key ^ key >> 32) * 0x9e3779b97f4a7c15ULL >> 20) & map->mask;

	while (map->slots[at].value && map->slots[at].key != key)
		at = (at + 1) & map->mask;
	return at;
}

void *mw_u64map__find(const struct mw_u64map *map, uint64_t key)
{
	return map->slots ? map->slots[place(map, key)].value : NULL;
}

static int grow(struct mw_u64map *map)
{
	size_t size = map->slots ? 2 * (map->mask + 1) : FIRST;
	struct mw_u64map bigger = {calloc(size, sizeof(*map->slots)), map->count, size - 1};

	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; map->slots && i <= map->mask; i++) {
		if (map->slots[i].value)
			bigger.slots[place(&bigger, map->slots[i].key)] = map->slots[i];
	}
	free(map->slots);
	*map = bigger;
	return 0;
}

int mw_u64map__set(struct mw_u64map *map, uint64_t key, void *value)
{
	size_t at;

	if (!map->slots || 2 * map->count > map->mask) {
		int ret = grow(map);

		if (ret)
			return ret;
	}
	at = place(map, key);
	map->count += !map->slots[at].value;
	map->slots[at] = (struct mw_u64map_slot){key, value};
	return 0;
}

void mw_u64map__free(struct mw_u64map *map)
{
	free(map->slots);
	*map = (struct mw_u64map){0};
}

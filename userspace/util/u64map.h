/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hash table from 64-bit keys to pointers that it does not own. It only grows. */
#ifndef MW_UTIL_U64MAP_H
#define MW_UTIL_U64MAP_H

#include <stddef.h>
#include <stdint.h>

struct mw_u64map {
	struct mw_u64map_slot {
		uint64_t key;
		void *value; /* NULL: free */
	} * slots;
	size_t count, mask;
};

/* The value of KEY, or NULL. */
void *mw_u64map__find(const struct mw_u64map *map, uint64_t key);

/* Set the value (not NULL) of KEY. 0 or -ENOMEM. */
int mw_u64map__set(struct mw_u64map *map, uint64_t key, void *value);

void mw_u64map__free(struct mw_u64map *map);

#endif

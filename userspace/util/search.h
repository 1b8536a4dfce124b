/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one binary search, for every sorted array. */
#ifndef MW_UTIL_SEARCH_H
#define MW_UTIL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does the element at AT come before the place searched for? KEY is the caller's. */
typedef bool (*mw_search_before_fn)(const void *at, const void *key);

/*
 * The index of the first of COUNT elements of SIZE bytes at BASE that does not come before KEY;
 * COUNT when all do. The elements are in order: once BEFORE says false, it does for all later ones.
 */
static inline size_t mw_search(const void *base, size_t count, size_t size,
			       mw_search_before_fn before, const void *key)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (before((const char *)base + middle * size, key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

#endif

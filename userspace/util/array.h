/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grow a plain C array; pointer, count and capacity stay with their owner. */
#ifndef MW_UTIL_ARRAY_H
#define MW_UTIL_ARRAY_H

#include <stddef.h>

/*
 * Make room for NEED elements of SIZE bytes in *ARRAY (a pointer to the array pointer), whose
 * capacity in elements is *CAPACITY. 0 or -ENOMEM; on failure the array is as it was.
 */
int mw_array_reserve(void *array, size_t *capacity, size_t need, size_t size);

#define MW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

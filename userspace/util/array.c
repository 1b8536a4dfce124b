// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/array.h"

int mw_array_reserve(void *array, size_t *capacity, size_t need, size_t size)
{
	size_t room = *capacity ? *capacity : 16;
	void *old, *grown;

	if (need <= *capacity)
		return 0;
	while (room < need) {
		if (__builtin_mul_overflow(room, (size_t)2, &room))
			return -ENOMEM;
	}
	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, room, size);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*capacity = room;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "probe/pymalloc_places.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t address = size & 1 ? 0x1000 : UINT64_MAX - 64;
	struct mw_pymalloc_places p;

	if (mw_pymalloc_places__find(&p, data, size, address))
		return 0;
	if (p.allocs + p.frees + p.new_pools != p.count || p.slow_reached > p.slow_calls ||
	    p.tests_placed > p.tests)
		abort();
	for (size_t i = 0; i < p.count; i++) {
		const struct mw_pymalloc_place *place = &p.list[i];

		if (place->address - address >= size || place->pool >= 32 ||
		    (place->block >= 32 && place->kind != MW_PYMALLOC_NEW_POOL))
			abort();
	}
	mw_pymalloc_places__free(&p);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "image/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_maps maps;

	if (mw_maps__parse(&maps, (const char *)data, size, NULL))
		return 0;
	for (size_t i = 0; i < maps.count; i++) {
		if (mw_maps__find(&maps, maps.maps[i].start) != &maps.maps[i])
			abort();
	}
	mw_maps__free(&maps);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as /proc/PID/smaps and as /proc/PID/maps. */
#include <stdint.h>
#include <stdlib.h>

#include "image/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_regions regions;
	struct mw_maps maps;

	if (!mw_smaps__parse(&regions, (const char *)data, size, NULL)) {
		for (size_t i = 0; i < regions.count; i++) {
			if (regions.regions[i].resident >
			    regions.regions[i].map.end - regions.regions[i].map.start)
				abort();
		}
		mw_regions__free(&regions);
	}
	if (!mw_maps__parse(&maps, (const char *)data, size, NULL))
		mw_maps__free(&maps);
	return 0;
}

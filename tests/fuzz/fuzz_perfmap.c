// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a perf map, and its names as symbols. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/demangle.h"
#include "symbol/perfmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_perfmap map = {0};
	char *text = malloc(size + 1), clean[100];

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (mw_perfmap__parse(&map, text, size))
		return 0;
	for (size_t i = 0; i < map.count; i++) {
		const struct mw_perfmap_entry *e = &map.entries[i], *found;

		if (e->name + (uint64_t)e->len > size)
			abort();
		found = mw_perfmap__find(&map, e->start + e->size - 1);
		if (found && e->start + e->size - 1 - found->start >= found->size)
			abort();
		mw_demangle(clean, sizeof(clean), map.text + e->name);
	}
	mw_perfmap__free(&map);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as the line table of a code object, of each version that changed the format. */
#include <stdlib.h>
#include <string.h>

#include "python/layout.h"
#include "python/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t versions[] = {
		MW_PY_VERSION(2, 7, 18), MW_PY_VERSION(3, 8, 0),  MW_PY_VERSION(3, 10, 0),
		MW_PY_VERSION(3, 11, 0), MW_PY_VERSION(3, 13, 0),
	};
	uint32_t offset;
	uint8_t *table;

	if (size < sizeof(offset) + 1)
		return 0;
	memcpy(&offset, data + 1, sizeof(offset));
	/* A copy of just that size: a byte read past it is seen. */
	size -= sizeof(offset) + 1;
	table = malloc(size ? size : 1);
	if (!table)
		return 0;
	memcpy(table, data + sizeof(offset) + 1, size);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		uint32_t last = mw_py_line(versions[i], data[0], table, size, offset);

		/* Of the same question the same answer. */
		if (mw_py_line(versions[i], data[0], table, size, offset) != last)
			abort();
	}
	free(table);
	return 0;
}

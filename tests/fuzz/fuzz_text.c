// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "util/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = size ? data[0] + 1u : 1;
	char *dst = malloc(room), *text = strndup((const char *)data, size);
	uint64_t n;
	double s;

	mw_text_clean(dst, room, (const char *)data, size);
	for (const char *p = dst; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
	}
	mw_parse_size(text, &n);
	mw_parse_seconds(text, &s);
	mw_parse_uint(text, 0, UINT64_MAX, &n);
	free(text);
	free(dst);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "util/bar.h"

char *mw_bar(char *buf, double share, unsigned int width, bool utf8)
{
	unsigned int steps = utf8 ? 8 : 1, filled;
	char *p = buf;

	if (!(share > 0))
		share = 0;
	if (share > 1)
		share = 1;
	if (width > 255)
		width = 255;
	filled = (unsigned int)(share * width * steps + 0.5);
	if (share > 0 && !filled)
		filled = 1;
	for (; filled >= steps; filled -= steps) {
		if (utf8) {
			memcpy(p, "\xe2\x96\x88", 3); /* U+2588 FULL BLOCK */
			p += 3;
		} else {
			*p++ = '#';
		}
	}
	if (filled) {
		/* U+2589 … U+258F: seven eighths … one eighth */
		memcpy(p, "\xe2\x96", 2);
		p[2] = (char)(0x90 - filled);
		p += 3;
	}
	*p = '\0';
	return buf;
}

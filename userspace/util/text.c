// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/text.h"

/* Decode one UTF-8 sequence of at most LEN bytes; its length, or 0 when it is invalid. */
static size_t utf8_decode(const unsigned char *s, size_t len, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (!n || n > len || s[0] > 0xf4)
		return 0;
	if (n == 1) {
		*code = s[0];
		return 1;
	}
	*code = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

/* Characters that draw nothing themselves but change how others are drawn. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff);
}

char *mw_text_clean(char *dst, size_t size, const char *src, size_t len)
{
	size_t out = 0, in = 0, ellipsis = 0;

	while (in < len) {
		uint32_t code = 0;
		size_t n = utf8_decode((const unsigned char *)src + in, len - in, &code);
		bool bad = !n || is_unsafe(code);
		size_t width = bad ? 1 : n;

		if (out + width + 1 > size) {
			/* Cut back to where "..." still fits. */
			out = ellipsis;
			for (int i = 0; i < 3 && out + 1 < size; i++)
				dst[out++] = '.';
			break;
		}
		if (bad)
			dst[out] = '?';
		else
			memcpy(dst + out, src + in, n);
		out += width;
		in += n ? n : 1;
		if (out + 4 <= size)
			ellipsis = out;
	}
	dst[out] = '\0';
	return dst;
}

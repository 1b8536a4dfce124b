// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
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

char *mw_text_print(char *buf, size_t size, const char *fmt, ...)
{
	char text[MW_TEXT_MAX] = "";
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return mw_text_clean(buf, size, text, strlen(text));
}

const char *mw_text_break(const char *text, int width, int *len)
{
	int n = (int)strlen(text), most = width > 20 ? width : 20, cut = most;

	*len = n;
	if (n <= most)
		return text + n;
	while (cut > 1 && text[cut] != ' ')
		cut--;
	if (cut <= 1) {
		/* A word that is too long is cut, but not within a character. */
		cut = most;
		while (cut > 1 && ((unsigned char)text[cut] & 0xc0) == 0x80)
			cut--;
	}
	*len = cut;
	return text + cut + (text[cut] == ' ');
}

/* N bytes of TEXT, or fewer, since no character is cut. */
static int whole_characters(const char *text, int n)
{
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Where the caller or what was called begins in LABEL; its length: there is none. */
static int first_part(const char *label)
{
	const char *by = strstr(label, " <- "), *to = strstr(label, " -> ");
	const char *end = by && (!to || by < to) ? by : to;

	return (int)(end ? (size_t)(end - label) : strlen(label));
}

/* How long the line is with which the N bytes of TEXT end: ":13"; 0: with none. */
static int line_length(const char *text, int n)
{
	int digits = 0;

	while (digits < n && text[n - digits - 1] >= '0' && text[n - digits - 1] <= '9')
		digits++;
	return digits && digits < n && text[n - digits - 1] == ':' ? digits + 1 : 0;
}

char *mw_text_fit_label(char *buf, size_t size, const char *label, int width)
{
	enum { LEAST = 20, CALLER_LEAST = 10 };
	int most = width > LEAST ? width : LEAST, first = first_part(label), line;
	const char *space = memchr(label, ' ', (size_t)first);

	line = line_length(label, first);
	if ((int)strlen(label) > most && space && !memchr(label, ':', (size_t)(space - label)) &&
	    (!line || first > most)) {
		first -= (int)(space + 1 - label);
		label = space + 1;
	}
	if ((int)strlen(label) <= most)
		snprintf(buf, size, "%s", label);
	else if (first <= most && most - first < CALLER_LEAST)
		snprintf(buf, size, "%.*s", first, label);
	else if (first <= most)
		snprintf(buf, size, "%.*s..", whole_characters(label, most - 2), label);
	else
		snprintf(buf, size, "%.*s..%.*s", whole_characters(label, most - 2 - line), label,
			 line, label + first - line);
	return buf;
}

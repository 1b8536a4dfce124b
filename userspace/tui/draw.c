// SPDX-License-Identifier: GPL-2.0-or-later
#include <curses.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "tui/draw.h"
#include "util/bar.h"
#include "util/text.h"

enum { TEXT_MAX = 1024 };

/*
 * Convert TEXT, clean UTF-8, to at most WIDTH columns of characters that the terminal's encoding
 * has. Combining characters are left out. Not mbstowcs(): in the C locale it knows no UTF-8.
 */
static size_t to_cells(const struct mw_theme *theme, const char *text, int width, wchar_t *out,
		       size_t max, int *used)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = 0;

	*used = 0;
	while (*s && n + 1 < max) {
		int len = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4, columns;
		wchar_t c = *s < 0x80 ? *s : *s & (0x7f >> len);

		for (s++; --len && *s; s++)
			c = c << 6 | (*s & 0x3f);
		if (!theme->utf8 && c >= 0x80)
			c = L'?';
		columns = theme->utf8 ? wcwidth(c) : 1;
		if (columns < 0) {
			c = L'?';
			columns = 1;
		}
		if (!columns)
			continue;
		if (*used + columns > width)
			break;
		out[n++] = c;
		*used += columns;
	}
	out[n] = 0;
	return n;
}

struct mw_canvas mw_canvas_part(const struct mw_canvas *canvas, int y, int x, int rows, int cols)
{
	struct mw_canvas part = *canvas;

	part.y += y;
	part.x += x;
	part.rows = rows < canvas->rows - y ? rows : canvas->rows - y;
	part.cols = cols < canvas->cols - x ? cols : canvas->cols - x;
	if (part.rows < 0)
		part.rows = 0;
	if (part.cols < 0)
		part.cols = 0;
	return part;
}

static bool is_inside(const struct mw_canvas *c, int y, int x, int *width)
{
	if (y < 0 || y >= c->rows || x < 0 || x >= c->cols)
		return false;
	if (*width > c->cols - x)
		*width = c->cols - x;
	return *width > 0;
}

static int put(const struct mw_canvas *c, int y, int x, int width, enum mw_ink ink,
	       const char *text, bool right)
{
	wchar_t cells[TEXT_MAX];
	size_t n;
	int used;

	if (!is_inside(c, y, x, &width))
		return 0;
	n = to_cells(c->theme, text, width, cells, TEXT_MAX, &used);
	wattrset(c->win, (int)c->theme->attributes[ink]);
	mvwaddnwstr(c->win, c->y + y, c->x + x + (right ? width - used : 0), cells, (int)n);
	wattrset(c->win, A_NORMAL);
	return used;
}

static void format_clean(char *clean, const char *format, va_list ap)
{
	char raw[TEXT_MAX];
	int n = vsnprintf(raw, sizeof(raw), format, ap);

	if (n < 0)
		n = 0;
	mw_text_clean(clean, TEXT_MAX, raw, n < TEXT_MAX ? (size_t)n : TEXT_MAX - 1);
}

int mw_draw(const struct mw_canvas *canvas, int y, int x, int width, enum mw_ink ink,
	    const char *format, ...)
{
	char clean[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	format_clean(clean, format, ap);
	va_end(ap);
	return put(canvas, y, x, width, ink, clean, false);
}

void mw_draw_right(const struct mw_canvas *canvas, int y, int x, int width, enum mw_ink ink,
		   const char *format, ...)
{
	char clean[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	format_clean(clean, format, ap);
	va_end(ap);
	put(canvas, y, x, width, ink, clean, true);
}

void mw_draw_fill(const struct mw_canvas *c, int y, enum mw_ink ink)
{
	int width = c->cols;

	if (!is_inside(c, y, 0, &width))
		return;
	wattrset(c->win, (int)c->theme->attributes[ink]);
	for (int x = 0; x < width; x++)
		mvwaddch(c->win, c->y + y, c->x + x, ' ');
	wattrset(c->win, A_NORMAL);
}

void mw_draw_rule(const struct mw_canvas *c, int y, enum mw_ink ink, const char *text)
{
	for (int x = 0; x < c->cols; x++)
		put(c, y, x, 1, ink, c->theme->glyphs->rule, false);
	if (*text && c->cols > 8) {
		int used = mw_draw(c, y, 3, c->cols - 5, ink, " %s", text);

		put(c, y, 3 + used, 1, ink, " ", false);
	}
}

void mw_draw_bar(const struct mw_canvas *c, int y, int x, int width, double share, enum mw_ink ink)
{
	char bar[MW_BAR_BUF];

	if (is_inside(c, y, x, &width) && share > 0)
		put(c, y, x, width, ink, mw_bar(bar, share, (unsigned int)width, c->theme->utf8),
		    false);
}

void mw_draw_stack(const struct mw_canvas *c, int y, int x, int width, const double *values,
		   const char *letters, size_t count)
{
	double sum = 0, before = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	if (!(sum > 0) || !is_inside(c, y, x, &width))
		return;
	for (size_t i = 0; i < count; i++) {
		int from = (int)lround(before / sum * width), to;
		char letter[2] = {letters[i]};

		before += values[i];
		to = (int)lround(before / sum * width);
		/* Without colours each part is drawn in its letter. */
		for (int k = from; k < to; k++)
			put(c, y, x + k, 1, MW_INK_PART + (unsigned int)i,
			    c->theme->color && c->theme->utf8 ? "█" : letter, false);
	}
}

size_t mw_graph_values(const struct mw_theme *theme, int rows, int width)
{
	size_t n = width > 0 ? (size_t)width * (theme->utf8 && rows > 1 ? 2 : 1) : 0;

	return n < MW_GRAPH_MAX ? n : MW_GRAPH_MAX;
}

/* How many of STEPS steps VALUE reaches; a value above 0 has at least one. */
static int height_of(double value, double low, double high, int steps)
{
	double share;

	if (isnan(value))
		return 0;
	share = high > low ? (value - low) / (high - low) : 0;
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return 1 + (int)lround(share * (steps - 1));
}

static void draw_cell(const struct mw_canvas *c, int y, int x, enum mw_ink ink, int left, int right)
{
	/* Dots from the bottom up, as U+2800 counts them. */
	static const unsigned char lefts[] = {0, 0x40, 0x44, 0x46, 0x47};
	static const unsigned char rights[] = {0, 0x80, 0xa0, 0xb0, 0xb8};
	unsigned int dots = lefts[left] | rights[right];
	char text[4] = {(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 0x3f)), 0};

	if (dots)
		put(c, y, x, 1, ink, text, false);
}

static int clamp4(int n)
{
	return n < 0 ? 0 : n > 4 ? 4 : n;
}

void mw_draw_graph(const struct mw_canvas *c, int y, int x, int rows, int width,
		   const double *values, size_t count, double low, double high, enum mw_ink ink)
{
	static const char levels[] = " .:-=+*#";
	bool braille = c->theme->utf8 && rows > 1;
	size_t each = braille ? 2 : 1;
	int steps = rows == 1 ? c->theme->utf8 ? 8 : 7 : rows * (c->theme->utf8 ? 4 : 2);

	for (size_t i = 0; i < count; i += each) {
		int column = x + (int)(i / each), h = height_of(values[i], low, high, steps);
		int h2 = braille && i + 1 < count ? height_of(values[i + 1], low, high, steps) : 0;

		if (column >= x + width)
			break;
		if (rows == 1 && h && c->theme->utf8) {
			/* U+2581 … U+2588: one eighth … all */
			char text[4] = {(char)0xe2, (char)0x96, (char)(0x80 + h), 0};

			put(c, y, column, 1, ink, text, false);
			continue;
		}
		if (rows == 1) {
			char text[2] = {h ? levels[h] : ' ', 0};

			put(c, y, column, 1, ink, text, false);
			continue;
		}
		for (int r = 0; r < rows; r++) {
			int below = (rows - 1 - r) * (braille ? 4 : 2);

			if (braille)
				draw_cell(c, y + r, column, ink, clamp4(h - below),
					  clamp4(h2 - below));
			else if (h > below)
				put(c, y + r, column, 1, ink, h - below > 1 ? "#" : ".", false);
		}
	}
}

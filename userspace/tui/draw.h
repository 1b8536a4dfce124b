/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drawing into a rectangle of a window. All text goes through mw_text_clean() and is clipped to
 * its columns, so that no name can overrun its place or disturb the terminal.
 */
#ifndef MW_TUI_DRAW_H
#define MW_TUI_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/theme.h"

struct mw_canvas {
	struct _win_st *win; /* of curses */
	const struct mw_theme *theme;
	int y, x, rows, cols;
};

/* The part of CANVAS from row Y and column X on, clipped to it. */
struct mw_canvas mw_canvas_part(const struct mw_canvas *canvas, int y, int x, int rows, int cols);

/* Text at most WIDTH columns wide; returns the columns that it takes. Outside: nothing happens. */
int mw_draw(const struct mw_canvas *canvas, int y, int x, int width, enum mw_ink ink,
	    const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The same, ending at column X + WIDTH. */
void mw_draw_right(const struct mw_canvas *canvas, int y, int x, int width, enum mw_ink ink,
		   const char *format, ...) __attribute__((format(printf, 6, 7)));

/* A whole row in one ink: the background of a title or a selection. */
void mw_draw_fill(const struct mw_canvas *canvas, int y, enum mw_ink ink);

/* A horizontal rule with TEXT in it. */
void mw_draw_rule(const struct mw_canvas *canvas, int y, enum mw_ink ink, const char *text);

void mw_draw_bar(const struct mw_canvas *canvas, int y, int x, int width, double share,
		 enum mw_ink ink);

/* COUNT values next to each other in WIDTH columns, each with its ink and letter. */
void mw_draw_stack(const struct mw_canvas *canvas, int y, int x, int width, const double *values,
		   const char *letters, size_t count);

/*
 * COUNT (at most MW_GRAPH_MAX) values from LOW to HIGH as an area that fills CANVAS from row Y on:
 * braille with two values a column, without UTF-8 one. NaN is a gap. One row: a sparkline of
 * blocks, one value a column.
 */
enum { MW_GRAPH_MAX = 2048 };
void mw_draw_graph(const struct mw_canvas *canvas, int y, int x, int rows, int width,
		   const double *values, size_t count, double low, double high, enum mw_ink ink);

/* How many values fit into WIDTH columns. */
size_t mw_graph_values(const struct mw_theme *theme, int rows, int width);

#endif

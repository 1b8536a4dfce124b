// SPDX-License-Identifier: GPL-2.0-or-later
/* The help, made from the table of keys; in two columns where they fit. */
#include "tui/view.h"

void mw_help__draw(struct mw_tui *tui, const struct mw_canvas *canvas)
{
	size_t n = mw_keys__count(), columns = canvas->cols >= 144 ? 2 : 1;
	size_t rows = (n + columns - 1) / columns;
	struct mw_cursor *cursor = &tui->help_cursor;
	int width = canvas->cols / (int)columns;

	mw_draw(canvas, 0, 1, canvas->cols, MW_INK_BOLD, "Keys");
	cursor->lines = rows;
	cursor->page = canvas->rows > 2 ? (size_t)canvas->rows - 2 : 1;
	if (cursor->selected + cursor->page > rows)
		cursor->selected = rows > cursor->page ? rows - cursor->page : 0;
	for (size_t i = 0; i < n; i++) {
		size_t row = i % rows, column = i / rows;
		int y = (int)row - (int)cursor->selected + 1, x = (int)column * width + 1;
		const char *shown, *help;

		if (row < cursor->selected || y >= canvas->rows - 1)
			continue;
		mw_keys__at(i, &shown, &help);
		mw_draw(canvas, y, x, 18, MW_INK_BOLD, "%s", shown);
		mw_draw(canvas, y, x + 19, width - 20, MW_INK_PLAIN, "%s", help);
	}
	if (cursor->selected + cursor->page < rows)
		mw_draw(canvas, canvas->rows - 1, 1, canvas->cols, MW_INK_DIM, "Down: more");
}

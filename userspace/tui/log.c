// SPDX-License-Identifier: GPL-2.0-or-later
/* The log panel and the list of events: lines of text, the newest last. */
#include "model/words.h"
#include "tui/view.h"

void mw_log__draw(struct mw_tui *tui, const struct mw_canvas *canvas)
{
	const struct mw_tui_state *state = tui->state;
	size_t rows = (size_t)canvas->rows - 1;
	size_t first = state->log_count > rows ? state->log_count - rows : 0;

	mw_draw_rule(canvas, 0, MW_INK_DIM, "log (L: more, less)");
	for (size_t i = first; i < state->log_count; i++) {
		const struct mw_tui_log_line *line = &state->log[i];

		mw_draw(canvas, (int)(i - first) + 1, 1, canvas->cols,
			line->level == MW_LOG_WARN ? MW_INK_WARN : MW_INK_DIM, "%s", line->text);
	}
}

void mw_events__draw(struct mw_tui *tui, const struct mw_canvas *canvas)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	size_t rows = (size_t)canvas->rows, first;
	char text[256];

	first = t->event_count > rows ? t->event_count - rows : 0;
	for (size_t i = first; i < t->event_count; i++)
		mw_draw(canvas, (int)(i - first), 1, canvas->cols - 1, MW_INK_PLAIN, "+%.3f s  %s",
			t->events[i].elapsed, mw_event_format(text, sizeof(text), &t->events[i]));
}

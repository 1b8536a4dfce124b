// SPDX-License-Identifier: GPL-2.0-or-later
#include <curses.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tui/view.h"

const struct mw_view *const mw_views[MW_VIEWS] = {
	[MW_VIEW_WHY] = &mw_view_why,	    [MW_VIEW_SIZES] = &mw_view_sizes,
	[MW_VIEW_SPLIT] = &mw_view_split,   [MW_VIEW_SITES] = &mw_view_sites,
	[MW_VIEW_LEDGER] = &mw_view_ledger, [MW_VIEW_TIMELINE] = &mw_view_timeline,
};

struct mw_tui *mw_tui__open(struct mw_tui_state *state, const struct mw_tui_options *options,
			    struct mw_err *err)
{
	struct mw_tui *tui = calloc(1, sizeof(*tui));
	int ret;

	if (!tui) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	tui->state = state;
	tui->list = state->target_count > 1;
	tui->log_rows = -1;
	ret = mw_term__open(tui, err);
	if (ret) {
		free(tui);
		errno = -ret;
		return NULL;
	}
	mw_theme__init(&tui->theme, options->color);
	tui->cols = COLS;
	mw_tui__recalc(tui);
	return tui;
}

void mw_tui__close(struct mw_tui *tui)
{
	if (!tui)
		return;
	mw_term__close(tui);
	free(tui->site_lines);
	free(tui->site_list);
	free(tui->open_sites);
	free(tui->site_bases);
	free(tui->owners);
	free(tui->toggled);
	free(tui);
}

size_t mw_tui__target(const struct mw_tui *tui)
{
	return tui->target;
}

void mw_tui__say(struct mw_tui *tui, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(tui->message, sizeof(tui->message), format, ap);
	va_end(ap);
	tui->message_until = tui->state->clock + 6;
}

void mw_tui__recalc(struct mw_tui *tui)
{
	if (mw_views[tui->view]->recalc)
		mw_views[tui->view]->recalc(tui);
}

void mw_tui_window(const struct mw_tui *tui, struct mw_sample *out)
{
	static const struct mw_sample zero;
	const struct mw_tui_target *t = mw_tui_shown(tui);

	mw_sample__difference(out, &t->now, tui->since_baseline ? &t->baseline : &zero);
}

const char *mw_tui_format_rate(char buf[MW_UNIT_BUF], double per_second)
{
	return isnan(per_second) ? "?" : mw_format_count(buf, (uint64_t)(per_second + 0.5));
}

const char *mw_tui_window_words(const struct mw_tui *tui)
{
	return tui->since_baseline ? "since the baseline" : "since attach";
}

void mw_cursor__fit(struct mw_cursor *c, size_t lines, int rows)
{
	c->lines = lines;
	c->page = rows > 1 ? (size_t)rows : 1;
	if (c->selected >= lines)
		c->selected = lines ? lines - 1 : 0;
	if (c->selected < c->top)
		c->top = c->selected;
	if (c->selected >= c->top + c->page)
		c->top = c->selected - c->page + 1;
	if (c->top + c->page > lines)
		c->top = lines > c->page ? lines - c->page : 0;
}

void mw_cursor__move(struct mw_cursor *c, long by)
{
	size_t last = c->lines ? c->lines - 1 : 0;

	if (by < 0)
		c->selected = c->selected > (size_t)-by ? c->selected - (size_t)-by : 0;
	else
		c->selected = last - c->selected > (size_t)by ? c->selected + (size_t)by : last;
}

bool mw_text_matches(const char *text, const char *filter)
{
	return !filter[0] || strcasestr(text, filter);
}

static void draw_bottom(struct mw_tui *tui, const struct mw_canvas *screen)
{
	const struct mw_view *view = mw_views[tui->view];
	int y = screen->rows - 1, x;

	if (tui->typing) {
		mw_draw_fill(screen, y, MW_INK_TITLE);
		mw_draw(screen, y, 0, screen->cols, MW_INK_TITLE,
			" filter: %s_   (Enter keeps it, Esc drops it)", tui->filter);
		return;
	}
	if (tui->message[0] && tui->state->clock < tui->message_until) {
		mw_draw_fill(screen, y, MW_INK_TITLE);
		mw_draw(screen, y, 0, screen->cols, MW_INK_TITLE, " %s", tui->message);
		return;
	}
	x = mw_draw(screen, y, 0, screen->cols, MW_INK_DIM,
		    " q quit  ? help  p pause  r look  b baseline  d %s",
		    tui->since_baseline ? "since attach" : "since baseline");
	if (tui->list)
		x += mw_draw(screen, y, x, screen->cols, MW_INK_DIM, "  Enter show");
	else if (view->sorts)
		x += mw_draw(screen, y, x, screen->cols, MW_INK_DIM, "  s sort: %s",
			     view->sorts[tui->sort[tui->view]]);
	if (tui->filter[0] && !tui->list)
		mw_draw(screen, y, x, screen->cols, MW_INK_WARN, "  filter: %s", tui->filter);
}

static bool draw_too_small(const struct mw_canvas *screen)
{
	if (screen->rows >= MW_MIN_ROWS && screen->cols >= MW_MIN_COLS)
		return false;
	mw_draw(screen, 0, 0, screen->cols, MW_INK_BOLD, "memwhere needs a terminal of %d x %d",
		MW_MIN_COLS, MW_MIN_ROWS);
	mw_draw(screen, 1, 0, screen->cols, MW_INK_PLAIN, "(columns x rows); this is %d x %d.",
		screen->cols, screen->rows);
	mw_draw(screen, 2, 0, screen->cols, MW_INK_PLAIN, "Make it larger, or q to quit.");
	return true;
}

void mw_body__draw(struct mw_tui *tui, const struct mw_canvas *canvas)
{
	if (tui->help)
		mw_help__draw(tui, canvas);
	else if (tui->list)
		mw_targets__draw(tui, canvas);
	else
		mw_views[tui->view]->draw(tui, canvas);
}

/* Rows of the log panel: as the user set it, else the last lines as long as they are new. */
static int log_rows(const struct mw_tui *tui, int rows)
{
	int want = tui->log_rows;

	if (want < 0)
		want = tui->state->log_total > tui->log_seen ? 2 : 0;
	return want > rows / 2 ? rows / 2 : want;
}

void mw_tui__compose(struct mw_tui *tui)
{
	struct mw_canvas screen = {
		.win = stdscr, .theme = &tui->theme, .rows = LINES, .cols = COLS};
	struct mw_canvas part;
	int log;

	/* Text was broken into lines for another width. */
	if (tui->cols != COLS) {
		tui->cols = COLS;
		mw_tui__recalc(tui);
	}
	werase(stdscr);
	if (!draw_too_small(&screen)) {
		log = log_rows(tui, screen.rows - MW_HEADER_ROWS - 1);
		tui->body_y = MW_HEADER_ROWS;
		tui->body_rows = screen.rows - MW_HEADER_ROWS - 1 - log;
		part = mw_canvas_part(&screen, 0, 0, MW_HEADER_ROWS, screen.cols);
		mw_header__draw(tui, &part);
		part = mw_canvas_part(&screen, tui->body_y, 0, tui->body_rows, screen.cols);
		mw_body__draw(tui, &part);
		part = mw_canvas_part(&screen, screen.rows - 1 - log, 0, log, screen.cols);
		if (log)
			mw_log__draw(tui, &part);
		draw_bottom(tui, &screen);
	}
	wnoutrefresh(stdscr);
}

void mw_tui__flush(struct mw_tui *tui)
{
	(void)tui;
	doupdate();
}

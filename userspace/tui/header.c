// SPDX-License-Identifier: GPL-2.0-or-later
/* The head of every view: target, memory and its growth, what watching costs, what was lost. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "model/words.h"
#include "tui/view.h"
#include "util/units.h"

enum { WIDE = 100 }; /* columns that have room for every word */

/* Bytes a second over the last seconds of the timeline; 0 when there is too little of it. */
static double trend_of(const struct mw_tui_target *t, double seconds)
{
	const struct mw_tui_point *last, *first;
	size_t i = t->point_count;

	if (i < 2)
		return 0;
	last = &t->points[--i];
	while (i && last->elapsed - t->points[i - 1].elapsed <= seconds)
		i--;
	first = &t->points[i];
	return last->elapsed > first->elapsed
		       ? (last->rss - first->rss) / (last->elapsed - first->elapsed)
		       : 0;
}

static void format_uptime(char *buf, size_t size, double seconds)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s >= 86400)
		snprintf(buf, size, "%lud %02lu:%02lu:%02lu", s / 86400, s / 3600 % 24, s / 60 % 60,
			 s % 60);
	else
		snprintf(buf, size, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

static void draw_title(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_state *state = tui->state;
	const struct mw_tui_target *t = mw_tui_shown(tui);
	time_t now = (time_t)state->time;
	char clock[16] = "", uptime[32];
	struct tm tm;
	int x;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	format_uptime(uptime, sizeof(uptime), t->uptime);
	mw_draw_fill(c, 0, MW_INK_TITLE);
	if (tui->list)
		x = mw_draw(c, 0, 1, c->cols - 12, MW_INK_TITLE, "memwhere  %zu targets  %s",
			    state->target_count, mw_mode_name(state->mode, &t->now));
	else
		x = mw_draw(c, 0, 1, c->cols - 12, MW_INK_TITLE,
			    "memwhere  %.40s (PID %d)  up %s  %s  every %g s", t->name, t->pid,
			    uptime, mw_mode_name(state->mode, &t->now), state->interval);
	if (state->paused)
		mw_draw(c, 0, x + 2, c->cols - x - 12, MW_INK_TITLE, " PAUSED ");
	mw_draw_right(c, 0, c->cols - 9, 8, MW_INK_TITLE, "%s", clock);
}

/* The last seconds of RSS, one value per sample. */
static void draw_spark(const struct mw_canvas *c, int y, int x, int width,
		       const struct mw_tui_target *t)
{
	double values[64], low = 0, high = 0;
	size_t want = width < 64 ? (size_t)width : 64, n = t->point_count;
	size_t first = n > want ? n - want : 0;

	if (width <= 0)
		return;
	for (size_t i = first; i < n; i++) {
		double v = values[i - first] = t->points[i].rss;

		low = i == first || v < low ? v : low;
		high = i == first || v > high ? v : high;
	}
	mw_draw_graph(c, y, x, 1, width, values, n - first, low, high, MW_INK_BAR);
}

/* Allocations a second; "?": too little was seen, "-": nobody looks. */
static const char *allocation_rate(const struct mw_tui *tui, const struct mw_tui_point *p,
				   char buf[MW_UNIT_BUF])
{
	if (tui->state->mode == MW_MODE_GROWTH)
		return "-";
	return mw_tui_format_rate(buf, p ? p->allocs : 0);
}

static void draw_rates(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_tui_point *p = t->point_count ? &t->points[t->point_count - 1] : NULL;
	double trend = trend_of(t, 10);
	char rss[MW_UNIT_BUF], change[MW_UNIT_BUF], minor[MW_UNIT_BUF], major[MW_UNIT_BUF];
	char allocs[MW_UNIT_BUF];
	int x;

	x = 1 + mw_draw(c, 1, 1, 24, MW_INK_BOLD, "RSS %s", mw_format_size(rss, t->now.rss));
	x += 1 + mw_draw(c, 1, x + 1, 18, trend > 1024 ? MW_INK_WARN : MW_INK_PLAIN, "%s%s/s",
			 trend > 1024	 ? c->theme->glyphs->arrow_up
			 : trend < -1024 ? c->theme->glyphs->arrow_down
					 : "",
			 mw_format_signed_size(change, (int64_t)trend));
	if (x < 30)
		x = 30;
	x += 1 + mw_draw(c, 1, x + 1, c->cols, MW_INK_PLAIN,
			 c->cols < WIDE ? "faults %s/s, %s/s major  allocs %s/s"
					: "faults %s/s minor, %s/s major   allocations %s/s",
			 mw_format_count(minor, (uint64_t)(p ? p->minor : 0)),
			 mw_format_count(major, (uint64_t)(p ? p->major : 0)),
			 allocation_rate(tui, p, allocs));
	draw_spark(c, 1, x + 2, c->cols - x - 3, t);
}

static void draw_cost(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_state *state = tui->state;
	const struct mw_tui_target *t = mw_tui_shown(tui);
	uint64_t lost = mw_counts__lost(&t->now.counts);
	double duty = t->now.governed ? t->now.coverage : 1;
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];
	int x = 1;

	if (state->attaching) {
		mw_draw(c, 2, x, c->cols, MW_INK_WARN, "attaching ...");
		return;
	}
	if (t->cost < 0)
		x += mw_draw(c, 2, x, 40, MW_INK_PLAIN, "no probes");
	else
		x += mw_draw(c, 2, x, 40, t->cost > 10 ? MW_INK_WARN : MW_INK_PLAIN,
			     "cost %.1f %% of its CPU, duty %.*f %%", t->cost, duty < 0.1 ? 1 : 0,
			     100 * duty);
	x += 2;
	if (lost)
		x += mw_draw(c, 2, x, 30, MW_INK_BAD, "lost %s", mw_format_count(a, lost));
	else
		x += mw_draw(c, 2, x, 30, MW_INK_PLAIN, "lost 0");
	if (t->now.governed && t->now.system_calls_seen < MW_SYSTEM_CALLS_ALL)
		x += mw_draw(c, 2, x + 2, 40, MW_INK_PLAIN, "system calls %.0f %% seen",
			     100 * t->now.system_calls_seen) +
		     2;
	if (mw_tui_is_too_little(&t->now))
		x += mw_draw(c, 2, x + 2, c->cols, MW_INK_PLAIN,
			     t->now.least > 0 && c->cols >= WIDE
				     ? "too little seen yet, at least %s/s of its CPU time"
				     : "too little seen yet",
			     mw_format_count(a, (uint64_t)t->now.least)) +
		     2;
	else if (mw_tui_is_estimate(&t->now))
		x += mw_draw(c, 2, x + 2, c->cols, MW_INK_PLAIN,
			     "estimated from %zu windows, %s%.1f %%", t->now.windows,
			     c->theme->utf8 ? "±" : "+-", 196 * t->now.error) +
		     2;
	else if (state->mode == MW_MODE_EXACT)
		x += mw_draw(c, 2, x + 2, c->cols, MW_INK_PLAIN, "outstanding %s blocks, %s",
			     mw_format_count(a, t->now.outstanding_count),
			     mw_format_size(b, t->now.outstanding_bytes)) +
		     2;
	if (t->now.processes > 1)
		mw_draw(c, 2, x + 2, c->cols, MW_INK_PLAIN, "%zu processes", t->now.processes);
}

static void draw_tabs(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	int x = 1;

	if (tui->list) {
		mw_draw(c, 3, 1, c->cols, MW_INK_TAB, " Targets ");
		for (int i = 0; i <= MW_VIEWS; i++)
			tui->tab_x[i] = c->cols;
		return;
	}
	for (int i = 0; i < MW_VIEWS; i++) {
		tui->tab_x[i] = x;
		x += mw_draw(c, 3, x, c->cols,
			     i == (int)tui->view && !tui->help ? MW_INK_TAB : MW_INK_DIM, " %d %s ",
			     i, mw_views[i]->name) +
		     1;
	}
	tui->tab_x[MW_VIEWS] = x;
	if (t->now.ended)
		mw_draw_right(c, 3, x + 1, c->cols - x - 2, MW_INK_BAD, " ended after %.1f s ",
			      t->ended_at);
	else
		mw_draw_right(c, 3, x + 1, c->cols - x - 2, MW_INK_DIM, "%s",
			      mw_tui_window_words(tui));
}

void mw_header__draw(struct mw_tui *tui, const struct mw_canvas *canvas)
{
	draw_title(tui, canvas);
	if (!tui->list) {
		draw_rates(tui, canvas);
		draw_cost(tui, canvas);
	}
	draw_tabs(tui, canvas);
}

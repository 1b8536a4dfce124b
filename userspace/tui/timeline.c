// SPDX-License-Identifier: GPL-2.0-or-later
/* Timeline: memory, faults and events of the last minutes. */
#include <math.h>
#include <stdio.h>

#include "model/words.h"
#include "tui/view.h"
#include "util/units.h"

enum { LABELS = 22 }; /* columns left of the graphs */

static double rss_of(const struct mw_tui_point *p)
{
	return p->rss;
}
static double brk_of(const struct mw_tui_point *p)
{
	return p->brk;
}
static double mmapped_of(const struct mw_tui_point *p)
{
	return p->mmapped;
}
static double faults_of(const struct mw_tui_point *p)
{
	return p->minor + p->major;
}
static double allocs_of(const struct mw_tui_point *p)
{
	return p->allocs;
}

static const struct track {
	const char *name, *unit;
	double (*value)(const struct mw_tui_point *p);
	bool bytes, change, from_zero;
} tracks[] = {
	{"RSS", "", rss_of, true, false, false},
	{"brk heap", "since attach", brk_of, true, true, false},
	{"mmapped", "since attach", mmapped_of, true, true, false},
	{"page faults", "a second", faults_of, false, false, true},
	{"allocations", "a second", allocs_of, false, false, true},
};
enum { TRACKS = sizeof(tracks) / sizeof(tracks[0]) };

static void format_value(const struct track *track, char *buf, double value)
{
	char rate[MW_UNIT_BUF];

	if (track->change)
		mw_format_signed_size(buf, (int64_t)value);
	else if (track->bytes)
		mw_format_size(buf, value > 0 ? (uint64_t)value : 0);
	else
		snprintf(buf, MW_UNIT_BUF, "%s", mw_tui_format_rate(rate, value));
}

/*
 * The time that the graphs cover: all that is kept, but at least 10 s, so that it begins to move.
 */
static void span_of(const struct mw_tui_target *t, double *from, double *to)
{
	*to = t->point_count ? t->points[t->point_count - 1].elapsed : 0;
	*from = t->point_count ? t->points[0].elapsed : 0;
	if (*to - *from < 10)
		*to = *from + 10;
}

/*
 * VALUES of a track at N even steps of the span: the largest in each step, else the one before. NaN
 * before the first.
 */
static void sample_track(const struct mw_tui_target *t, const struct track *track, double from,
			 double to, double *values, size_t n)
{
	double step = (to - from) / (double)n, value = NAN;
	size_t i = 0;

	for (size_t k = 0; k < n; k++) {
		double until = k + 1 == n ? to + 1 : from + step * (double)(k + 1);
		bool any = false;

		for (; i < t->point_count && t->points[i].elapsed < until; i++) {
			double v = track->value(&t->points[i]);

			value = any && value > v ? value : v;
			any = true;
		}
		values[k] = i < t->point_count || any ? value : NAN;
	}
}

static void draw_track(const struct mw_tui_target *t, const struct mw_canvas *c, int y, int rows,
		       unsigned int k, double from, double to)
{
	const struct track *track = &tracks[k];
	double values[MW_GRAPH_MAX], low = INFINITY, high = -INFINITY;
	size_t n = mw_graph_values(c->theme, rows, c->cols - LABELS - 1);
	char now[MW_UNIT_BUF], least[MW_UNIT_BUF], most[MW_UNIT_BUF];

	sample_track(t, track, from, to, values, n);
	for (size_t i = 0; i < n; i++) {
		if (isnan(values[i]))
			continue;
		low = fmin(low, values[i]);
		high = fmax(high, values[i]);
	}
	if (!(high >= low))
		low = high = 0;
	if (track->from_zero)
		low = 0;
	format_value(track, now, t->point_count ? track->value(&t->points[t->point_count - 1]) : 0);
	format_value(track, least, low);
	format_value(track, most, high);
	mw_draw(c, y, 1, LABELS - 2, MW_INK_BOLD, "%-11s %s", track->name, rows > 1 ? "" : now);
	if (rows > 1)
		mw_draw(c, y + 1, 1, LABELS - 2, MW_INK_PLAIN, " %s", now);
	if (rows > 2)
		mw_draw(c, y + 2, 1, LABELS - 2, MW_INK_DIM, " %s", track->unit);
	/* The scale's ends, where there is room for them. */
	if (rows > 3) {
		mw_draw_right(c, y, LABELS - 12, 11, MW_INK_DIM, "%s", most);
		mw_draw_right(c, y + rows - 1, LABELS - 12, 11, MW_INK_DIM, "%s", least);
	}
	mw_draw_graph(c, y, LABELS, rows, c->cols - LABELS - 1, values, n, low, high,
		      MW_INK_PART + k);
}

/* A letter for each event below its time; a later one hides an earlier one in the same column. */
static void draw_marks(const struct mw_tui_target *t, const struct mw_canvas *c, int y, double from,
		       double to)
{
	static const char letters[] = "TFXEA";
	int width = c->cols - LABELS - 1;

	mw_draw(c, y, 1, LABELS - 2, MW_INK_BOLD, "events");
	for (size_t i = 0; i < t->event_count; i++) {
		const struct mw_event *e = &t->events[i];
		int x = (int)((e->elapsed - from) / (to - from) * width);

		if (e->elapsed < from || x >= width)
			continue;
		mw_draw(c, y, LABELS + x, 1, MW_INK_RULE, "%c", letters[e->kind]);
	}
	for (size_t i = 0; i < t->sites.suspect_count; i++) {
		double when = t->sites.suspects[i].first_seen;
		int x = (int)((when - from) / (to - from) * width);

		if (when >= from && x < width)
			mw_draw(c, y, LABELS + x, 1, MW_INK_BAD, "%s", c->theme->glyphs->suspect);
	}
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	int tracks_shown = tui->state->mode == MW_MODE_GROWTH ? TRACKS - 1 : TRACKS;
	int events = t->event_count < 3 ? 3 : (int)t->event_count, rows, y = 0;
	double from, to;
	struct mw_canvas list;
	char span[MW_UNIT_BUF];

	/* Events get a fifth of the rows at most, graphs the rest. */
	events = events < c->rows / 5 ? events : c->rows / 5;
	rows = (c->rows - events - 3) / tracks_shown;
	if (rows < 1)
		rows = 1;
	span_of(t, &from, &to);
	for (int k = 0; k < tracks_shown; k++, y += rows)
		draw_track(t, c, y, rows, (unsigned int)k, from, to);
	draw_marks(t, c, y++, from, to);
	mw_draw(c, y, LABELS, 30, MW_INK_DIM, "+%.0f s", from);
	mw_draw_right(c, y++, c->cols - 31, 30, MW_INK_DIM, "+%.0f s", to);
	mw_draw(c, y - 1, 1, LABELS - 2, MW_INK_DIM, "%s",
		mw_format_duration(span, (uint64_t)((to - from) * 1e9)));
	mw_draw_rule(c, y++, MW_INK_DIM, "T threshold, F fork, X exec, E exit, A allocator loaded");
	list = mw_canvas_part(c, y, 0, c->rows - y, c->cols);
	mw_events__draw(tui, &list);
}

static json_t *json(struct mw_tui *tui)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *points = json_array(), *events = json_array();
	char text[256];

	for (size_t i = 0; i < t->point_count; i++) {
		const struct mw_tui_point *p = &t->points[i];

		json_array_append_new(
			points,
			json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:o}", "elapsed_seconds", p->elapsed,
				  "rss_bytes", p->rss, "brk_bytes", p->brk, "mmapped_bytes",
				  p->mmapped, "minor_faults_per_second", p->minor,
				  "major_faults_per_second", p->major, "allocs_per_second",
				  isnan(p->allocs) ? json_null() : json_real(p->allocs)));
	}
	for (size_t i = 0; i < t->event_count; i++)
		json_array_append_new(
			events,
			json_pack("{s:f,s:s}", "elapsed_seconds", t->events[i].elapsed, "text",
				  mw_event_format(text, sizeof(text), &t->events[i])));
	return json_pack("{s:o,s:o}", "points", points, "events", events);
}

const struct mw_view mw_view_timeline = {.name = "Timeline", .draw = draw, .json = json};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Split: resident memory by kind, with its history. */
#include <string.h>

#include "model/words.h"
#include "tui/view.h"
#include "util/units.h"

static const char letters[] = "BTMPo";

static uint64_t sum_of(const uint64_t *parts)
{
	uint64_t sum = 0;

	for (int i = 0; i < MW_SPLIT_PARTS; i++)
		sum += parts[i];
	return sum;
}

/* The history of PART, oldest first, as many values as there are columns for. */
static void draw_history(const struct mw_canvas *c, int y, int x, int width,
			 const struct mw_tui_target *t, unsigned int part)
{
	double values[MW_GRAPH_MAX], high = 0;
	size_t want = mw_graph_values(c->theme, 1, width), n = t->split_count;
	size_t first = n > want ? n - want : 0;

	for (size_t i = first; i < n; i++) {
		values[i - first] = (double)t->splits[i].parts[part];
		high = values[i - first] > high ? values[i - first] : high;
	}
	if (high > 0)
		mw_draw_graph(c, y, x, 1, width, values, n - first, 0, high, MW_INK_PART + part);
}

static void draw_placement(struct mw_tui *tui, const struct mw_canvas *c, int y)
{
	struct mw_sample window;
	struct mw_cell all;

	if (tui->state->mode != MW_MODE_EXACT)
		return;
	mw_tui_window(tui, &window);
	all = mw_counts__alloc(&window.counts);
	mw_draw_rule(c, y++, MW_INK_DIM, "where requests were placed");
	if (mw_tui_is_too_little(&mw_tui_shown(tui)->now)) {
		mw_draw(c, y, 1, c->cols, MW_INK_DIM, "  too little seen yet");
		return;
	}
	mw_draw(c, y++, 1, c->cols, MW_INK_DIM, "  %-16s %11s %7s %10s", "", "bytes", "",
		"requests");
	for (unsigned int p = 0; p < MW_PLACES; p++) {
		struct mw_cell at = mw_counts__alloc_at(&window.counts, p);
		double share = all.bytes ? (double)at.bytes / (double)all.bytes : 0;
		char bytes[MW_UNIT_BUF], count[MW_UNIT_BUF];

		mw_draw(c, y, 1, c->cols, at.count ? MW_INK_PLAIN : MW_INK_DIM,
			"  %-16s %11s %5.1f %% %10s", mw_place_label(p),
			mw_format_size(bytes, at.bytes), 100 * share,
			mw_format_count(count, at.count));
		mw_draw_bar(c, y++, 52, c->cols - 53, share, MW_INK_BAR);
	}
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_tui_survey *survey = &t->survey;
	const struct mw_tui_survey *base =
		tui->since_baseline ? &t->baseline_survey : &t->first_survey;
	double values[MW_SPLIT_PARTS];
	uint64_t sum = sum_of(survey->parts);
	char size[MW_UNIT_BUF], change[MW_UNIT_BUF];
	int y = 4;

	if (!survey->known) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN, "%s",
			t->survey_problem[0] ? t->survey_problem : "reading the process ...");
		draw_placement(tui, c, 3);
		return;
	}
	for (int i = 0; i < MW_SPLIT_PARTS; i++)
		values[i] = (double)survey->parts[i];
	mw_draw(c, 0, 1, c->cols, MW_INK_DIM, "resident %s, looked %.0f s ago (r: now)%s%s",
		mw_format_size(size, sum), mw_tui_age(t, survey->elapsed),
		survey->note[0] ? "; " : "", survey->note);
	mw_draw_stack(c, 1, 1, c->cols - 2, values, letters, MW_SPLIT_PARTS);
	mw_draw(c, 3, 1, c->cols, MW_INK_DIM, "  %-16s %11s %7s %12s  %s", "", "resident", "",
		"change", "history");
	for (unsigned int i = 0; i < MW_SPLIT_PARTS; i++, y++) {
		mw_draw(c, y, 1, 2, MW_INK_PART + i, "%s",
			c->theme->color && c->theme->utf8 ? "█" : (char[2]){letters[i]});
		mw_draw(c, y, 3, c->cols, MW_INK_PLAIN, "%-16s %11s %5.1f %% %12s",
			mw_split_name(i), mw_format_size(size, survey->parts[i]),
			sum ? 100 * values[i] / (double)sum : 0,
			base->known ? mw_format_signed_size(
					      change, (int64_t)(survey->parts[i] - base->parts[i]))
				    : "");
		draw_history(c, y, 53, c->cols - 54, t, i);
	}
	draw_placement(tui, c, y + 1);
}

static json_t *json(struct mw_tui *tui)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *list = json_array();

	for (unsigned int i = 0; t->survey.known && i < MW_SPLIT_PARTS; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:I}", "part", mw_split_name(i),
						"resident_bytes", (json_int_t)t->survey.parts[i]));
	return json_pack("{s:o,s:f}", "split", list, "looked_at_seconds", t->survey.elapsed);
}

const struct mw_view mw_view_split = {.name = "Split", .draw = draw, .json = json};

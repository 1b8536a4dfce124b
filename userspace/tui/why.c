// SPDX-License-Identifier: GPL-2.0-or-later
/* Why: what the memory is, what grows, and the causes; Enter leads to the view that shows more. */
#include <stdio.h>
#include <stdlib.h>

#include "tui/view.h"
#include "util/array.h"
#include "util/text.h"
#include "util/units.h"

enum { SHARES_SHOWN = 6, INDENT = 3 };

/* Which view shows more of a cause. */
static enum mw_view_id view_of(const struct mw_cause *cause)
{
	if (cause->site)
		return MW_VIEW_SITES;
	switch (cause->id) {
	case MW_CAUSE_PYTHON_OBJECTS:
	case MW_CAUSE_NATIVE_LIVE:
		return MW_VIEW_SITES;
	case MW_CAUSE_GLIBC_THRESHOLD:
		return MW_VIEW_SIZES;
	case MW_CAUSE_GLIBC_ARENAS:
	case MW_CAUSE_GLIBC_FREE:
		return MW_VIEW_SPLIT;
	case MW_CAUSE_STEADY:
		return MW_VIEW_TIMELINE;
	default:
		return MW_VIEW_LEDGER;
	}
}

/* Returns the next row. */
static int draw_shares(const struct mw_canvas *c, const struct mw_facts *f)
{
	enum mw_share order[MW_SHARES];
	int y = 1;

	mw_moment__rank(&f->now, order);
	for (int i = 0; i < SHARES_SHOWN && y < c->rows; i++) {
		uint64_t bytes = f->now.shares[order[i]], before = f->before.shares[order[i]];
		double share = f->now.resident ? (double)bytes / (double)f->now.resident : 0;
		char size[MW_UNIT_BUF], change[MW_UNIT_BUF] = "";

		if (!bytes)
			break;
		if (f->seconds > 0 && bytes != before)
			mw_format_signed_size(change, (int64_t)(bytes - before));
		mw_draw(c, y, 1, c->cols, MW_INK_PLAIN, "%4.0f %% %10s  %-34s %12s", 100 * share,
			mw_format_size(size, bytes), mw_share_name(order[i]), change);
		mw_draw_bar(c, y++, 68, c->cols - 69, share, MW_INK_BAR);
	}
	return y;
}

/* TEXT broken into lines from row Y on; returns the next row. */
static int draw_text(const struct mw_canvas *c, int y, int indent, const char *mark,
		     const char *text, enum mw_ink ink)
{
	int len;

	while (*text && y < c->rows) {
		const char *next = mw_text_break(text, c->cols - indent - 1, &len);

		mw_draw(c, y, indent - 3, 3, ink, "%s", mark);
		mw_draw(c, y++, indent, c->cols - indent, ink, "%.*s", len, text);
		mark = "";
		text = next;
	}
	return y;
}

static int draw_cause(const struct mw_canvas *c, int y, const struct mw_cause *cause, size_t nth,
		      bool selected)
{
	char text[MW_CAUSE_SENTENCE], mark[32];

	snprintf(mark, sizeof(mark), "%s%zu", selected ? c->theme->glyphs->closed : " ", nth + 1);
	y = draw_text(c, y, INDENT, mark, mw_cause_sentence(text, cause),
		      nth ? MW_INK_PLAIN : MW_INK_BOLD);
	for (size_t i = 0; selected && i < cause->evidence_count; i++)
		y = draw_text(c, y, INDENT + 3, " - ", cause->evidence[i], MW_INK_DIM);
	return selected ? draw_text(c, y, INDENT + 3, "", mw_cause_advice(text, cause), MW_INK_GOOD)
			: y;
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_diagnosis *d = &t->diagnosis;
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_WHY];
	char pace[MW_CAUSE_SENTENCE];
	int y;

	if (!t->moment_count) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN, "%s",
			t->survey_problem[0] ? t->survey_problem : "reading the process ...");
		return;
	}
	mw_draw(c, 0, 1, c->cols, MW_INK_DIM, "%s", mw_diagnosis_pace(pace, &t->facts, d));
	mw_draw_right(c, 0, c->cols - 30, 29, MW_INK_DIM, "looked %.0f s ago, r: now",
		      mw_tui_age(t, t->moments[t->moment_count - 1].elapsed));
	y = draw_shares(c, &t->facts) + 1;
	mw_cursor__fit(cursor, d->count, c->rows);
	for (size_t i = 0; i < d->count && y < c->rows; i++)
		y = draw_cause(c, y, &d->causes[i], i, i == cursor->selected) + 1;
	if (!d->count)
		draw_text(c, y, INDENT, "",
			  t->facts.seconds > 0 ? d->verdict : "watching what grows ...",
			  MW_INK_PLAIN);
}

static void toggle(struct mw_tui *tui, int how)
{
	const struct mw_diagnosis *d = &mw_tui_shown(tui)->diagnosis;
	size_t selected = tui->cursor[MW_VIEW_WHY].selected;

	if (how >= 0 && selected < d->count)
		tui->view = view_of(&d->causes[selected]);
}

static json_t *json(struct mw_tui *tui)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *causes = json_array(), *shares = json_array();

	for (int i = 0; t->moment_count && i < MW_SHARES; i++)
		json_array_append_new(shares,
				      json_pack("{s:s,s:I}", "share", mw_share_name(i), "bytes",
						(json_int_t)t->facts.now.shares[i]));
	for (size_t i = 0; i < t->diagnosis.count; i++) {
		const struct mw_cause *cause = &t->diagnosis.causes[i];

		json_array_append_new(causes,
				      json_pack("{s:s,s:I,s:f,s:f,s:s}", "cause",
						mw_cause_name(cause->id), "bytes",
						(json_int_t)cause->bytes, "bytes_per_second",
						cause->bytes_per_second, "confidence",
						cause->confidence, "text", cause->text));
	}
	return json_pack("{s:o,s:o,s:f}", "shares", shares, "causes", causes, "seconds",
			 t->facts.seconds);
}

const struct mw_view mw_view_why = {.name = "Why", .draw = draw, .toggle = toggle, .json = json};

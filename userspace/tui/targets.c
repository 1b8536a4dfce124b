// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of several targets: names, resident size, growth. */
#include "tui/view.h"
#include "util/units.h"

void mw_targets__draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	struct mw_tui_state *state = tui->state;
	struct mw_cursor *cursor = &tui->list_cursor;

	int width = c->cols >= 100 ? 30 : 14;

	mw_draw(c, 0, 1, c->cols, MW_INK_DIM, "%8s  %-*s %10s %12s %8s %11s", "PID", width, "name",
		"RSS", "since attach", "allocs/s", "outstanding");
	mw_cursor__fit(cursor, state->target_count, c->rows - 1);
	for (size_t i = cursor->top; i < state->target_count; i++) {
		const struct mw_tui_target *t = &state->targets[i];
		const struct mw_tui_point *p =
			t->point_count ? &t->points[t->point_count - 1] : NULL;
		char rss[MW_UNIT_BUF], grown[MW_UNIT_BUF], rate[MW_UNIT_BUF], live[MW_UNIT_BUF];
		int y = (int)(i - cursor->top) + 1;
		enum mw_ink ink = i == cursor->selected ? MW_INK_SELECTED : MW_INK_PLAIN;

		if (y >= c->rows)
			break;
		mw_draw_fill(c, y, ink);
		mw_draw(c, y, 1, 9, ink, "%8d", t->pid);
		mw_draw(c, y, 11, width, ink, "%s", t->name);
		mw_draw(c, y, 12 + width, c->cols, ink, "%10s %12s %8s %11s  %s",
			mw_format_size(rss, t->now.rss),
			mw_format_signed_size(grown, (int64_t)(t->now.rss - t->rss_first)),
			mw_tui_format_rate(rate, p ? p->allocs : 0),
			mw_tui_is_estimate(&t->now)
				? "-"
				: mw_format_size(live, t->now.outstanding_bytes),
			t->now.ended ? "ended" : "");
	}
}

json_t *mw_targets__json(struct mw_tui *tui)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tui->state->target_count; i++) {
		const struct mw_tui_target *t = &tui->state->targets[i];

		json_array_append_new(
			list,
			json_pack("{s:i,s:s,s:I,s:I,s:I,s:b}", "pid", (int)t->pid, "name", t->name,
				  "rss_bytes", (json_int_t)t->now.rss, "rss_change_bytes",
				  (json_int_t)(t->now.rss - t->rss_first), "outstanding_bytes",
				  (json_int_t)t->now.outstanding_bytes, "ended", t->now.ended));
	}
	return json_pack("{s:o}", "targets", list);
}

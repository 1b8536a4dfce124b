// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes: requests by size, with the mmap threshold as a rule across. */
#include <inttypes.h>
#include <stdio.h>

#include "model/words.h"
#include "tui/view.h"
#include "util/units.h"

enum { BY_COUNT, BY_BYTES, BY_OUTSTANDING, BY_RATE };
static const char *const sorts[] = {"count", "bytes", "outstanding", "rate", NULL};

struct row {
	char label[48];
	uint64_t end;	     /* the largest request that it holds */
	struct mw_cell all;  /* in the window */
	struct mw_cell live; /* outstanding, of those allocated since attach */
	uint64_t recent;     /* in the last interval */
	double seen; /* allocations behind the counts; fewer than those when they are estimates */
};

enum { ROWS_MAX = MW_CLASSES };

static double measure(const struct row *row, unsigned int by)
{
	return (double)(by == BY_BYTES	       ? row->all.bytes
			: by == BY_OUTSTANDING ? row->live.bytes
			: by == BY_RATE	       ? row->recent
					       : row->all.count);
}

/* Rows from the first to the last that has anything. Returns how many. */
static size_t make_rows(const struct mw_tui *tui, struct row *rows)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	struct mw_sample window, recent;
	size_t n = tui->fine ? MW_CLASSES : MW_SIZE_ROWS, first = n, last = 0;

	mw_tui_window(tui, &window);
	mw_sample__difference(&recent, &t->now, &t->last);
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct row){.end = mw_size_row_end((unsigned int)i)};
	for (unsigned int class = 0; class < MW_CLASSES; class ++) {
		struct mw_cell all = mw_counts__alloc_class(&window.counts, class);
		struct mw_cell born = mw_counts__alloc_class(&t->now.counts, class);
		const struct mw_cell *freed = &t->now.counts.freed[class];
		size_t k = tui->fine ? class : mw_size_row(class);
		struct row *row = &rows[k];
		uint64_t low;

		if (tui->fine)
			mw_class_bounds(class, &low, &row->end);
		row->all.count += all.count;
		row->all.bytes += all.bytes;
		row->live.count += born.count > freed->count ? born.count - freed->count : 0;
		row->live.bytes += born.bytes > freed->bytes ? born.bytes - freed->bytes : 0;
		row->seen += (double)t->now.seen[class];
		row->recent += mw_counts__alloc_class(&recent.counts, class).count;
		if (born.count && k < first)
			first = k;
		if (born.count && k > last)
			last = k;
	}
	if (first == n)
		return 0;
	for (size_t k = first; k <= last; k++) {
		struct row *row = &rows[k - first];

		*row = rows[k];
		if (!tui->fine)
			mw_size_row_label(row->label, sizeof(row->label), (unsigned int)k);
		else if (row->end <= MW_CLASS_FINE_MAX)
			snprintf(row->label, sizeof(row->label), "%" PRIu64 " B", row->end);
		else
			mw_size_row_label(row->label, sizeof(row->label),
					  mw_size_row((unsigned int)k));
	}
	return last - first + 1;
}

/* Under a budget not every block's allocation and free are seen. */
static bool knows_outstanding(const struct mw_tui *tui)
{
	return tui->state->mode == MW_MODE_EXACT && !mw_tui_is_estimate(&mw_tui_shown(tui)->now);
}

static void draw_head(const struct mw_tui *tui, const struct mw_canvas *c)
{
	bool exact = knows_outstanding(tui);

	mw_draw(c, 0, 1, c->cols, MW_INK_DIM, "%19s %9s %9s %10s  %s", "size", "rate/s", "count",
		"bytes", exact ? "outstanding" : "");
}

static void draw_row(const struct mw_tui *tui, const struct mw_canvas *c, int y,
		     const struct row *row, double span, double largest)
{
	char count[MW_UNIT_BUF], bytes[MW_UNIT_BUF], live[MW_UNIT_BUF], rate[MW_UNIT_BUF];
	bool exact = knows_outstanding(tui);
	bool rough = mw_tui_is_estimate(&mw_tui_shown(tui)->now) && row->seen < 30;
	enum mw_ink ink = row->all.count && !rough ? MW_INK_PLAIN : MW_INK_DIM;
	int x = exact ? 66 : 53;

	mw_draw(c, y, 1, c->cols, ink, "%19s %9s %9s %10s%s", row->label,
		mw_format_count(rate, (uint64_t)((double)row->recent / span + 0.5)),
		mw_format_count(count, row->all.count), mw_format_size(bytes, row->all.bytes),
		rough && row->all.count ? " ~" : "");
	if (exact)
		mw_draw(c, y, 52, c->cols, ink, "%12s",
			row->live.count ? mw_format_size(live, row->live.bytes) : "-");
	if (largest > 0)
		mw_draw_bar(c, y, x, c->cols - x - 1,
			    measure(row, tui->sort[MW_VIEW_SIZES]) / largest, MW_INK_BAR);
}

static void threshold_text(const struct mw_tui_target *t, char *buf, size_t size)
{
	char now[MW_UNIT_BUF], old[MW_UNIT_BUF], by[64];

	mw_format_size(now, t->now.mmap_threshold);
	for (size_t i = t->event_count; i--;) {
		const struct mw_event *e = &t->events[i];

		if (e->kind != MW_EVENT_THRESHOLD)
			continue;
		snprintf(buf, size, "mmap threshold %s, at +%.1f s from %s %s", now, e->elapsed,
			 mw_format_size(old, e->old_value),
			 mw_threshold_cause_format(by, sizeof(by), e));
		return;
	}
	snprintf(buf, size, "mmap threshold %s, %s", now,
		 t->now.threshold_dynamic ? "dynamic" : "fixed");
}

static void draw_rows(struct mw_tui *tui, const struct mw_canvas *c, const struct row *rows,
		      size_t n)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_SIZES];
	double largest = 0, span = t->now.elapsed - t->last.elapsed;
	bool ruled = !t->now.threshold_known || !t->now.mmap_threshold;
	char text[200];
	int y = 1, rows_left = c->rows - 1 - !ruled;

	for (size_t i = 0; i < n; i++) {
		double m = measure(&rows[i], tui->sort[MW_VIEW_SIZES]);

		largest = m > largest ? m : largest;
	}
	threshold_text(t, text, sizeof(text));
	/* No row is selected here: the cursor only scrolls. */
	cursor->lines = n;
	cursor->page = rows_left > 0 ? (size_t)rows_left : 1;
	if (cursor->selected + cursor->page > n)
		cursor->selected = n > cursor->page ? n - cursor->page : 0;
	cursor->top = cursor->selected;
	for (size_t i = cursor->top; i < n && y < c->rows; i++) {
		/* Below the rule are the rows with requests that may get mappings of their own. */
		if (!ruled && rows[i].end >= t->now.mmap_threshold) {
			mw_draw_rule(c, y++, MW_INK_RULE, text);
			ruled = true;
		}
		draw_row(tui, c, y++, &rows[i], span > 0 ? span : 1, largest);
	}
	if (!ruled && y < c->rows)
		mw_draw_rule(c, y, MW_INK_RULE, text);
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	struct row rows[ROWS_MAX];
	size_t n;

	if (tui->state->mode == MW_MODE_GROWTH) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN,
			"This mode has no probes in the allocator, so no sizes: --mode sizes or exact has.");
		return;
	}
	n = make_rows(tui, rows);
	draw_head(tui, c);
	if (n)
		draw_rows(tui, c, rows, n);
	else if (!tui->state->attaching)
		mw_draw(c, 1, 1, c->cols, MW_INK_DIM, "%19s",
			mw_tui_is_too_little(&mw_tui_shown(tui)->now) ? "too little seen yet"
								      : "no request yet");
}

static json_t *json(struct mw_tui *tui)
{
	struct row rows[ROWS_MAX];
	size_t n = tui->state->mode == MW_MODE_GROWTH ? 0 : make_rows(tui, rows);
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "size", rows[i].label,
						"calls", (json_int_t)rows[i].all.count, "bytes",
						(json_int_t)rows[i].all.bytes, "recent_calls",
						(json_int_t)rows[i].recent, "outstanding_count",
						(json_int_t)rows[i].live.count, "outstanding_bytes",
						(json_int_t)rows[i].live.bytes));
	return json_pack("{s:o,s:I,s:b}", "sizes", list, "mmap_threshold",
			 (json_int_t)t->now.mmap_threshold, "threshold_dynamic",
			 t->now.threshold_dynamic);
}

const struct mw_view mw_view_sizes = {.name = "Sizes", .sorts = sorts, .draw = draw, .json = json};

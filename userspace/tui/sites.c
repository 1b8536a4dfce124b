// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sites: the stacks that asked for memory, which can be opened; leak suspects are marked.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view.h"
#include "util/array.h"
#include "util/units.h"

enum { BY_OUTSTANDING, BY_GROWTH, BY_RATE, BY_BYTES, BY_FAULTS };
static const char *const sorts[] = {"outstanding", "growth", "rate", "bytes", "faults", NULL};

/* What a line shows: since attach, or the change since the baseline. */
struct shown {
	double outstanding, growth, rate, bytes, faults;
};

static struct shown shown_of(const struct mw_tui *tui, const struct mw_tui_site *site)
{
	struct shown v = {
		.outstanding = site->outstanding,
		.growth = site->growth,
		.rate = site->rate,
		.bytes = site->bytes,
		.faults = site->faults,
	};

	if (tui->since_baseline && site->id < tui->base_count) {
		const struct mw_site_base *base = &tui->site_bases[site->id];

		v.outstanding -= base->outstanding;
		v.growth -= base->growth;
		v.bytes -= base->bytes;
		v.faults -= base->faults;
	}
	return v;
}

void mw_sites__set_baseline(struct mw_tui *tui)
{
	const struct mw_tui_sites *sites = &mw_tui_shown(tui)->sites;
	size_t n = 0, capacity = 0;

	free(tui->site_bases);
	tui->site_bases = NULL;
	tui->base_count = 0;
	for (size_t i = 0; i < sites->count; i++)
		n = sites->list[i].id >= n ? sites->list[i].id + 1 : n;
	if (!n || mw_array_reserve(&tui->site_bases, &capacity, n, sizeof(*tui->site_bases)))
		return;
	memset(tui->site_bases, 0, n * sizeof(*tui->site_bases));
	tui->base_count = n;
	for (size_t i = 0; i < sites->count; i++) {
		const struct mw_tui_site *site = &sites->list[i];

		tui->site_bases[site->id] = (struct mw_site_base){
			.outstanding = site->outstanding,
			.growth = site->growth,
			.bytes = site->bytes,
			.faults = site->faults,
		};
	}
}

static double key_of(const struct mw_tui *tui, const struct mw_tui_site *site)
{
	struct shown v = shown_of(tui, site);

	switch (tui->sort[MW_VIEW_SITES]) {
	case BY_GROWTH:
		return v.growth;
	case BY_RATE:
		return v.rate;
	case BY_BYTES:
		return v.bytes;
	case BY_FAULTS:
		return v.faults;
	default:
		return v.outstanding;
	}
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct mw_tui_site *const *x = a, *const *y = b;
	double kx = key_of(arg, *x), ky = key_of(arg, *y);

	/* When nothing is known to be outstanding, sort by growth, then by bytes. */
	if (kx == ky) {
		kx = (*x)->growth;
		ky = (*y)->growth;
	}
	if (kx == ky) {
		kx = (*x)->bytes;
		ky = (*y)->bytes;
	}
	return kx < ky ? 1 : kx > ky ? -1 : (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

static bool is_wanted(const struct mw_tui_site *site, const char *filter)
{
	char text[512];

	for (uint32_t i = 0; filter[0] && i < site->frame_count; i++) {
		if (mw_text_matches(mw_frame_format(&site->frames[i], text, sizeof(text)), filter))
			return true;
	}
	return !filter[0];
}

static bool is_open(const struct mw_tui *tui, uint32_t id)
{
	for (size_t i = 0; i < tui->open_count; i++) {
		if (tui->open_sites[i] == id)
			return true;
	}
	return false;
}

static const struct mw_tui_suspect *suspect_of(const struct mw_tui *tui, uint32_t id)
{
	const struct mw_tui_sites *sites = &mw_tui_shown(tui)->sites;

	for (size_t i = 0; i < sites->suspect_count; i++) {
		if (sites->suspects[i].site == id)
			return &sites->suspects[i];
	}
	return NULL;
}

static void add_line(struct mw_tui *tui, const struct mw_tui_site *site, int frame)
{
	if (mw_array_reserve(&tui->site_lines, &tui->site_line_capacity, tui->site_line_count + 1,
			     sizeof(*tui->site_lines)))
		return;
	tui->site_lines[tui->site_line_count++] = (struct mw_site_line){site, site->id, frame};
}

enum { INDENT = 4, SENTENCE_LINES = 8 };

/*
 * Break TEXT at a space for WIDTH columns: LEN bytes make the first line; returns where the next
 * begins. Sentences are ASCII except for names, so bytes are counted as columns.
 */
static const char *next_line(const char *text, int width, int *len)
{
	int n = (int)strlen(text), cut = width > 20 ? width : 20;

	*len = n;
	if (n <= cut)
		return text + n;
	while (cut > 1 && text[cut] != ' ')
		cut--;
	*len = cut > 1 ? cut : width;
	return text + *len + (text[*len] == ' ');
}

static void add_sentence(struct mw_tui *tui, const struct mw_tui_site *site, const char *text)
{
	int len;

	for (int i = 0; *text && i < SENTENCE_LINES; i++) {
		add_line(tui, site, MW_LINE_SENTENCE - i);
		text = next_line(text, tui->cols - INDENT - 1, &len);
	}
}

static void make_lines(struct mw_tui *tui)
{
	const struct mw_tui_suspect *suspect;

	tui->site_line_count = 0;
	for (size_t i = 0; i < tui->site_count; i++) {
		const struct mw_tui_site *site = tui->site_list[i];

		add_line(tui, site, MW_LINE_SITE);
		if (!is_open(tui, site->id))
			continue;
		suspect = suspect_of(tui, site->id);
		if (suspect)
			add_sentence(tui, site, suspect->sentence);
		for (uint32_t f = 0; f < site->frame_count; f++)
			add_line(tui, site, (int)f);
	}
}

/* The selection stays with its line when that moves. */
static void follow(struct mw_tui *tui, struct mw_site_line selected)
{
	for (size_t i = 0; i < tui->site_line_count; i++) {
		if (tui->site_lines[i].id == selected.id &&
		    tui->site_lines[i].frame == selected.frame)
			tui->cursor[MW_VIEW_SITES].selected = i;
	}
}

static void recalc(struct mw_tui *tui)
{
	const struct mw_tui_sites *sites = &mw_tui_shown(tui)->sites;
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_SITES];
	struct mw_site_line selected = {0};
	size_t n = sites->count;

	/* A selection at the top stays at the top. */
	if (cursor->selected && cursor->selected < tui->site_line_count)
		selected = tui->site_lines[cursor->selected];
	tui->site_count = 0;
	if (mw_array_reserve(&tui->site_list, &tui->site_capacity, n + 1, sizeof(void *)))
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_wanted(&sites->list[i], tui->filter))
			tui->site_list[tui->site_count++] = &sites->list[i];
	}
	if (tui->site_count)
		qsort_r(tui->site_list, tui->site_count, sizeof(void *), by_key, tui);
	make_lines(tui);
	if (selected.id)
		follow(tui, selected);
}

static void format_bytes(char *buf, double bytes, bool change)
{
	if (change)
		mw_format_signed_size(buf, (int64_t)bytes);
	else
		mw_format_size(buf, bytes > 0 ? (uint64_t)bytes : 0);
}

enum { WIDE = 116, NARROW_SITE = 32, WIDE_SITE = 64 };

/* When there is no room for all columns: outstanding and the column it is sorted by. */
static unsigned int second_column(const struct mw_tui *tui)
{
	unsigned int by = tui->sort[MW_VIEW_SITES];

	return by == BY_OUTSTANDING ? BY_BYTES : by;
}

static void draw_head(const struct mw_tui *tui, const struct mw_canvas *c)
{
	if (c->cols >= WIDE)
		mw_draw(c, 0, 3, c->cols, MW_INK_DIM, "%11s %4s %11s %7s %11s %11s   site",
			"outstanding", "+-", "growth", "rate/s", "bytes", "faults");
	else
		mw_draw(c, 0, 3, c->cols, MW_INK_DIM, "%11s %4s %11s   site", "outstanding", "+-",
			sorts[second_column(tui)]);
}

static void draw_numbers(const struct mw_tui *tui, const struct mw_canvas *c, int y,
			 const struct mw_tui_site *site, enum mw_ink ink)
{
	struct shown v = shown_of(tui, site);
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], d[MW_UNIT_BUF], f[MW_UNIT_BUF], g[MW_UNIT_BUF];
	const char *const columns[] = {a, b, g, d, f}; /* as SORTS has them */
	bool change = tui->since_baseline;
	char off[16] = "";

	if (site->outstanding > 0 && site->error > 0)
		snprintf(off, sizeof(off), "%.0f%%",
			 fmin(999, 100 * site->error / site->outstanding));
	if (site->rates_only)
		snprintf(a, sizeof(a), "-");
	else
		format_bytes(a, v.outstanding, change);
	format_bytes(b, v.growth, change);
	format_bytes(d, v.bytes, change);
	format_bytes(f, v.faults, change);
	mw_format_count(g, (uint64_t)(v.rate > 0 ? v.rate + 0.5 : 0));
	if (c->cols >= WIDE)
		mw_draw(c, y, 3, WIDE_SITE, ink, "%11s %4s %11s %7s %11s %11s", a, off, b, g, d, f);
	else
		mw_draw(c, y, 3, NARROW_SITE, ink, "%11s %4s %11s", a, off,
			columns[second_column(tui)]);
}

static void draw_site(const struct mw_tui *tui, const struct mw_canvas *c, int y,
		      const struct mw_tui_site *site, enum mw_ink ink)
{
	const struct mw_frame *leaf = site->leaf;
	bool suspect = suspect_of(tui, site->id);
	int x = c->cols >= WIDE ? WIDE_SITE : NARROW_SITE;
	char name[512];

	mw_draw_fill(c, y, ink);
	mw_draw(c, y, 1, 1, suspect && ink == MW_INK_PLAIN ? MW_INK_BAD : ink, "%s",
		suspect ? c->theme->glyphs->suspect : "");
	draw_numbers(tui, c, y, site, ink);
	mw_draw(c, y, x, 1, ink, "%s",
		is_open(tui, site->id) ? c->theme->glyphs->open : c->theme->glyphs->closed);
	mw_draw(c, y, x + 2, c->cols, ink, "%s",
		leaf ? mw_frame_format(leaf, name, sizeof(name)) : "(no frame)");
}

static void draw_frame(const struct mw_canvas *c, int y, const struct mw_tui_site *site, int frame,
		       enum mw_ink ink)
{
	const struct mw_frame *f = &site->frames[frame];
	const char *kind = f->kind == MW_FRAME_PYTHON	? "py"
			   : f->kind == MW_FRAME_NATIVE ? "c "
							: "  ";
	char name[512];

	mw_draw_fill(c, y, ink);
	if (f->kind == MW_FRAME_PYTHON && ink == MW_INK_PLAIN)
		ink = MW_INK_GOOD;
	mw_draw(c, y, 8, c->cols, ink, "%s  %s", kind, mw_frame_format(f, name, sizeof(name)));
}

static void draw_sentence(const struct mw_tui *tui, const struct mw_canvas *c, int y,
			  const struct mw_site_line *line, enum mw_ink ink)
{
	const struct mw_tui_suspect *suspect = suspect_of(tui, line->id);
	const char *text = suspect ? suspect->sentence : "", *next;
	int len = 0;

	next = next_line(text, tui->cols - INDENT - 1, &len);
	for (int i = MW_LINE_SENTENCE; i > line->frame; i--) {
		text = next;
		next = next_line(text, tui->cols - INDENT - 1, &len);
	}
	mw_draw_fill(c, y, ink);
	mw_draw(c, y, INDENT, c->cols, ink == MW_INK_PLAIN ? MW_INK_WARN : ink, "%.*s", len, text);
}

static void draw_line(struct mw_tui *tui, const struct mw_canvas *c, int y, size_t i)
{
	const struct mw_site_line *line = &tui->site_lines[i];
	enum mw_ink ink = i == tui->cursor[MW_VIEW_SITES].selected ? MW_INK_SELECTED : MW_INK_PLAIN;

	if (line->frame == MW_LINE_SITE)
		draw_site(tui, c, y, line->site, ink);
	else if (line->frame <= MW_LINE_SENTENCE)
		draw_sentence(tui, c, y, line, ink);
	else
		draw_frame(c, y, line->site, line->frame, ink);
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	struct mw_tui_target *t = mw_tui_shown(tui);
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_SITES];
	struct mw_canvas list = mw_canvas_part(c, 1, 0, c->rows - 1, c->cols);
	const struct mw_tui_suspect *first = t->sites.suspect_count ? &t->sites.suspects[0] : NULL;

	if (!t->has_sites) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN,
			"No stacks are taken (--sites none), so there are no sites.");
		return;
	}
	/* The worst suspect's sentence is always shown, below the list. */
	if (first)
		list.rows--;
	draw_head(tui, c);
	mw_cursor__fit(cursor, tui->site_line_count, list.rows);
	for (int y = 0; y < list.rows && cursor->top + (size_t)y < tui->site_line_count; y++)
		draw_line(tui, &list, y, cursor->top + (size_t)y);
	if (!tui->site_line_count)
		mw_draw(&list, 0, 3, c->cols, MW_INK_DIM, "%s",
			tui->filter[0] ? "no site matches the filter" : "no site yet");
	if (first)
		mw_draw(c, c->rows - 1, 1, c->cols - 1, MW_INK_WARN, "%s %s",
			c->theme->glyphs->suspect, first->sentence);
}

static void toggle(struct mw_tui *tui, int how)
{
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_SITES];
	const struct mw_tui_site *site;
	size_t i;

	if (cursor->selected >= tui->site_line_count)
		return;
	site = tui->site_lines[cursor->selected].site;
	for (i = 0; i < tui->open_count && tui->open_sites[i] != site->id; i++)
		;
	if (i < tui->open_count && how <= 0) {
		tui->open_sites[i] = tui->open_sites[--tui->open_count];
		/* From within a stack that is closed, to the site's line. */
		while (cursor->selected && tui->site_lines[cursor->selected].frame != MW_LINE_SITE)
			cursor->selected--;
	} else if (i == tui->open_count && how >= 0 &&
		   !mw_array_reserve(&tui->open_sites, &tui->open_capacity, i + 1,
				     sizeof(*tui->open_sites))) {
		tui->open_sites[tui->open_count++] = site->id;
	}
	make_lines(tui);
}

enum { JSON_SITES = 500 };

static json_t *json(struct mw_tui *tui)
{
	json_t *list = json_array();
	char name[512];

	for (size_t i = 0; i < tui->site_count && i < JSON_SITES; i++) {
		const struct mw_tui_site *site = tui->site_list[i];
		const struct mw_tui_suspect *suspect = suspect_of(tui, site->id);
		json_t *frames = json_array();

		for (uint32_t f = 0; f < site->frame_count; f++)
			json_array_append_new(
				frames,
				json_string(mw_frame_format(&site->frames[f], name, sizeof(name))));
		json_array_append_new(list,
				      json_pack("{s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:s*}", "id",
						(json_int_t)site->id, "outstanding_bytes",
						site->outstanding, "outstanding_error", site->error,
						"growth_bytes", site->growth, "allocs",
						site->allocs, "alloc_bytes", site->bytes,
						"fault_bytes", site->faults, "frames", frames,
						"suspect", suspect ? suspect->sentence : NULL));
	}
	return json_pack("{s:o}", "sites", list);
}

const struct mw_view mw_view_sites = {
	.name = "Sites",
	.sorts = sorts,
	.recalc = recalc,
	.draw = draw,
	.toggle = toggle,
	.json = json,
};

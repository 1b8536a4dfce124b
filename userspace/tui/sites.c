// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sites: who asked for memory, a row for each label with its stacks to open; leak suspects are
 * marked.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/words.h"
#include "tui/view.h"
#include "util/array.h"
#include "util/text.h"
#include "util/units.h"

enum { BY_KEPT, BY_FREED, BY_UNKNOWN, BY_RATE, BY_GROWTH, BY_FAULTS, COLUMNS };
static const char *const sorts[] = {"kept", "freed", "unknown", "rate", "growth", "faults", NULL};

/* What a line shows: since attach, or the change since the baseline. */
struct shown {
	double kept, freed, unknown, rate, growth, faults;
};

static struct shown shown_of(const struct mw_tui *tui, const struct mw_tui_amounts *amounts,
			     const struct mw_tui_stack *stacks, size_t count)
{
	struct shown v = {
		.kept = amounts->kept,
		.freed = amounts->freed,
		.unknown = amounts->unknown,
		.rate = amounts->rate,
		.growth = amounts->growth,
		.faults = amounts->faults,
	};

	for (size_t i = 0; tui->since_baseline && i < count; i++) {
		const struct mw_site_base *base;

		if (stacks[i].id >= tui->base_count)
			continue;
		base = &tui->site_bases[stacks[i].id];
		v.kept -= base->kept;
		v.freed -= base->freed;
		v.unknown -= base->unknown;
		v.growth -= base->growth;
		v.faults -= base->faults;
	}
	return v;
}

static const struct mw_tui_stack *stacks_of(const struct mw_tui *tui,
					    const struct mw_tui_site *site)
{
	return &mw_tui_shown(tui)->sites.stacks[site->first];
}

static struct shown shown_of_site(const struct mw_tui *tui, const struct mw_tui_site *site)
{
	return shown_of(tui, &site->amounts, stacks_of(tui, site), site->stack_count);
}

void mw_sites__set_baseline(struct mw_tui *tui)
{
	const struct mw_tui_sites *sites = &mw_tui_shown(tui)->sites;
	size_t n = 0, capacity = 0;

	free(tui->site_bases);
	tui->site_bases = NULL;
	tui->base_count = 0;
	for (size_t i = 0; i < sites->stack_count; i++)
		n = sites->stacks[i].id >= n ? sites->stacks[i].id + 1 : n;
	if (!n || mw_array_reserve(&tui->site_bases, &capacity, n, sizeof(*tui->site_bases)))
		return;
	memset(tui->site_bases, 0, n * sizeof(*tui->site_bases));
	tui->base_count = n;
	for (size_t i = 0; i < sites->stack_count; i++) {
		const struct mw_tui_amounts *amounts = &sites->stacks[i].amounts;

		tui->site_bases[sites->stacks[i].id] = (struct mw_site_base){
			.kept = amounts->kept,
			.freed = amounts->freed,
			.unknown = amounts->unknown,
			.growth = amounts->growth,
			.faults = amounts->faults,
		};
	}
}

static double key_of(const struct mw_tui *tui, struct shown v)
{
	switch (tui->sort[MW_VIEW_SITES]) {
	case BY_FREED:
		return v.freed;
	case BY_UNKNOWN:
		return v.unknown;
	case BY_RATE:
		return v.rate;
	case BY_GROWTH:
		return v.growth;
	case BY_FAULTS:
		return v.faults;
	default:
		return v.kept;
	}
}

/* KX and KY: what is sorted by; of equals the older one comes first. */
static int compare(double kx, double ky, const struct mw_tui_amounts *x,
		   const struct mw_tui_amounts *y, uint32_t id_x, uint32_t id_y)
{
	/* Where it is not known what is kept, growth and then bytes are the next best. */
	if (kx == ky) {
		kx = x->growth;
		ky = y->growth;
	}
	if (kx == ky) {
		kx = x->bytes;
		ky = y->bytes;
	}
	return kx < ky ? 1 : kx > ky ? -1 : id_x < id_y ? -1 : id_x > id_y;
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct mw_tui_site *x = *(const struct mw_tui_site *const *)a;
	const struct mw_tui_site *y = *(const struct mw_tui_site *const *)b;

	return compare(key_of(arg, shown_of_site(arg, x)), key_of(arg, shown_of_site(arg, y)),
		       &x->amounts, &y->amounts, x->id, y->id);
}

static int by_stack_key(const void *a, const void *b, void *arg)
{
	const struct mw_tui_stack *x = *(const struct mw_tui_stack *const *)a;
	const struct mw_tui_stack *y = *(const struct mw_tui_stack *const *)b;

	return compare(key_of(arg, shown_of(arg, &x->amounts, x, 1)),
		       key_of(arg, shown_of(arg, &y->amounts, y, 1)), &x->amounts, &y->amounts,
		       x->id, y->id);
}

static bool stack_matches(const struct mw_tui_stack *stack, const char *filter)
{
	char text[512];

	for (uint32_t i = 0; i < stack->frame_count; i++) {
		if (mw_text_matches(mw_frame_format(&stack->frames[i], text, sizeof(text)), filter))
			return true;
	}
	return false;
}

static bool is_wanted(const struct mw_tui *tui, const struct mw_tui_site *site, const char *filter)
{
	if (!filter[0] || mw_text_matches(site->label, filter))
		return true;
	for (size_t i = 0; i < site->stack_count; i++) {
		if (stack_matches(&stacks_of(tui, site)[i], filter))
			return true;
	}
	return false;
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

static void add_line(struct mw_tui *tui, const struct mw_tui_site *site,
		     const struct mw_tui_stack *stack, int frame)
{
	if (mw_array_reserve(&tui->site_lines, &tui->site_line_capacity, tui->site_line_count + 1,
			     sizeof(*tui->site_lines)))
		return;
	tui->site_lines[tui->site_line_count++] =
		(struct mw_site_line){site, stack, site->id, stack ? stack->id : 0, frame};
}

enum { INDENT = 4, SENTENCE_LINES = 8 };

enum { NOTE_SIZE = MW_SENTENCE_SIZE + MW_TYPE_WORDS + MW_GROWN_PATH + 128, TYPES_SHOWN = 4 };

/* What is known of SITE besides its numbers, into BUF of NOTE_SIZE bytes. */
static const char *note_of(const struct mw_tui *tui, const struct mw_tui_site *site, char *buf)
{
	const struct mw_tui_suspect *suspect = suspect_of(tui, site->id);
	const struct mw_grown_holder *h =
		mw_look_growth__added_at(&mw_tui_shown(tui)->growth, site->label);
	char types[MW_TYPE_WORDS], length[MW_UNIT_BUF];
	int n = snprintf(buf, NOTE_SIZE, "%s", suspect ? suspect->sentence : "");

	if (site->types.count)
		n += snprintf(
			buf + n, NOTE_SIZE - (size_t)n, "%sKept objects: %s.", n ? ". " : "",
			mw_type_counts__format(&site->types, TYPES_SHOWN, types, sizeof(types)));
	if (h)
		snprintf(buf + n, NOTE_SIZE - (size_t)n, "%sThis line adds to %s (%s of %s).",
			 n ? " " : "", h->path[0] ? h->path : "a container", h->type,
			 mw_format_count(length, h->length));
	return buf;
}

static void add_note(struct mw_tui *tui, const struct mw_tui_site *site)
{
	char note[NOTE_SIZE];
	const char *text = note_of(tui, site, note);
	int len;

	for (int i = 0; *text && i < SENTENCE_LINES; i++) {
		add_line(tui, site, NULL, MW_LINE_SENTENCE - i);
		text = mw_text_break(text, tui->cols - INDENT - 1, &len);
	}
}

/* What holds most comes first. With one stack the row has said its numbers already. */
static void add_stacks(struct mw_tui *tui, const struct mw_tui_site *site)
{
	const struct mw_tui_stack **list = calloc(site->stack_count, sizeof(void *));

	for (size_t i = 0; list && i < site->stack_count; i++)
		list[i] = &stacks_of(tui, site)[i];
	if (list)
		qsort_r(list, site->stack_count, sizeof(void *), by_stack_key, tui);
	for (size_t i = 0; list && i < site->stack_count; i++) {
		if (site->stack_count > 1)
			add_line(tui, site, list[i], MW_LINE_STACK);
		for (uint32_t f = 0; f < list[i]->frame_count; f++)
			add_line(tui, site, list[i], (int)f);
	}
	free(list);
}

static void make_lines(struct mw_tui *tui)
{
	tui->site_line_count = 0;
	for (size_t i = 0; i < tui->site_count; i++) {
		const struct mw_tui_site *site = tui->site_list[i];

		add_line(tui, site, NULL, MW_LINE_SITE);
		if (!is_open(tui, site->id))
			continue;
		add_note(tui, site);
		add_stacks(tui, site);
	}
}

/* The selection stays with its line when that moves. */
static void follow(struct mw_tui *tui, struct mw_site_line selected)
{
	for (size_t i = 0; i < tui->site_line_count; i++) {
		if (tui->site_lines[i].id == selected.id &&
		    tui->site_lines[i].stack_id == selected.stack_id &&
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
		if (is_wanted(tui, &sites->list[i], tui->filter))
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

enum { WIDE = 116, NARROW_SITE = 41, WIDE_SITE = 71 };

/* When there is no room for all columns: the third one is what the list is sorted by. */
static unsigned int third_column(const struct mw_tui *tui)
{
	unsigned int by = tui->sort[MW_VIEW_SITES];

	return by == BY_KEPT || by == BY_FREED ? BY_UNKNOWN : by;
}

static void draw_head(const struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_sample *now = &mw_tui_shown(tui)->now;

	if (c->cols >= WIDE)
		mw_draw(c, 0, 3, c->cols, MW_INK_DIM, "%10s %4s %10s %10s %7s %10s %10s   site",
			"kept", "+-", "freed", "unknown", "rate/s", "growth", "faults");
	else
		mw_draw(c, 0, 3, c->cols, MW_INK_DIM, "%10s %4s %10s %10s   site", "kept", "+-",
			"freed", sorts[third_column(tui)]);
	/* Without a budget every free is seen, and nobody needs to look. */
	if (mw_tui_is_estimate(now) && now->walked_at >= 0)
		mw_draw_right(c, 0, c->cols - 22, 21, MW_INK_DIM, "looked %.0f s ago",
			      mw_tui_age(mw_tui_shown(tui), now->walked_at));
	else if (mw_tui_is_estimate(now))
		mw_draw_right(c, 0, c->cols - 22, 21, MW_INK_DIM, "not looked yet");
}

/* Windows that were too few say that there is something, but not how much. */
static bool is_too_little(const struct mw_sample *now)
{
	return mw_tui_is_estimate(now) && (!now->enough || now->python == MW_PYTHON_SAMPLED);
}

/* Is nothing known of COLUMN, one of those that probes tell? */
static bool is_hidden(const struct mw_tui_amounts *amounts, unsigned int column)
{
	if (amounts->unscaled)
		return column != BY_KEPT || amounts->error >= amounts->kept;
	return amounts->rates_only && column < BY_UNKNOWN;
}

static void draw_numbers(const struct mw_tui *tui, const struct mw_canvas *c, int y,
			 const struct mw_tui_amounts *amounts, struct shown v, enum mw_ink ink)
{
	char columns[COLUMNS][MW_UNIT_BUF], off[16] = "";
	bool change = tui->since_baseline, guess = is_too_little(&mw_tui_shown(tui)->now);

	if (amounts->kept > 0 && amounts->error > 0 && !guess)
		snprintf(off, sizeof(off), "%.0f%%",
			 fmin(999, 100 * amounts->error / amounts->kept));
	format_bytes(columns[BY_KEPT], v.kept, change);
	format_bytes(columns[BY_FREED], v.freed, change);
	format_bytes(columns[BY_UNKNOWN], v.unknown, change);
	format_bytes(columns[BY_GROWTH], v.growth, change);
	format_bytes(columns[BY_FAULTS], v.faults, change);
	mw_format_count(columns[BY_RATE], (uint64_t)(v.rate > 0 ? v.rate + 0.5 : 0));
	for (unsigned int i = BY_KEPT; i <= BY_RATE; i++) {
		if (guess || is_hidden(amounts, i))
			snprintf(columns[i], sizeof(columns[i]), "-");
	}
	if (c->cols >= WIDE)
		mw_draw(c, y, 3, WIDE_SITE, ink, "%10s %4s %10s %10s %7s %10s %10s",
			columns[BY_KEPT], off, columns[BY_FREED], columns[BY_UNKNOWN],
			columns[BY_RATE], columns[BY_GROWTH], columns[BY_FAULTS]);
	else
		mw_draw(c, y, 3, NARROW_SITE, ink, "%10s %4s %10s %10s", columns[BY_KEPT], off,
			columns[BY_FREED], columns[third_column(tui)]);
}

static void draw_site(const struct mw_tui *tui, const struct mw_canvas *c, int y,
		      const struct mw_tui_site *site, enum mw_ink ink)
{
	bool suspect = suspect_of(tui, site->id);
	int x = c->cols >= WIDE ? WIDE_SITE : NARROW_SITE;
	char label[MW_LABEL_SIZE];

	mw_draw_fill(c, y, ink);
	mw_draw(c, y, 1, 1, suspect && ink == MW_INK_PLAIN ? MW_INK_BAD : ink, "%s",
		suspect ? c->theme->glyphs->suspect : "");
	draw_numbers(tui, c, y, &site->amounts, shown_of_site(tui, site), ink);
	mw_draw(c, y, x, 1, ink, "%s",
		is_open(tui, site->id) ? c->theme->glyphs->open : c->theme->glyphs->closed);
	mw_draw(c, y, x + 2, c->cols, ink, "%s",
		mw_text_fit_label(label, sizeof(label), site->label, c->cols - x - 2));
}

static void draw_stack(const struct mw_tui *tui, const struct mw_canvas *c, int y,
		       const struct mw_tui_stack *stack, enum mw_ink ink)
{
	int x = c->cols >= WIDE ? WIDE_SITE : NARROW_SITE;

	mw_draw_fill(c, y, ink);
	if (ink == MW_INK_PLAIN)
		ink = MW_INK_DIM;
	draw_numbers(tui, c, y, &stack->amounts, shown_of(tui, &stack->amounts, stack, 1), ink);
	mw_draw(c, y, x + 2, c->cols, ink, "in this stack:");
}

static void draw_frame(const struct mw_canvas *c, int y, const struct mw_tui_stack *stack,
		       int frame, enum mw_ink ink)
{
	const struct mw_frame *f = &stack->frames[frame];
	const char *kind = f->kind == MW_FRAME_PYTHON	? "py"
			   : f->kind == MW_FRAME_NATIVE ? "c "
							: "  ";
	char name[512];

	mw_draw_fill(c, y, ink);
	if (f->kind == MW_FRAME_PYTHON && ink == MW_INK_PLAIN)
		ink = MW_INK_GOOD;
	mw_draw(c, y, 8, c->cols, ink, "%s  %s", kind, mw_frame_format(f, name, sizeof(name)));
}

static void draw_note(const struct mw_tui *tui, const struct mw_canvas *c, int y,
		      const struct mw_site_line *line, enum mw_ink ink)
{
	char note[NOTE_SIZE];
	const char *text = note_of(tui, line->site, note), *next;
	int len = 0;

	next = mw_text_break(text, tui->cols - INDENT - 1, &len);
	for (int i = MW_LINE_SENTENCE; i > line->frame; i--) {
		text = next;
		next = mw_text_break(text, tui->cols - INDENT - 1, &len);
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
	else if (line->frame == MW_LINE_STACK)
		draw_stack(tui, c, y, line->stack, ink);
	else if (line->frame <= MW_LINE_SENTENCE)
		draw_note(tui, c, y, line, ink);
	else
		draw_frame(c, y, line->stack, line->frame, ink);
}

/* How many lines TEXT takes below the list; it may have a third of the rows. */
static int count_lines(const struct mw_canvas *c, const char *text)
{
	int lines = 0, len;

	while (*text && lines < c->rows / 3) {
		text = mw_text_break(text, c->cols - 4, &len);
		lines++;
	}
	return lines;
}

static void draw_last(const struct mw_canvas *c, int y, const char *text, bool suspect)
{
	enum mw_ink ink = suspect ? MW_INK_WARN : MW_INK_PLAIN;
	int len;

	mw_draw(c, y, 1, 1, ink, "%s", suspect ? c->theme->glyphs->suspect : " ");
	for (; *text && y < c->rows; y++) {
		const char *next = mw_text_break(text, c->cols - 4, &len);

		mw_draw(c, y, 3, c->cols - 3, ink, "%.*s", len, text);
		text = next;
	}
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	struct mw_tui_target *t = mw_tui_shown(tui);
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_SITES];
	struct mw_canvas list = mw_canvas_part(c, 1, 0, c->rows - 1, c->cols);
	const char *suspect = t->sites.suspect_count ? t->sites.suspects[0].sentence : NULL;
	char reach[160];
	const char *last = suspect ? suspect : t->sites.growing[0] ? t->sites.growing : NULL;
	char outlook[160];
	int lines;

	if (!t->has_sites) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN,
			"No stacks are taken (--sites none), so there are no sites.");
		return;
	}
	if (!last && t->sites.count)
		last = mw_outlook_format(outlook, sizeof(outlook), &t->sites.outlook,
					 t->now.always ? 0 : t->now.windows, t->now.elapsed);
	/* The worst suspect's sentence is always shown, below the list. */
	lines = last ? count_lines(c, last) : 0;
	list.rows -= lines;
	if (mw_reach_format(reach, sizeof(reach), &t->now))
		mw_draw(c, list.rows--, 1, c->cols - 1, MW_INK_PLAIN, "  %s", reach);
	draw_head(tui, c);
	mw_cursor__fit(cursor, tui->site_line_count, list.rows);
	for (int y = 0; y < list.rows && cursor->top + (size_t)y < tui->site_line_count; y++)
		draw_line(tui, &list, y, cursor->top + (size_t)y);
	if (!tui->site_line_count)
		mw_draw(&list, 0, 3, c->cols, MW_INK_DIM, "%s",
			tui->filter[0] ? "no site matches the filter" : "no site yet");
	if (last)
		draw_last(c, c->rows - lines, last, suspect);
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

static json_t *json_of_amounts(uint32_t id, const struct mw_tui_amounts *a)
{
	return json_pack("{s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "id", (json_int_t)id,
			 "kept_bytes", a->kept, "kept_error", a->error, "freed_bytes", a->freed,
			 "unknown_bytes", a->unknown, "growth_bytes", a->growth, "allocs",
			 a->allocs, "alloc_bytes", a->bytes, "fault_bytes", a->faults);
}

static json_t *json_of_frames(const struct mw_tui_stack *stack)
{
	json_t *frames = json_array();
	char name[512];

	for (uint32_t f = 0; f < stack->frame_count; f++)
		json_array_append_new(frames, json_string(mw_frame_format(&stack->frames[f], name,
									  sizeof(name))));
	return frames;
}

/* A row's frames are those of its oldest stack. */
static json_t *json(struct mw_tui *tui)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tui->site_count && i < JSON_SITES; i++) {
		const struct mw_tui_site *site = tui->site_list[i];
		const struct mw_tui_stack *all = stacks_of(tui, site);
		const struct mw_tui_suspect *suspect = suspect_of(tui, site->id);
		json_t *row = json_of_amounts(site->id, &site->amounts), *stacks = json_array();

		for (size_t k = 0; k < site->stack_count && k < JSON_SITES; k++) {
			json_t *stack = json_of_amounts(all[k].id, &all[k].amounts);

			json_object_set_new(stack, "frames", json_of_frames(&all[k]));
			json_array_append_new(stacks, stack);
		}
		json_object_set_new(row, "label", json_string(site->label));
		json_object_set_new(row, "frames", json_of_frames(all));
		json_object_set_new(row, "stacks", stacks);
		if (suspect)
			json_object_set_new(row, "suspect", json_string(suspect->sentence));
		json_array_append_new(list, row);
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

// SPDX-License-Identifier: GPL-2.0-or-later
/* Ledger: the tree of owners of resident memory, with changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/units.h"

enum { BY_RESIDENT, BY_CHANGE, BY_NAME };
static const char *const sorts[] = {"resident", "change", "owner", NULL};

enum { LEVELS = 16 };

/* An owner at two times: the union of two ledgers, by path. */
struct pair {
	const char *owner;
	uint64_t resident, count, before;
};

static int by_owner(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->owner, y->owner);
}

static struct pair *make_pairs(const struct mw_tui *tui, size_t *count)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_tui_survey *base =
		tui->since_baseline ? &t->baseline_survey : &t->first_survey;
	const struct mw_ledger *now = &t->survey.ledger, *then = &base->ledger;
	size_t n = 0, merged = 0;
	struct pair *pairs = calloc(now->count + then->count + 1, sizeof(*pairs));

	*count = 0;
	if (!pairs)
		return NULL;
	for (size_t i = 0; i < now->count; i++)
		pairs[n++] = (struct pair){now->entries[i].owner, now->entries[i].resident,
					   now->entries[i].count, 0};
	for (size_t i = 0; i < then->count; i++)
		pairs[n++] = (struct pair){then->entries[i].owner, 0, 0, then->entries[i].resident};
	qsort(pairs, n, sizeof(*pairs), by_owner);
	for (size_t i = 0; i < n; i++) {
		if (merged && !strcmp(pairs[merged - 1].owner, pairs[i].owner)) {
			pairs[merged - 1].resident += pairs[i].resident;
			pairs[merged - 1].count += pairs[i].count;
			pairs[merged - 1].before += pairs[i].before;
		} else {
			pairs[merged++] = pairs[i];
		}
	}
	for (size_t i = 0; i < merged; i++) {
		if ((pairs[i].resident || pairs[i].before) &&
		    mw_text_matches(pairs[i].owner, tui->filter))
			pairs[(*count)++] = pairs[i];
	}
	return pairs;
}

static size_t toggled_at(const struct mw_tui *tui, const char *path)
{
	size_t i = 0;

	while (i < tui->toggled_count && strcmp(tui->toggled[i].text, path))
		i++;
	return i;
}

/* A node: the pairs from FIRST on that begin alike. */
struct node {
	size_t first, count;
	struct mw_owner_line line;
};

static int by_sort(const void *a, const void *b, void *arg)
{
	const struct node *x = a, *y = b;
	const struct mw_tui *tui = arg;
	int64_t kx = (int64_t)x->line.resident, ky = (int64_t)y->line.resident;

	if (tui->sort[MW_VIEW_LEDGER] == BY_CHANGE) {
		kx -= (int64_t)x->line.before;
		ky -= (int64_t)y->line.before;
	}
	if (kx != ky && tui->sort[MW_VIEW_LEDGER] != BY_NAME)
		return kx < ky ? 1 : -1;
	return strcmp(x->line.path, y->line.path);
}

static size_t make_nodes(const struct mw_tui *tui, const struct pair *pairs, size_t first,
			 size_t count, size_t length, unsigned int level, struct node *nodes)
{
	size_t n = 0, end = 0;

	for (size_t i = first; i < first + count; i++) {
		const char *owner = pairs[i].owner;
		struct node *last;

		if (!n || strncmp(nodes[n - 1].line.path, owner, end) ||
		    (owner[end] && owner[end] != '/')) {
			end = length + strcspn(owner + length, "/");
			nodes[n] = (struct node){.first = i};
			snprintf(nodes[n].line.path, sizeof(nodes[n].line.path), "%.*s", (int)end,
				 owner);
			nodes[n++].line.level = level;
		}
		last = &nodes[n - 1];
		last->count++;
		last->line.resident += pairs[i].resident;
		last->line.before += pairs[i].before;
		last->line.count += pairs[i].count;
	}
	for (size_t i = 0; i < n; i++) {
		struct mw_owner_line *line = &nodes[i].line;
		bool toggled;

		line->whole = nodes[i].count == 1;
		/* A node without siblings keeps its whole path on one line. */
		if (line->whole)
			snprintf(line->path, sizeof(line->path), "%s", pairs[nodes[i].first].owner);
		toggled = toggled_at(tui, line->path) < tui->toggled_count;
		line->open = !line->whole && (tui->filter[0] || (level == 0) != toggled);
	}
	return n;
}

static struct mw_owner_line *add_line(struct mw_tui *tui)
{
	if (mw_array_reserve(&tui->owners, &tui->owner_capacity, tui->owner_count + 1,
			     sizeof(*tui->owners)))
		return NULL;
	return &tui->owners[tui->owner_count++];
}

/* Who holds what the owner at OWNER, which was opened, has. */
static void add_holders(struct mw_tui *tui, const struct mw_owner_line *owner)
{
	const struct mw_tui_holders *h = &mw_tui_shown(tui)->holders;
	size_t count = h->known ? h->found.count : 1;
	unsigned int level = owner->level + 1;

	for (size_t i = 0; i < count; i++) {
		struct mw_owner_line *line = add_line(tui);

		if (!line)
			return;
		*line = (struct mw_owner_line){
			.level = level, .whole = true, .holder = MW_NO_HOLDER};
		snprintf(line->path, sizeof(line->path), "holder %zu", i);
		if (!h->known)
			continue;
		line->holder = (int)i + 1;
		line->resident = h->found.list[i].bytes;
		line->count = h->found.list[i].count;
	}
}

static void add_nodes(struct mw_tui *tui, const struct pair *pairs, size_t first, size_t count,
		      size_t length, unsigned int level)
{
	_cleanup_free_ struct node *nodes = calloc(count, sizeof(*nodes));
	size_t n;

	if (!nodes || level >= LEVELS)
		return;
	n = make_nodes(tui, pairs, first, count, length, level, nodes);
	qsort_r(nodes, n, sizeof(*nodes), by_sort, tui);
	for (size_t i = 0; i < n; i++) {
		size_t end = strlen(nodes[i].line.path);

		struct mw_owner_line *line = add_line(tui);

		if (!line)
			return;
		*line = nodes[i].line;
		if (line->whole && !strcmp(line->path, mw_tui_shown(tui)->holders.owner)) {
			line->open = true;
			add_holders(tui, &nodes[i].line);
		}
		if (!nodes[i].line.open)
			continue;
		/* "a" may be an owner itself besides "a/b". */
		if (pairs[nodes[i].first].owner[end] == '/')
			add_nodes(tui, pairs, nodes[i].first, nodes[i].count, end + 1, level + 1);
		else
			add_nodes(tui, pairs, nodes[i].first + 1, nodes[i].count - 1, end + 1,
				  level + 1);
	}
}

static void recalc(struct mw_tui *tui)
{
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_LEDGER];
	_cleanup_free_ struct pair *pairs = NULL;
	char selected[80] = "";
	size_t count;

	if (cursor->selected && cursor->selected < tui->owner_count)
		snprintf(selected, sizeof(selected), "%s", tui->owners[cursor->selected].path);
	tui->owner_count = 0;
	pairs = make_pairs(tui, &count);
	if (pairs && count)
		add_nodes(tui, pairs, 0, count, 0, 0);
	for (size_t i = 0; selected[0] && i < tui->owner_count; i++) {
		if (!strcmp(tui->owners[i].path, selected))
			cursor->selected = i;
	}
}

static const char *name_of(const struct mw_owner_line *line, const struct mw_tui *tui, size_t i)
{
	/* Below an open line only the rest of the path is drawn. */
	for (size_t k = i; k--;) {
		const struct mw_owner_line *above = &tui->owners[k];

		if (above->level + 1 == line->level)
			return line->path + strlen(above->path) + 1;
	}
	return line->path;
}

/* "`app.cache`, dict of 30.0k, retains 412 MiB" */
static void holder_text(const struct mw_tui_holders *holders, int holder, char *text, size_t size)
{
	const struct mw_owner_holder *h;
	char length[MW_UNIT_BUF], retained[MW_UNIT_BUF];
	int n;

	if (holder == MW_NO_HOLDER) {
		snprintf(text, size, "%s",
			 holders->problem[0] ? holders->problem : "finding who holds it ...");
		return;
	}
	h = &holders->found.list[holder - 1];
	n = snprintf(text, size, h->type[0] ? "`%s`, %s" : "%s", h->text, h->type);
	if (h->length && n > 0 && (size_t)n < size)
		n += snprintf(text + n, size - (size_t)n, " of %s",
			      mw_format_count(length, h->length));
	if (h->retained && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, ", retains %s",
			 mw_format_size(retained, h->retained));
}

static void draw_holder(struct mw_tui *tui, const struct mw_canvas *c, int y,
			const struct mw_owner_line *line, enum mw_ink ink)
{
	const struct mw_tui_holders *h = &mw_tui_shown(tui)->holders;
	int x = 43 + 2 * (int)line->level;
	char text[400], size[MW_UNIT_BUF], number[MW_UNIT_BUF];

	mw_draw_fill(c, y, ink);
	if (line->holder > 0)
		mw_draw(c, y, 1, 42, ink, "%11s %5.1f %% %12s %8s",
			mw_format_size(size, line->resident),
			h->found.bytes ? 100.0 * (double)line->resident / (double)h->found.bytes
				       : 0,
			"", mw_format_count(number, line->count));
	holder_text(h, line->holder, text, sizeof(text));
	mw_draw(c, y, x + 2, c->cols - x - 3, ink == MW_INK_PLAIN ? MW_INK_DIM : ink, "%s", text);
}

static void draw_line(struct mw_tui *tui, const struct mw_canvas *c, int y, size_t i)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_owner_line *line = &tui->owners[i];
	const struct mw_glyphs *glyphs = c->theme->glyphs;
	enum mw_ink ink =
		i == tui->cursor[MW_VIEW_LEDGER].selected ? MW_INK_SELECTED : MW_INK_PLAIN;
	double share = t->survey.ledger.resident
			       ? (double)line->resident / (double)t->survey.ledger.resident
			       : 0;
	int64_t change = (int64_t)(line->resident - line->before);
	bool known = (tui->since_baseline ? &t->baseline_survey : &t->first_survey)->known;
	char size[MW_UNIT_BUF], number[MW_UNIT_BUF], delta[MW_UNIT_BUF];
	int x = 43 + 2 * (int)line->level, end = c->cols > 110 ? c->cols - 26 : c->cols;

	if (line->holder) {
		draw_holder(tui, c, y, line, ink);
		return;
	}
	mw_draw_fill(c, y, ink);
	mw_draw(c, y, 1, 42, ink, "%11s %5.1f %% %12s %8s", mw_format_size(size, line->resident),
		100 * share, known && change ? mw_format_signed_size(delta, change) : "",
		mw_format_count(number, line->count));
	mw_draw(c, y, x, 1, ink, "%s",
		line->open    ? glyphs->open
		: line->whole ? glyphs->leaf
			      : glyphs->closed);
	mw_draw(c, y, x + 2, end - x - 3, ink, "%s", name_of(line, tui, i));
	if (ink == MW_INK_PLAIN)
		mw_draw_bar(c, y, end, c->cols - end - 1, share, MW_INK_BAR);
}

static void draw(struct mw_tui *tui, const struct mw_canvas *c)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	const struct mw_ledger *ledger = &t->survey.ledger;
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_LEDGER];
	struct mw_canvas list = mw_canvas_part(c, 1, 0, c->rows - 2, c->cols);
	char size[MW_UNIT_BUF], swapped[MW_UNIT_BUF];

	if (!t->survey.known) {
		mw_draw(c, 1, 1, c->cols, MW_INK_PLAIN, "%s",
			t->survey_problem[0] ? t->survey_problem : "reading the process ...");
		return;
	}
	mw_draw(c, 0, 1, c->cols, MW_INK_DIM, "%11s %7s %12s %8s   %s", "resident", "", "change",
		"count", "owner");
	mw_cursor__fit(cursor, tui->owner_count, list.rows);
	for (int y = 0; y < list.rows && cursor->top + (size_t)y < tui->owner_count; y++)
		draw_line(tui, &list, y, cursor->top + (size_t)y);
	mw_draw(c,
		c->rows - 1 < (int)tui->owner_count + 1 ? c->rows - 1 : (int)tui->owner_count + 1,
		1, c->cols, MW_INK_DIM,
		"%11s resident, %s in swap; looked %.0f s ago in %.2f s (r: now)%s%s",
		mw_format_size(size, ledger->resident), mw_format_size(swapped, ledger->swapped),
		mw_tui_age(t, t->survey.elapsed), t->survey.took, t->survey.note[0] ? "; " : "",
		t->survey.note);
}

/* An owner with nothing below it is opened into who holds what it has, one at a time. */
static void toggle_holders(struct mw_tui *tui, const struct mw_owner_line *line, int how)
{
	struct mw_tui_holders *h = &mw_tui_shown(tui)->holders;

	if (line->holder || (how > 0 && line->open))
		return;
	if (line->open) {
		h->owner[0] = '\0';
		return;
	}
	if (!mw_owner_holders__answers(line->path)) {
		mw_tui__say(tui, "only Python's objects, their buffers and C's live blocks have "
				 "holders");
		return;
	}
	*h = (struct mw_tui_holders){0};
	snprintf(h->owner, sizeof(h->owner), "%s", line->path);
	tui->holders_wanted = true;
}

static void toggle(struct mw_tui *tui, int how)
{
	struct mw_cursor *cursor = &tui->cursor[MW_VIEW_LEDGER];
	const struct mw_owner_line *line;
	size_t i;

	if (cursor->selected >= tui->owner_count)
		return;
	line = &tui->owners[cursor->selected];
	/* Closing a leaf or a closed line selects its parent. */
	if (how < 0 && !line->open && line->level) {
		unsigned int level = line->level;

		while (cursor->selected && tui->owners[cursor->selected].level >= level)
			cursor->selected--;
		return;
	}
	if (line->whole && (how >= 0 || line->open))
		toggle_holders(tui, line, how);
	if (line->whole || (how > 0 && line->open) || (how < 0 && !line->open))
		return;
	i = toggled_at(tui, line->path);
	if (i < tui->toggled_count)
		tui->toggled[i] = tui->toggled[--tui->toggled_count];
	else if (!mw_array_reserve(&tui->toggled, &tui->toggled_capacity, i + 1,
				   sizeof(*tui->toggled)))
		snprintf(tui->toggled[tui->toggled_count++].text, sizeof(tui->toggled[i].text),
			 "%s", line->path);
}

static json_t *holders_json(const struct mw_tui_holders *h)
{
	json_t *list = json_array();

	for (size_t i = 0; h->known && i < h->found.count; i++) {
		const struct mw_owner_holder *one = &h->found.list[i];

		json_array_append_new(
			list, json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "path_text", one->text, "type",
					one->type, "count", (json_int_t)one->count, "bytes",
					(json_int_t)one->bytes, "length", (json_int_t)one->length,
					"retained_bytes", (json_int_t)one->retained));
	}
	return json_pack("{s:s,s:o}", "owner", h->owner, "holders", list);
}

static json_t *json(struct mw_tui *tui)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *list = json_array();
	_cleanup_free_ struct pair *pairs = NULL;
	size_t count;

	pairs = make_pairs(tui, &count);
	for (size_t i = 0; pairs && i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:I,s:I}", "owner", pairs[i].owner,
						"resident_bytes", (json_int_t)pairs[i].resident,
						"before_bytes", (json_int_t)pairs[i].before,
						"count", (json_int_t)pairs[i].count));
	return json_pack("{s:o,s:o,s:I,s:f}", "entries", list, "opened",
			 t->holders.owner[0] ? holders_json(&t->holders) : json_null(),
			 "resident_bytes", (json_int_t)t->survey.ledger.resident,
			 "looked_at_seconds", t->survey.elapsed);
}

const struct mw_view mw_view_ledger = {
	.name = "Ledger",
	.sorts = sorts,
	.recalc = recalc,
	.draw = draw,
	.toggle = toggle,
	.json = json,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys: one table of what each does and of its line in the help. */
#include <curses.h>
#include <stdio.h>
#include <string.h>

#include "tui/view.h"

typedef unsigned int (*action_fn)(struct mw_tui *tui, int arg);

struct binding {
	int keys[4]; /* up to a 0 */
	action_fn act;
	int arg;
	const char *shown, *help; /* NULL: the row before has it */
};

static struct mw_cursor *cursor_of(struct mw_tui *tui)
{
	return tui->help   ? &tui->help_cursor
	       : tui->list ? &tui->list_cursor
			   : &tui->cursor[tui->view];
}

static unsigned int act_move(struct mw_tui *tui, int by)
{
	mw_cursor__move(cursor_of(tui), by);
	return MW_TUI_REDRAW;
}

static unsigned int act_page(struct mw_tui *tui, int by)
{
	struct mw_cursor *c = cursor_of(tui);

	mw_cursor__move(c, by * (long)(c->page > 1 ? c->page - 1 : 1));
	return MW_TUI_REDRAW;
}

static unsigned int act_end(struct mw_tui *tui, int by)
{
	struct mw_cursor *c = cursor_of(tui);

	mw_cursor__move(c, by * (long)c->lines);
	return MW_TUI_REDRAW;
}

static unsigned int act_view(struct mw_tui *tui, int view)
{
	tui->help = false;
	tui->view = (enum mw_view_id)view;
	/* In the list of targets, choosing a view opens it for the selected target. */
	if (tui->list)
		tui->target = tui->list_cursor.selected;
	tui->list = false;
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

static unsigned int act_next_view(struct mw_tui *tui, int by)
{
	return act_view(tui, ((int)tui->view + by + MW_VIEWS) % MW_VIEWS);
}

static unsigned int take_wanted(struct mw_tui *tui)
{
	bool wanted = tui->holders_wanted;

	tui->holders_wanted = false;
	return wanted ? MW_TUI_HOLDERS : 0;
}

static unsigned int toggle(struct mw_tui *tui, int how)
{
	if (!tui->help && !tui->list && mw_views[tui->view]->toggle)
		mw_views[tui->view]->toggle(tui, how);
	return MW_TUI_RECALC | MW_TUI_REDRAW | take_wanted(tui);
}

static unsigned int act_enter(struct mw_tui *tui, int how)
{
	if (tui->help) {
		tui->help = false;
	} else if (tui->list) {
		tui->target = tui->list_cursor.selected;
		tui->list = false;
		return MW_TUI_RECALC | MW_TUI_REDRAW;
	}
	return toggle(tui, how);
}

static unsigned int act_back(struct mw_tui *tui, int arg)
{
	(void)arg;
	if (tui->help) {
		tui->help = false;
	} else if (tui->filter[0] && !tui->list) {
		tui->filter[0] = '\0';
	} else if (tui->state->target_count > 1 && !tui->list) {
		tui->list = true;
		tui->list_cursor.selected = tui->target;
	}
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

static unsigned int act_filter(struct mw_tui *tui, int arg)
{
	(void)arg;
	if (!tui->help && !tui->list)
		tui->typing = true;
	return MW_TUI_REDRAW;
}

static unsigned int act_sort(struct mw_tui *tui, int by)
{
	const char *const *sorts = mw_views[tui->view]->sorts;
	unsigned int n = 0, *sort = &tui->sort[tui->view];

	if (!sorts || tui->list)
		return 0;
	do
		n++;
	while (sorts[n]);
	*sort = (*sort + n + (unsigned int)by) % n;
	mw_tui__say(tui, "sorted by %s", sorts[*sort]);
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

static unsigned int act_pause(struct mw_tui *tui, int arg)
{
	(void)arg;
	tui->state->paused = !tui->state->paused;
	mw_tui__say(tui, tui->state->paused
				 ? "paused: the picture stays, counting goes on; p goes on"
				 : "goes on");
	return MW_TUI_REDRAW;
}

static unsigned int act_baseline(struct mw_tui *tui, int arg)
{
	(void)arg;
	for (size_t i = 0; i < tui->state->target_count; i++)
		mw_tui_target__set_baseline(&tui->state->targets[i]);
	mw_sites__set_baseline(tui);
	tui->since_baseline = true;
	mw_tui__say(tui, "the baseline is now; d shows all since attach");
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

static unsigned int act_look(struct mw_tui *tui, int arg)
{
	(void)arg;
	mw_tui__say(tui, "looking at the heap, and at who owns what is resident");
	tui->holders_wanted = tui->view == MW_VIEW_LEDGER && mw_tui_shown(tui)->holders.owner[0];
	return MW_TUI_LOOK | MW_TUI_REDRAW | take_wanted(tui);
}

static unsigned int act_since(struct mw_tui *tui, int arg)
{
	(void)arg;
	tui->since_baseline = !tui->since_baseline;
	mw_tui__say(tui, "counts are those %s", mw_tui_window_words(tui));
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

static unsigned int act_interval(struct mw_tui *tui, int by)
{
	static const double steps[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60};
	const int n = sizeof(steps) / sizeof(steps[0]);
	int i = 0;

	while (i < n - 1 && steps[i] < tui->state->interval)
		i++;
	if (by > 0 && steps[i] <= tui->state->interval)
		i++;
	if (by < 0)
		i--;
	i = i < 0 ? 0 : i > n - 1 ? n - 1 : i;
	tui->state->interval = steps[i];
	mw_tui__say(tui, "a sample every %g s", steps[i]);
	return MW_TUI_REDRAW;
}

static unsigned int act_export(struct mw_tui *tui, int arg)
{
	(void)arg;
	mw_export__write(tui);
	return MW_TUI_REDRAW;
}

static unsigned int act_snapshot(struct mw_tui *tui, int arg)
{
	(void)arg;
	if (tui->list)
		tui->target = tui->list_cursor.selected;
	return MW_TUI_SNAPSHOT | MW_TUI_REDRAW;
}

static unsigned int act_fine(struct mw_tui *tui, int arg)
{
	(void)arg;
	tui->fine = !tui->fine;
	mw_tui__say(tui, tui->fine ? "a row for each size class" : "rows that double");
	return MW_TUI_REDRAW;
}

static unsigned int act_log(struct mw_tui *tui, int arg)
{
	(void)arg;
	tui->log_rows = tui->log_rows <= 0 ? 4 : tui->log_rows == 4 ? 12 : 0;
	tui->log_seen = tui->state->log_total;
	return MW_TUI_REDRAW;
}

static unsigned int act_light(struct mw_tui *tui, int arg)
{
	(void)arg;
	mw_theme__set_light(&tui->theme, !tui->theme.light);
	clearok(curscr, TRUE);
	mw_tui__say(tui, "colours for a %s ground", tui->theme.light ? "light" : "dark");
	return MW_TUI_REDRAW;
}

static unsigned int act_repaint(struct mw_tui *tui, int arg)
{
	(void)tui;
	(void)arg;
	clearok(curscr, TRUE);
	return MW_TUI_REDRAW;
}

static unsigned int act_help(struct mw_tui *tui, int arg)
{
	(void)arg;
	tui->help = !tui->help;
	tui->help_cursor.selected = 0;
	return MW_TUI_REDRAW;
}

static unsigned int act_quit(struct mw_tui *tui, int arg)
{
	(void)tui;
	(void)arg;
	return MW_TUI_QUIT;
}

static unsigned int act_resize(struct mw_tui *tui, int arg)
{
	(void)tui;
	(void)arg;
	return MW_TUI_REDRAW;
}

static unsigned int act_mouse(struct mw_tui *tui, int arg)
{
	MEVENT event;

	(void)arg;
	if (getmouse(&event) != OK)
		return 0;
	if (event.bstate & BUTTON4_PRESSED)
		return act_move(tui, -3);
	if (event.bstate & BUTTON5_PRESSED)
		return act_move(tui, 3);
	if (event.y == MW_HEADER_ROWS - 1 && !tui->list) {
		for (int i = 0; i < MW_VIEWS; i++) {
			if (event.x >= tui->tab_x[i] && event.x < tui->tab_x[i + 1])
				return act_view(tui, i);
		}
	}
	/* A list's first line is below a line of heads. */
	if (event.y > tui->body_y && event.y < tui->body_y + tui->body_rows) {
		struct mw_cursor *c = cursor_of(tui);
		size_t line = c->top + (size_t)(event.y - tui->body_y - 1);

		if (line >= c->lines || tui->help)
			return 0;
		/*
		 * Two clicks that arrive together are one double click; else the second is a click
		 * on the selection.
		 */
		if (line == c->selected || event.bstate & BUTTON1_DOUBLE_CLICKED) {
			c->selected = line;
			return act_enter(tui, 0);
		}
		c->selected = line;
		return MW_TUI_REDRAW;
	}
	return 0;
}

#define CTRL(c) ((c)&0x1f)

static const struct binding bindings[] = {
	{{KEY_UP, 'k'}, act_move, -1, "Up Down, k j", "move, scroll"},
	{{KEY_DOWN, 'j'}, act_move, 1, NULL, NULL},
	{{KEY_PPAGE, CTRL('b')}, act_page, -1, "PgUp PgDn", "a page"},
	{{KEY_NPAGE, CTRL('f')}, act_page, 1, NULL, NULL},
	{{KEY_HOME, 'g'}, act_end, -1, "Home End, g G", "first, last line"},
	{{KEY_END, 'G'}, act_end, 1, NULL, NULL},
	{{KEY_RIGHT, 'l'},
	 act_enter,
	 1,
	 "Right Left, l h",
	 "open, close: a stack, a part of the tree"},
	{{KEY_LEFT, 'h'}, toggle, -1, NULL, NULL},
	{{'\r', KEY_ENTER, ' '},
	 act_enter,
	 0,
	 "Enter Space",
	 "open or close; Ledger: who holds it; Why: more; list: show the target"},
	{{27, KEY_BACKSPACE, 127, 8},
	 act_back,
	 0,
	 "Esc Backspace",
	 "back: out of help, filter, target"},
	{{'\t'}, act_next_view, 1, "Tab, Shift-Tab", "next, previous view"},
	{{KEY_BTAB}, act_next_view, -1, NULL, NULL},
	{{'0'}, act_view, MW_VIEW_WHY, "0", "Why: what it is, what grows, and what to do"},
	{{'1'}, act_view, MW_VIEW_SIZES, "1", "Sizes: requests by size"},
	{{'2'}, act_view, MW_VIEW_SPLIT, "2", "Split: heap, arenas, mappings"},
	{{'3'}, act_view, MW_VIEW_SITES, "3", "Sites: where memory was asked for"},
	{{'4'}, act_view, MW_VIEW_LEDGER, "4", "Ledger: who owns what is resident"},
	{{'5'}, act_view, MW_VIEW_TIMELINE, "5", "Timeline: RSS, heap, mappings, faults"},
	{{'/'}, act_filter, 0, "/", "filter the lines of Sites and Ledger by text"},
	{{'s'}, act_sort, 1, "s S", "sort by the next, the previous column"},
	{{'S'}, act_sort, -1, NULL, NULL},
	{{'c'}, act_fine, 0, "c", "Sizes: a row for each size class, or rows that double"},
	{{'r'}, act_look, 0, "r", "look now: walk the heap, measure the ledger"},
	{{'b'}, act_baseline, 0, "b", "make this moment the baseline"},
	{{'d'}, act_since, 0, "d", "count since the baseline, or since attach"},
	{{'p'}, act_pause, 0, "p", "pause the picture; counting goes on"},
	{{'+', '='}, act_interval, 1, "+ -", "a longer, a shorter interval"},
	{{'-'}, act_interval, -1, NULL, NULL},
	{{'e'}, act_export, 0, "e", "export this view: text and JSON, into the current folder"},
	{{'w'}, act_snapshot, 0, "w", "write a snapshot: a core of the target"},
	{{'L'}, act_log, 0, "L", "log panel: more, less"},
	{{'t'}, act_light, 0, "t", "colours for a light or a dark ground"},
	{{CTRL('l')}, act_repaint, 0, "Ctrl-L", "repaint the screen"},
	{{'?', KEY_F(1)}, act_help, 0, "?", "this help"},
	{{'q', KEY_F(10)}, act_quit, 0, "q, Ctrl-C", "quit"},
	{{KEY_MOUSE},
	 act_mouse,
	 0,
	 "mouse",
	 "wheel scrolls, a click selects, opens, or takes a tab"},
	{{KEY_RESIZE}, act_resize, 0, NULL, NULL},
};

size_t mw_keys__count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
		n += bindings[i].shown != NULL;
	return n;
}

void mw_keys__at(size_t nth, const char **shown, const char **help)
{
	*shown = *help = "";
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
		if (!bindings[i].shown || nth--)
			continue;
		*shown = bindings[i].shown;
		*help = bindings[i].help;
		return;
	}
}

static unsigned int type_filter(struct mw_tui *tui, int key)
{
	size_t len = strlen(tui->filter);

	if (key == '\r' || key == KEY_ENTER) {
		tui->typing = false;
	} else if (key == 27) {
		tui->typing = false;
		tui->filter[0] = '\0';
	} else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
		if (len)
			tui->filter[len - 1] = '\0';
	} else if (key == CTRL('u')) {
		tui->filter[0] = '\0';
	} else if (key >= ' ' && key < 127 && len + 1 < sizeof(tui->filter)) {
		tui->filter[len] = (char)key;
		tui->filter[len + 1] = '\0';
	}
	return MW_TUI_RECALC | MW_TUI_REDRAW;
}

unsigned int mw_tui__handle(struct mw_tui *tui, int key)
{
	unsigned int reaction = 0;

	if (tui->typing && key != KEY_RESIZE && key != KEY_MOUSE) {
		reaction = type_filter(tui, key);
	} else {
		/* A message about new log lines has been seen once a key is pressed. */
		tui->log_seen = tui->state->log_total;
		for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
			const struct binding *b = &bindings[i];

			for (int k = 0; k < 4 && b->keys[k]; k++) {
				if (b->keys[k] == key) {
					reaction = b->act(tui, b->arg);
					goto done;
				}
			}
		}
	}
done:
	if (reaction & MW_TUI_RECALC)
		mw_tui__recalc(tui);
	return reaction;
}

bool mw_tui__read_key(struct mw_tui *tui, int *key)
{
	int c = wgetch(tui->input);

	if (c == ERR)
		return false;
	*key = c;
	return true;
}

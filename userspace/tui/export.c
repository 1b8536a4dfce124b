// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Export a view: as text, drawn onto a pad that is high enough for all of it and read back; and its
 * numbers as JSON.
 */
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tui/view.h"
#include "util/cleanup.h"

enum { ROWS = 2000, COLUMNS = 160, BODY_MIN = 40 };

static const char *word_of(const struct mw_tui *tui)
{
	static const char *const words[MW_VIEWS] = {"why",   "sizes",  "split",
						    "sites", "ledger", "timeline"};

	return tui->help ? "help" : tui->list ? "targets" : words[tui->view];
}

/* Never overwrites a file, never follows a link. */
static FILE *create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (fd >= 0 && !out)
		close(fd);
	return out;
}

static int row_text(WINDOW *pad, int y, wchar_t *text)
{
	int n = 0, used = 0;

	for (int x = 0; x < COLUMNS; x++) {
		wchar_t cell[CCHARW_MAX + 1];
		cchar_t c;
		attr_t attributes;
		short pair;

		if (mvwin_wch(pad, y, x, &c) == ERR ||
		    getcchar(&c, cell, &attributes, &pair, NULL) == ERR)
			continue;
		/* The second column of a wide character comes with the first. */
		if (wcwidth(cell[0]) == 2)
			x++;
		text[n++] = cell[0];
		if (cell[0] != L' ')
			used = n;
	}
	text[used] = 0;
	return used;
}

static int write_text(struct mw_tui *tui, FILE *out)
{
	struct mw_cursor cursor = tui->cursor[tui->view], list = tui->list_cursor;
	struct mw_canvas c = {.theme = &tui->theme, .rows = ROWS, .cols = COLUMNS};
	struct mw_canvas part;
	int last = 0;

	c.win = newpad(ROWS, COLUMNS);
	if (!c.win)
		return -ENOMEM;
	part = mw_canvas_part(&c, 0, 0, MW_HEADER_ROWS, COLUMNS);
	mw_header__draw(tui, &part);
	/* A list gets all the rows that it needs; graphs get those of a usual screen. */
	part = mw_canvas_part(&c, MW_HEADER_ROWS, 0,
			      tui->view == MW_VIEW_TIMELINE ? BODY_MIN : ROWS - MW_HEADER_ROWS,
			      COLUMNS);
	mw_body__draw(tui, &part);
	tui->cursor[tui->view] = cursor;
	tui->list_cursor = list;
	for (int pass = 0; pass < 2; pass++) {
		for (int y = 0; y < (pass ? last : ROWS); y++) {
			wchar_t text[COLUMNS + 1];
			int used = row_text(c.win, y, text);

			if (!pass && used)
				last = y + 1;
			else if (pass)
				fprintf(out, "%ls\n", text);
		}
	}
	delwin(c.win);
	return ferror(out) ? -EIO : 0;
}

static json_t *view_json(struct mw_tui *tui)
{
	const struct mw_tui_target *t = mw_tui_shown(tui);
	json_t *doc = tui->list ? mw_targets__json(tui) : mw_views[tui->view]->json(tui);

	if (!doc)
		return NULL;
	json_object_set_new(doc, "view", json_string(word_of(tui)));
	json_object_set_new(doc, "time", json_real(tui->state->time));
	if (!tui->list) {
		json_object_set_new(doc, "pid", json_integer(t->pid));
		json_object_set_new(doc, "name", json_string(t->name));
		json_object_set_new(doc, "elapsed_seconds", json_real(t->now.elapsed));
		json_object_set_new(doc, "since", json_string(mw_tui_window_words(tui)));
	}
	return doc;
}

static int write_file(struct mw_tui *tui, const char *path, bool as_json)
{
	json_t *doc = as_json ? view_json(tui) : NULL;
	FILE *out = create(path);
	int ret = out ? 0 : -errno;

	if (out && as_json)
		ret = doc && !json_dumpf(doc, out, JSON_INDENT(1)) ? 0 : -EIO;
	else if (out)
		ret = write_text(tui, out);
	json_decref(doc);
	if (out && fclose(out) && !ret)
		ret = -errno;
	return ret;
}

void mw_export__write(struct mw_tui *tui)
{
	char stem[96], path[112], when[32] = "now";
	time_t now = (time_t)tui->state->time;
	struct tm tm;
	int ret;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	snprintf(stem, sizeof(stem), "memwhere-%s-%d-%s", word_of(tui), mw_tui_shown(tui)->pid,
		 when);
	snprintf(path, sizeof(path), "%s.txt", stem);
	ret = write_file(tui, path, false);
	if (!ret && !tui->help) {
		snprintf(path, sizeof(path), "%s.json", stem);
		ret = write_file(tui, path, true);
	}
	if (ret)
		mw_tui__say(tui, "could not write %s: %s", path, strerror(-ret));
	else
		mw_tui__say(tui, "wrote %s.txt%s", stem, tui->help ? "" : " and .json");
}

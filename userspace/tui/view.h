/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of tui/ share: the screen's state, and the interface of a view. */
#ifndef MW_TUI_VIEW_H
#define MW_TUI_VIEW_H

#include <jansson.h>
#include <stddef.h>

#include "tui/draw.h"
#include "tui/tui.h"
#include "util/units.h"

enum mw_view_id {
	MW_VIEW_WHY,
	MW_VIEW_SIZES,
	MW_VIEW_SPLIT,
	MW_VIEW_SITES,
	MW_VIEW_LEDGER,
	MW_VIEW_TIMELINE,
	MW_VIEWS,
};

/* Where a list is: lines are counted from 0 on. */
struct mw_cursor {
	size_t selected, top, lines, page;
};

/* A line of the sites' list: a label's row, its sentence, one of its stacks, or a frame of it. */
struct mw_site_line {
	const struct mw_tui_site *site;	  /* of the sites that recalc saw; new ones make it stale */
	const struct mw_tui_stack *stack; /* NULL: the line is of all of them */
	uint32_t id, stack_id;
	int frame; /* from 0 on; below, one of these: */
};

/* A stack's numbers; a suspect's sentence, whose further lines are MW_LINE_SENTENCE - 1, - 2, … */
enum { MW_LINE_SITE = -1, MW_LINE_STACK = -2, MW_LINE_SENTENCE = -3 };

/* A line of the ledger's tree, or one who holds what the owner above has. */
struct mw_owner_line {
	char path[80]; /* "glibc/free/bin" */
	unsigned int level;
	bool whole; /* nothing below it */
	bool open;
	int holder; /* index of it + 1; MW_NO_HOLDER: words instead; 0: the line is an owner's */
	uint64_t resident, count, before; /* BEFORE: resident then */
};

enum { MW_NO_HOLDER = -1 };

struct mw_path {
	char text[80];
};

struct mw_tui {
	struct mw_tui_state *state;
	struct mw_theme theme;
	void *screen, *input; /* of curses: SCREEN and the pad that keys are read through */
	enum mw_view_id view;
	size_t target;
	bool list; /* the list of targets is shown */
	bool help;
	bool since_baseline;
	bool fine; /* Sizes: a row for each class */
	unsigned int sort[MW_VIEWS];
	struct mw_cursor cursor[MW_VIEWS], list_cursor, help_cursor;
	char filter[64];
	bool typing;  /* the filter is being typed */
	int log_rows; /* of the log's panel; -1: as it fits */
	size_t log_seen;
	char message[200];
	double message_until;
	int tab_x[MW_VIEWS + 1]; /* columns where the tabs begin, for clicks */
	int body_y, body_rows;
	int cols; /* of the screen, for what is broken into lines */
	/* Sites */
	struct mw_site_line *site_lines;
	size_t site_line_count, site_line_capacity;
	const struct mw_tui_site **site_list;
	size_t site_count, site_capacity;
	uint32_t *open_sites; /* numbers */
	size_t open_count, open_capacity;
	struct mw_site_base *site_bases; /* by number, of the stacks when the baseline was set */
	size_t base_count;
	/* Ledger */
	struct mw_owner_line *owners;
	size_t owner_count, owner_capacity;
	struct mw_path *toggled; /* opened or closed by hand */
	size_t toggled_count, toggled_capacity;
	bool holders_wanted; /* an owner was opened: its holders must be found */
};

struct mw_site_base {
	double kept, freed, unknown, growth, faults;
};

struct mw_view {
	const char *name;		    /* on its tab */
	const char *const *sorts;	    /* words, up to a NULL; may be NULL */
	void (*recalc)(struct mw_tui *tui); /* may be NULL */
	void (*draw)(struct mw_tui *tui, const struct mw_canvas *canvas);
	void (*toggle)(struct mw_tui *tui, int how); /* 1 open, -1 close, 0 either; may be NULL */
	json_t *(*json)(struct mw_tui *tui);
};

extern const struct mw_view *const mw_views[MW_VIEWS];
extern const struct mw_view mw_view_why, mw_view_sizes, mw_view_split, mw_view_sites,
	mw_view_ledger, mw_view_timeline;

static inline struct mw_tui_target *mw_tui_shown(const struct mw_tui *tui)
{
	return &tui->state->targets[tui->target];
}

/* Counts since the watch began or since the baseline, as the user chose. */
void mw_tui_window(const struct mw_tui *tui, struct mw_sample *out);
/* The words for it: "since attach", "since the baseline". */
const char *mw_tui_window_words(const struct mw_tui *tui);
/* A rate of a point's: "?" if it is not known; into BUF. */
const char *mw_tui_format_rate(char buf[MW_UNIT_BUF], double per_second);

/* Keep the selected line in sight of ROWS rows. */
void mw_cursor__fit(struct mw_cursor *cursor, size_t lines, int rows);
void mw_cursor__move(struct mw_cursor *cursor, long by);

bool mw_text_matches(const char *text, const char *filter); /* case does not matter */

enum { MW_HEADER_ROWS = 4, MW_MIN_COLS = 72, MW_MIN_ROWS = 16 };
void mw_header__draw(struct mw_tui *tui, const struct mw_canvas *canvas);
void mw_targets__draw(struct mw_tui *tui, const struct mw_canvas *canvas);
json_t *mw_targets__json(struct mw_tui *tui);
void mw_help__draw(struct mw_tui *tui, const struct mw_canvas *canvas);
void mw_log__draw(struct mw_tui *tui, const struct mw_canvas *canvas);
void mw_body__draw(struct mw_tui *tui, const struct mw_canvas *canvas);

/* Write what is shown into two files and say so. */
void mw_export__write(struct mw_tui *tui);

/* Events near the end of the target's list, newest last, into canvas. */
void mw_events__draw(struct mw_tui *tui, const struct mw_canvas *canvas);

/* The terminal: take it over, and restore it. */
int mw_term__open(struct mw_tui *tui, struct mw_err *err);
void mw_term__close(struct mw_tui *tui);

/* The rows of the table of keys that the help shows. */
size_t mw_keys__count(void);
void mw_keys__at(size_t nth, const char **shown, const char **help);

/* Remember the sites' present numbers, to show changes since. */
void mw_sites__set_baseline(struct mw_tui *tui);

/* Seconds since the memory of target T was looked at for what ELAPSED, of that look, dates. */
static inline double mw_tui_age(const struct mw_tui_target *t, double elapsed)
{
	return t->now.elapsed > elapsed ? t->now.elapsed - elapsed : 0;
}

#endif

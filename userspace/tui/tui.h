/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The screen: opens the terminal, draws the state, answers keys. A process has at most one, because
 * curses has only one.
 *
 * When another thread writes the state, both hold a lock: the writer, and the caller of
 * mw_tui__handle(), mw_tui__recalc() and mw_tui__compose(). None of these waits for the terminal;
 * mw_tui__flush() does, and needs no lock.
 */
#ifndef MW_TUI_TUI_H
#define MW_TUI_TUI_H

#include <stdbool.h>

#include "tui/state.h"
#include "util/err.h"

struct mw_tui; /* opaque */

/* What the caller must do after a key. */
enum {
	MW_TUI_REDRAW = 1,
	MW_TUI_RECALC = 2, /* lists must be sorted again */
	MW_TUI_QUIT = 4,
	MW_TUI_SNAPSHOT = 8, /* of mw_tui__target() */
	MW_TUI_HOLDERS = 32, /* find mw_tui_target.holders of mw_tui__target() */
	MW_TUI_LOOK = 16,    /* walk the heaps, measure the ledger of mw_tui__target() */
};

struct mw_tui_options {
	bool color; /* if the terminal has any */
};

/*
 * Take over the terminal. Handlers for crash signals restore it and then pass the signal on; only
 * SIGKILL leaves the terminal as it is. NULL with errno and ERR set.
 */
struct mw_tui *mw_tui__open(struct mw_tui_state *state, const struct mw_tui_options *options,
			    struct mw_err *err);
void mw_tui__close(struct mw_tui *tui);

/* Read a key without waiting; false when there is none. */
bool mw_tui__read_key(struct mw_tui *tui, int *key);

/* Answer KEY; returns MW_TUI_… flags. */
unsigned int mw_tui__handle(struct mw_tui *tui, int key);

/* Sort the lists again, after the state has changed. */
void mw_tui__recalc(struct mw_tui *tui);

/* Draw into memory, then send what has changed. */
void mw_tui__compose(struct mw_tui *tui);
void mw_tui__flush(struct mw_tui *tui);

/* The target that is shown, or the one selected in the list of targets. */
size_t mw_tui__target(const struct mw_tui *tui);

/* A line at the bottom, for some seconds. */
void mw_tui__say(struct mw_tui *tui, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

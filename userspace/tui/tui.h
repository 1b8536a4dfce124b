/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The screen: opens the terminal, draws the state's picture, answers keys. One at a time, since
 * curses is; whoever else writes the state holds a lock around mw_tui__handle() and
 * mw_tui__compose(), which never wait. Only mw_tui__flush() may: a terminal can be slow.
 */
#ifndef MW_TUI_TUI_H
#define MW_TUI_TUI_H

#include <stdbool.h>

#include "tui/state.h"
#include "util/err.h"

struct mw_tui; /* opaque */

/* What a key asks of the caller. */
enum {
	MW_TUI_REDRAW = 1,
	MW_TUI_RECALC = 2, /* what is shown has to be put in order again */
	MW_TUI_QUIT = 4,
	MW_TUI_SNAPSHOT = 8, /* of mw_tui__target() */
};

struct mw_tui_options {
	bool color; /* if the terminal has any */
};

/*
 * Take over the terminal. However the process ends, it is given back, but for SIGKILL: the signals
 * of a crash write what resets it and go on as before. NULL with errno and ERR set.
 */
struct mw_tui *mw_tui__open(struct mw_tui_state *state, const struct mw_tui_options *options,
			    struct mw_err *err);
void mw_tui__close(struct mw_tui *tui);

/* The next key that is waiting, false when there is none. To be asked when stdin is readable. */
bool mw_tui__read_key(struct mw_tui *tui, int *key);

/* Answer KEY; MW_TUI_… */
unsigned int mw_tui__handle(struct mw_tui *tui, int key);

/* The state has new numbers: order lists anew. */
void mw_tui__recalc(struct mw_tui *tui);

/* Draw into memory, then send what has changed. */
void mw_tui__compose(struct mw_tui *tui);
void mw_tui__flush(struct mw_tui *tui);

/* The target that is shown, or the one selected in the list of targets. */
size_t mw_tui__target(const struct mw_tui *tui);

/* A line at the bottom, for some seconds. */
void mw_tui__say(struct mw_tui *tui, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

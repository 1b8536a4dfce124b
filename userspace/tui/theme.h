/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Colours, attributes and signs: one table for 256, 16 and no colours, light and dark. */
#ifndef MW_TUI_THEME_H
#define MW_TUI_THEME_H

#include <stdbool.h>

enum mw_ink {
	MW_INK_PLAIN,
	MW_INK_BOLD,
	MW_INK_DIM,
	MW_INK_TITLE,	 /* the head's background */
	MW_INK_TAB,	 /* the view that is shown */
	MW_INK_SELECTED, /* the row that keys act on */
	MW_INK_GOOD,
	MW_INK_WARN,
	MW_INK_BAD,
	MW_INK_RULE, /* the threshold's */
	MW_INK_BAR,
	/* Parts of a stacked bar and lines of the timeline, distinct for the colour-blind, too. */
	MW_INK_PART,
	MW_INK_PART_LAST = MW_INK_PART + 4,
	MW_INKS,
};

/* A letter or a sign, in UTF-8 or ASCII. */
struct mw_glyphs {
	const char *open, *closed, *leaf; /* of a tree */
	const char *suspect, *mark, *arrow_up, *arrow_down, *rule, *ellipsis, *baseline, *separator;
};

struct mw_theme {
	bool utf8, color, light;
	int colors; /* that the terminal has */
	const struct mw_glyphs *glyphs;
	unsigned int attributes[MW_INKS]; /* of curses */
};

/* Set from the terminal and the environment; after curses has started. */
void mw_theme__init(struct mw_theme *theme, bool color);
void mw_theme__set_light(struct mw_theme *theme, bool light);

#endif

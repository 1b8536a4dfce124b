// SPDX-License-Identifier: GPL-2.0-or-later
#include <curses.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#include "tui/theme.h"

static const struct mw_glyphs unicode = {
	.open = "▾",
	.closed = "▸",
	.leaf = " ",
	.suspect = "▲",
	.mark = "│",
	.arrow_up = "↑",
	.arrow_down = "↓",
	.rule = "─",
	.ellipsis = "…",
	.baseline = "Δ",
	.separator = "│",
};
static const struct mw_glyphs ascii = {
	.open = "-",
	.closed = "+",
	.leaf = " ",
	.suspect = "!",
	.mark = "|",
	.arrow_up = "^",
	.arrow_down = "v",
	.rule = "-",
	.ellipsis = "...",
	.baseline = "d",
	.separator = "|",
};

/*
 * Okabe and Ito's palette, which people with the common colour deficiencies can distinguish, by the
 * nearest of 256 colours; on a light background the darker neighbours.
 */
struct paint {
	short dark, light, few; /* foreground: of 256, of 256 on a light background, of 16 */
	attr_t with, without;	/* attributes with colours and without */
};

static const struct paint paints[MW_INKS] = {
	[MW_INK_PLAIN] = {-1, -1, -1, A_NORMAL, A_NORMAL},
	[MW_INK_BOLD] = {-1, -1, -1, A_BOLD, A_BOLD},
	[MW_INK_DIM] = {246, 241, -1, A_NORMAL, A_NORMAL},
	[MW_INK_TITLE] = {-1, -1, -1, A_REVERSE, A_REVERSE},
	[MW_INK_TAB] = {-1, -1, -1, A_REVERSE | A_BOLD, A_REVERSE | A_BOLD},
	[MW_INK_SELECTED] = {-1, -1, -1, A_REVERSE, A_REVERSE},
	[MW_INK_GOOD] = {36, 29, COLOR_CYAN, A_NORMAL, A_NORMAL},
	[MW_INK_WARN] = {214, 130, COLOR_YELLOW, A_NORMAL, A_BOLD},
	[MW_INK_BAD] = {202, 160, COLOR_RED, A_BOLD, A_BOLD | A_REVERSE},
	[MW_INK_RULE] = {214, 130, COLOR_YELLOW, A_NORMAL, A_BOLD},
	[MW_INK_BAR] = {32, 25, COLOR_BLUE, A_NORMAL, A_NORMAL},
	[MW_INK_PART] = {32, 25, COLOR_BLUE, A_NORMAL, A_NORMAL},
	[MW_INK_PART + 1] = {74, 31, COLOR_CYAN, A_NORMAL, A_NORMAL},
	[MW_INK_PART + 2] = {214, 130, COLOR_YELLOW, A_NORMAL, A_NORMAL},
	[MW_INK_PART + 3] = {175, 126, COLOR_MAGENTA, A_NORMAL, A_NORMAL},
	[MW_INK_PART + 4] = {246, 241, COLOR_WHITE, A_NORMAL, A_NORMAL},
};

void mw_theme__set_light(struct mw_theme *theme, bool light)
{
	theme->light = light;
	for (int i = 0; i < MW_INKS; i++) {
		const struct paint *p = &paints[i];
		short color = theme->colors >= 256 ? (light ? p->light : p->dark) : p->few;

		theme->attributes[i] = theme->color ? p->with : p->without;
		if (!theme->color || color < 0)
			continue;
		if (theme->colors < 256 && light && color == COLOR_WHITE)
			color = COLOR_BLACK;
		init_pair((short)(i + 1), color, -1);
		theme->attributes[i] |= (unsigned int)COLOR_PAIR(i + 1);
	}
}

/* COLORFGBG is "15;0" where a terminal sets it: the last number is the background. */
static bool ground_is_light(void)
{
	const char *value = getenv("COLORFGBG"), *last = value ? strrchr(value, ';') : NULL;

	return last && (!strcmp(last, ";7") || !strcmp(last, ";15"));
}

void mw_theme__init(struct mw_theme *theme, bool color)
{
	memset(theme, 0, sizeof(*theme));
	theme->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	theme->glyphs = theme->utf8 ? &unicode : &ascii;
	theme->color = color && has_colors() && start_color() == OK && use_default_colors() == OK;
	theme->colors = theme->color ? COLORS : 0;
	if (theme->colors < 8)
		theme->color = false;
	mw_theme__set_light(theme, ground_is_light());
}

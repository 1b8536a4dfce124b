/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of the option table, for those that make something else of it (completion). */
#ifndef MW_CMD_OPTIONS_H
#define MW_CMD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum mw_option_kind {
	MW_OPT_FLAG,	/* bool */
	MW_OPT_TEXT,	/* const char * */
	MW_OPT_WORD,	/* const char *, one of .choices */
	MW_OPT_COLOR,	/* enum mw_color */
	MW_OPT_SIZE,	/* uint64_t, bytes */
	MW_OPT_RATE,	/* uint64_t, bytes a second */
	MW_OPT_SECONDS, /* double */
	MW_OPT_UINT,	/* uint64_t, 1 to UINT32_MAX */
};

struct mw_option {
	const char *name; /* without the dashes; NULL for a letter only */
	char letter;	  /* 0: none */
	enum mw_option_kind kind;
	size_t field;	   /* offset in struct mw_options */
	uint32_t commands; /* enum mw_command_id bits */
	const char *arg;   /* what the help calls its value; NULL for a flag */
	const char *help;
	const char *choices; /* the words it takes, space-separated, or NULL */
};

extern const struct mw_option mw_option_table[]; /* ends with a row without help */

#endif

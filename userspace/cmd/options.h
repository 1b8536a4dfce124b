/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options as tables. A command lists groups of rows; a row names the variable that its value goes
 * into, and what that variable holds beforehand is the default. Parsing, help and the completion of
 * all shells are made from the same rows.
 *
 * An option of one command is a row and a static variable in that command's file. What several
 * commands take is a group that one file owns (cmd/watch.c, cmd/heap.c) and the commands list.
 */
#ifndef MW_CMD_OPTIONS_H
#define MW_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

struct mw_command;

enum mw_option_kind {
	MW_OPT_FLAG,	/* .flag becomes true */
	MW_OPT_TEXT,	/* .text */
	MW_OPT_FILE,	/* .text, the path of a file */
	MW_OPT_DIR,	/* .text, the path of a folder */
	MW_OPT_WORD,	/* .text, one of the row's choices */
	MW_OPT_SIZE,	/* .number, bytes */
	MW_OPT_RATE,	/* .number, bytes a second */
	MW_OPT_UINT,	/* .number, 1 to UINT32_MAX */
	MW_OPT_SECONDS, /* .seconds */
};

struct mw_option {
	const char *name; /* without the dashes; NULL for a letter only */
	char letter;	  /* 0: none */
	enum mw_option_kind kind;
	union {
		bool *flag;
		const char **text;
		uint64_t *number;
		double *seconds;
	} value;
	const char *arg;     /* what the help calls its value; NULL for a flag */
	const char *help;    /* one line */
	const char *choices; /* MW_OPT_WORD: the words it takes, space-separated */
};

/* A row's value: MW_VALUE(flag, stop) is {.flag = &stop}. */
#define MW_VALUE(kind, variable)                                                                   \
	{                                                                                          \
		.kind = &(variable)                                                                \
	}

/* Options that go together. */
struct mw_option_group {
	const struct mw_option *rows; /* ends with a row without help */
	/* Finds values that contradict each other, once all are read. May be NULL. */
	int (*check)(struct mw_err *err);
};

enum { MW_OPTION_GROUPS = 4 };

/* What every command takes. */
struct mw_options {
	const struct mw_command *command;
	int argc; /* words that are not options: targets, addresses, files */
	char **argv;
	bool help_short, help_long;
	bool json, verbose, quiet;
	const char *color; /* "auto", "always", "never" */
	const char *output;
};

/*
 * Parse the words after the command's name: into *OPT, and into the variables of the command's
 * groups. 0, or -EINVAL with ERR set (a usage error); then OPT says whether --json was given.
 */
int mw_options_parse(struct mw_options *opt, const struct mw_command *command, int argc,
		     char **argv, struct mw_err *err);

/* COMMAND's I-th option, its own ones before the shared ones; NULL past the last. */
const struct mw_option *mw_command_option(const struct mw_command *command, size_t i);

void mw_options_print_help(FILE *out, const struct mw_command *command, bool full);

#endif

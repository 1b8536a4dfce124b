// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/cmd.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/text.h"
#include "util/units.h"

static struct mw_options shared = {.color = "auto"};

static const struct mw_option shared_rows[] = {
	{"json", 'j', MW_OPT_FLAG, MW_VALUE(flag, shared.json), NULL,
	 "print JSON, one object a line for streams; errors, too", NULL},
	{"verbose", 'v', MW_OPT_FLAG, MW_VALUE(flag, shared.verbose), NULL,
	 "say what was found, how, and what it costs", NULL},
	{"quiet", 'q', MW_OPT_FLAG, MW_VALUE(flag, shared.quiet), NULL, "no warnings, no progress",
	 NULL},
	{"output", 'o', MW_OPT_FILE, MW_VALUE(text, shared.output), "FILE",
	 "write to FILE instead of stdout", NULL},
	{"color", 0, MW_OPT_WORD, MW_VALUE(text, shared.color), "WHEN",
	 "auto (default), always or never", "auto always never"},
	{NULL, 'h', MW_OPT_FLAG, MW_VALUE(flag, shared.help_short), NULL, "this short help", NULL},
	{"help", 0, MW_OPT_FLAG, MW_VALUE(flag, shared.help_long), NULL, "the whole help", NULL},
	{0},
};

const struct mw_option *mw_command_option(const struct mw_command *command, size_t i)
{
	for (const struct mw_option_group *const *group = command->groups;; group++) {
		const struct mw_option *row = *group ? (*group)->rows : shared_rows;

		for (; row->help; row++) {
			if (!i--)
				return row;
		}
		if (!*group)
			return NULL;
	}
}

static bool is_choice(const char *choices, const char *word)
{
	size_t n = strlen(word);

	for (const char *c = choices; n && (c = strstr(c, word)); c++) {
		if ((c == choices || c[-1] == ' ') && (c[n] == ' ' || !c[n]))
			return true;
	}
	return false;
}

/* "10M/s", or without the "/s". */
static int parse_rate(const char *arg, uint64_t *value)
{
	const char *slash = strchr(arg, '/');
	char size[32];

	if (slash && strcasecmp(slash, "/s"))
		return -EINVAL;
	snprintf(size, sizeof(size), "%.*s", slash ? (int)(slash - arg) : 31, arg);
	return mw_parse_size(size, value);
}

static int parse_value(const struct mw_option *row, const char *arg)
{
	int ret = 0;

	switch (row->kind) {
	case MW_OPT_FLAG:
		*row->value.flag = true;
		break;
	case MW_OPT_TEXT:
	case MW_OPT_FILE:
	case MW_OPT_DIR:
	case MW_OPT_WORD:
		*row->value.text = arg;
		break;
	case MW_OPT_SIZE:
		ret = mw_parse_size(arg, row->value.number);
		break;
	case MW_OPT_RATE:
		ret = parse_rate(arg, row->value.number);
		break;
	case MW_OPT_UINT:
		ret = mw_parse_uint(arg, 1, UINT32_MAX, row->value.number);
		break;
	case MW_OPT_SECONDS:
		ret = mw_parse_seconds(arg, row->value.seconds);
		if (!ret && *row->value.seconds > 1e9)
			ret = -ERANGE;
		break;
	}
	return ret;
}

static int store(const struct mw_option *row, const char *arg, struct mw_err *err)
{
	int ret;

	if (row->choices && !is_choice(row->choices, arg))
		return mw_err_usage(err, row->name, "'%.40s' is none of: %s", arg, row->choices);
	ret = parse_value(row, arg);
	if (ret == -ERANGE)
		return mw_err_usage(err, row->name, "'%.40s' is out of range", arg);
	if (ret)
		return mw_err_usage(err, row->name, "'%.40s' is not a %s%s", arg,
				    row->kind == MW_OPT_SIZE || row->kind == MW_OPT_RATE ? "size"
				    : row->kind == MW_OPT_SECONDS			 ? "time"
								  : "whole number",
				    row->kind == MW_OPT_SIZE ? ", such as 512, 64K or 4.5M" : "");
	return 0;
}

enum { LONG_OPTION = 256 }; /* getopt's value of a long option: this and the row's index */

/* COMMAND's options as getopt wants them: two lists with room for COUNT rows. */
static void describe_to_getopt(const struct mw_command *command, struct option *longs, char *shorts)
{
	const struct mw_option *row;

	*shorts++ = ':';
	for (size_t i = 0; (row = mw_command_option(command, i)); i++) {
		if (row->name)
			*longs++ = (struct option){row->name,
						   row->arg ? required_argument : no_argument, NULL,
						   LONG_OPTION + (int)i};
		if (row->letter)
			*shorts++ = row->letter;
		if (row->letter && row->arg)
			*shorts++ = ':';
	}
}

static const struct mw_option *row_of(const struct mw_command *command, int value)
{
	const struct mw_option *row;

	if (value >= LONG_OPTION)
		return mw_command_option(command, (size_t)(value - LONG_OPTION));
	for (size_t i = 0; (row = mw_command_option(command, i)); i++) {
		if (row->letter == (char)value)
			break;
	}
	return row;
}

static int check_groups(const struct mw_command *command, struct mw_err *err)
{
	int ret = 0;

	for (size_t i = 0; command->groups[i] && !ret; i++)
		ret = command->groups[i]->check ? command->groups[i]->check(err) : 0;
	return ret;
}

static int parse(const struct mw_command *command, int argc, char **argv, struct mw_err *err)
{
	_cleanup_free_ struct option *longs = NULL;
	_cleanup_free_ char *shorts = NULL;
	size_t count = 0;
	int c;

	while (mw_command_option(command, count))
		count++;
	longs = calloc(count + 1, sizeof(*longs));
	shorts = calloc(count + 1, 2);
	if (!longs || !shorts)
		return mw_err_no_memory(err, NULL);
	describe_to_getopt(command, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int ret;

		if (c == ':')
			return mw_err_usage(err, command->name, "option '%.40s' wants a value",
					    argv[optind - 1]);
		if (c == '?')
			return mw_err_usage(
				err, command->name,
				"unknown option '%.40s' (memwhere %s --help lists them)",
				argv[optind - 1], command->name);
		ret = store(row_of(command, c), optarg, err);
		if (ret)
			return ret;
	}
	return check_groups(command, err);
}

int mw_options_parse(struct mw_options *opt, const struct mw_command *command, int argc,
		     char **argv, struct mw_err *err)
{
	int ret;

	shared.command = command;
	/* --json must be known before the first error is printed. */
	for (int i = 1; i < argc; i++)
		shared.json |= !strcmp(argv[i], "--json") || !strcmp(argv[i], "-j");
	ret = parse(command, argc, argv, err);
	shared.argc = argc - optind;
	shared.argv = argv + optind;
	*opt = shared;
	return ret;
}

static bool is_shared(const struct mw_option *row)
{
	return row >= shared_rows && row < shared_rows + MW_ARRAY_SIZE(shared_rows);
}

/* A screen has 80 columns and 24 lines. */
enum { COLUMNS = 79, LEFT = 26, WIDTH = COLUMNS - LEFT - 3 };

/* TEXT in lines of WIDTH columns, those from the second on at INDENT. */
static void print_text(FILE *out, const char *text, int indent, int width)
{
	for (int len, at = 0; *text; at = indent) {
		const char *next = mw_text_break(text, width, &len);

		fprintf(out, "%*s%.*s\n", at, "", len, text);
		text = next;
	}
}

/* A line of the short help: what the option does, without the details that follow. */
static void print_short(FILE *out, const char *left, const char *help)
{
	size_t n = strlen(help);
	const char *detail = strstr(help, " (");

	if (detail)
		n = (size_t)(detail - help);
	detail = strstr(help, ": ");
	if (n > WIDTH && detail && (size_t)(detail - help) < n)
		n = (size_t)(detail - help);
	for (size_t i = n > WIDTH ? WIDTH : 0; i; i--) {
		if (help[i] == ',' || help[i] == ';' || help[i] == ' ') {
			n = i;
			break;
		}
	}
	fprintf(out, "  %-*s %.*s\n", LEFT, left, (int)n, help);
}

void mw_options_print_help(FILE *out, const struct mw_command *command, bool full)
{
	const struct mw_option *row;

	fprintf(out, "usage: memwhere %s %s\n\n%s.\n", command->name, command->args,
		command->summary);
	if (full && command->about) {
		fputc('\n', out);
		print_text(out, command->about, 0, COLUMNS);
	}
	fprintf(out, "\noptions:\n");
	for (size_t i = 0; (row = mw_command_option(command, i)); i++) {
		char left[40], letter[8] = "    ";

		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c%s", row->letter,
				 row->name ? ", " : "");
		snprintf(left, sizeof(left), "%s%s%s%s%s", letter, row->name ? "--" : "",
			 row->name ? row->name : "", row->arg ? " " : "", row->arg ? row->arg : "");
		if (full) {
			fprintf(out, "  %-*s ", LEFT, left);
			print_text(out, row->help, LEFT + 3, WIDTH);
		} else if (!is_shared(row)) {
			print_short(out, left, row->help);
		}
	}
	if (!full)
		fprintf(out,
			"  also: -j --json, -v, -q, -o FILE, --color WHEN; --help explains all\n");
	if (full)
		fprintf(out,
			"\nExit status: 0 done, 1 could not, 2 usage. The manual: memwhere help %s\n",
			command->name);
}

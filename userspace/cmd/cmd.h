/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a subcommand is, and what all of them share: the one option table, the way to name a
 * target, the way to fail. cmd/ is the only room that parses arguments, prints errors and picks
 * the exit status.
 */
#ifndef MW_CMD_CMD_H
#define MW_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/err.h"

enum mw_exit { MW_EXIT_OK = 0, MW_EXIT_FAILURE = 1, MW_EXIT_USAGE = 2 };

/* One bit a command, so that an option row can say which commands take it. */
enum mw_command_id {
	MW_CMD_LIVE = 1 << 0,
	MW_CMD_STAT = 1 << 1,
	MW_CMD_LEDGER = 1 << 2,
	MW_CMD_MALLOC = 1 << 3,
	MW_CMD_WHATIS = 1 << 4,
	MW_CMD_SNAPSHOT = 1 << 5,
	MW_CMD_COMPLETION = 1 << 6,
	MW_CMD_HELP = 1 << 7,
	MW_CMD_ARENAS = 1 << 8,
	MW_CMD_CENSUS = 1 << 9,
};

#define MW_CMD_ANY     ~0u
#define MW_CMD_TRACING (MW_CMD_LIVE | MW_CMD_STAT)
#define MW_CMD_HEAP    (MW_CMD_LEDGER | MW_CMD_MALLOC | MW_CMD_WHATIS | MW_CMD_ARENAS | MW_CMD_CENSUS)

enum mw_color { MW_COLOR_AUTO, MW_COLOR_ALWAYS, MW_COLOR_NEVER };

#define MW_SAMPLE_AUTO UINT64_MAX /* --sample was not given: as the mode needs */

/* Every option's value, with its default unless the user said otherwise. */
struct mw_options {
	const struct mw_command *command;
	int argc; /* words that are not options: targets, addresses, files */
	char **argv;
	bool help_short, help_long;

	bool json, verbose, quiet;
	enum mw_color color;
	const char *output, *exe, *sysroot;
	bool stop;		    /* hold the target while it is read */
	uint64_t depth;		    /* of the ledger's tree, 0: as it fits */
	bool zstd;		    /* compress the snapshot */
	uint64_t at_rss, at_growth; /* snapshot: bytes, bytes a second; 0: at once */

	const char *mode; /* "auto", "growth", "sizes", "exact" */
	const char
		*max_overhead; /* percent, or "unlimited"; NULL: 2 in mode auto, else unlimited */
	double interval;       /* seconds */
	uint64_t count;	       /* intervals, 0: until told to stop */
	double duration;       /* seconds, 0: until told to stop */
	bool follow;
	uint64_t min_size, max_size; /* bytes */
	uint64_t max_outstanding;    /* entries */
	uint64_t ring_size;	     /* bytes */
	const char *sites;	     /* "none", "sampled", "leaf", "all" */
	uint64_t sample;	     /* bytes between two samples */
	const char *by;		     /* what sites are ranked by */
	uint64_t top;		     /* sites shown */
	bool stacks;		     /* with all their frames */
};

struct mw_command {
	const char *name;
	enum mw_command_id id;
	const char *args;			  /* "PID|NAME [...]" */
	const char *summary;			  /* one line */
	const char *about;			  /* the paragraph that --help adds */
	int (*run)(const struct mw_options *opt); /* returns an enum mw_exit */
};

/* The command table of main.c; ends with a row whose name is NULL. */
extern const struct mw_command mw_commands[];

const struct mw_command *mw_command_find(const char *name);

/*
 * Parse the words after the command's name into OPT. 0, or -EINVAL with ERR set (a usage error).
 */
int mw_options_parse(struct mw_options *opt, const struct mw_command *command, int argc,
		     char **argv, struct mw_err *err);

void mw_options_print_help(FILE *out, const struct mw_command *command, bool full);

/* Print ERR as a line on stderr, or as a JSON document on stdout with --json; returns STATUS. */
int mw_cmd_fail(const struct mw_options *opt, enum mw_exit status, const struct mw_err *err);

/* Send mw_warn() and, with -v, mw_detail() lines to stderr (neither with -q). */
void mw_cmd_log_to_stderr(const struct mw_options *opt);

/*
 * The output file that -o asked for, else stdout. NULL with ERR set when it can't be made.
 * mw_cmd_output_close() tells a write that failed (a full disk) apart from success.
 */
FILE *mw_cmd_output_open(const struct mw_options *opt, struct mw_err *err);
int mw_cmd_output_close(const struct mw_options *opt, FILE *out, struct mw_err *err);

/* True when colours belong into OUT, by --color, NO_COLOR, TERM and whether OUT is a terminal. */
bool mw_cmd_wants_color(const struct mw_options *opt, FILE *out);

/*
 * The process that TEXT names: a PID, or a name that exactly one process has (comm or the base
 * name of its executable). 0, or -errno with ERR set; an ambiguous name lists its candidates.
 * A kernel thread, a zombie and a 32-bit process are refused here, with their own words.
 */
int mw_cmd_find_process(const char *text, pid_t *pid, struct mw_err *err);

/* The subcommands, one file each. */
int mw_cmd_live(const struct mw_options *opt);
int mw_cmd_stat(const struct mw_options *opt);
int mw_cmd_ledger(const struct mw_options *opt);
int mw_cmd_malloc(const struct mw_options *opt);
int mw_cmd_arenas(const struct mw_options *opt);
int mw_cmd_census(const struct mw_options *opt);
int mw_cmd_whatis(const struct mw_options *opt);
int mw_cmd_snapshot(const struct mw_options *opt);
int mw_cmd_completion(const struct mw_options *opt);
int mw_cmd_help(const struct mw_options *opt);

#endif

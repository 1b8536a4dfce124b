/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a subcommand is, and what all of them share: how to name a target, where output goes, how
 * to fail. cmd/ is the only room that parses arguments, prints errors and picks the exit status.
 *
 * A new command is a file cmd/NAME.c that defines mw_cmd_NAME, and a line in main.c.
 */
#ifndef MW_CMD_CMD_H
#define MW_CMD_CMD_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "cmd/options.h"
#include "report/out.h"
#include "util/err.h"

enum mw_exit { MW_EXIT_OK = 0, MW_EXIT_FAILURE = 1, MW_EXIT_USAGE = 2 };

/* What a command's words can be, for completion. */
enum { MW_TAKES_PROCESS = 1, MW_TAKES_CORE = 2, MW_TAKES_COMMAND = 4 };

struct mw_command {
	const char *name;
	const char *args;    /* "PID|NAME [...]" */
	const char *summary; /* one line */
	const char *about;   /* the paragraph that --help adds, or NULL */
	unsigned int takes;
	const char *words; /* the words it takes besides, space-separated, or NULL */
	const struct mw_option_group *groups[MW_OPTION_GROUPS + 1]; /* ends with NULL */
	int (*run)(const struct mw_options *opt);		    /* returns an enum mw_exit */
};

/* The command table of main.c; ends with NULL. */
extern const struct mw_command *const mw_commands[];

const struct mw_command *mw_command_find(const char *name);

/* The whole program: find the command, parse its options, run it. Returns the exit status. */
int mw_cmd_main(int argc, char **argv);

/* The list of commands, as bare --help prints it. */
void mw_cmd_print_commands(FILE *out);

/*
 * Print ERR as a line on stderr, or with --json as a document on stdout. Returns the exit status:
 * MW_EXIT_USAGE for a usage error. A reader that closed its end of a pipe has seen enough: nothing
 * is printed, and the status is MW_EXIT_OK.
 */
int mw_cmd_fail(const struct mw_options *opt, const struct mw_err *err);

/* Send mw_warn() and, with -v, mw_detail() lines to stderr (neither with -q). */
void mw_cmd_log_to_stderr(const struct mw_options *opt);

/*
 * The output file that -o asked for, else stdout. NULL with ERR set when it can't be made.
 * mw_cmd_output_close() notices every write that failed: -EPIPE when the reader of a pipe has
 * closed it, else -EIO (a full disk), with ERR set.
 */
FILE *mw_cmd_output_open(const struct mw_options *opt, struct mw_err *err);
int mw_cmd_output_close(const struct mw_options *opt, FILE *out, struct mw_err *err);

/* The same as the file of OUT, with the colours and characters that it takes. 0 or -errno with ERR
 * set. */
int mw_cmd_out_open(const struct mw_options *opt, struct mw_out *out, struct mw_err *err);

/* For commands that print to stdout only: close it. Returns the exit status. */
int mw_cmd_end_stdout(const struct mw_options *opt);

/* Whether OUT gets colours: by --color, NO_COLOR, TERM and whether OUT is a terminal. */
bool mw_cmd_wants_color(const struct mw_options *opt, FILE *out);

/* Whether the locale's characters are UTF-8. */
bool mw_cmd_wants_utf8(void);

/* What a target's word is. A core whose name is all digits needs a path: ./1234. */
bool mw_cmd_is_pid(const char *word);
bool mw_cmd_names_process(const char *word); /* a PID, or a name that at least one has */
bool mw_cmd_is_core(const char *word);	     /* a path, or a file that exists */

/*
 * The process that TEXT names: a PID, or a name that exactly one process has (comm or the base
 * name of its executable). 0, or -errno with ERR set; an ambiguous name lists its candidates.
 * Refuses a kernel thread, a zombie and a 32-bit process, each with its reason.
 */
int mw_cmd_find_process(const char *text, pid_t *pid, struct mw_err *err);

#endif

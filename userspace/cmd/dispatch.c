// SPDX-License-Identifier: GPL-2.0-or-later
/* From the command line to a command. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

const struct mw_command *mw_command_find(const char *name)
{
	for (const struct mw_command *const *c = mw_commands; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

void mw_cmd_print_commands(FILE *out)
{
	/* A screen has 24 lines, and a prompt after this. */
	fprintf(out, "usage: memwhere PID|NAME                     watch it on a screen\n"
		     "       memwhere CORE                         say where its memory went\n"
		     "       memwhere COMMAND [PID|NAME|CORE] [options]\n");
	for (const struct mw_command *const *c = mw_commands; *c; c++)
		fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
	fprintf(out,
		"memwhere COMMAND --help explains one; memwhere help COMMAND opens its manual.\n");
}

/* `memwhere PID` and `memwhere NAME` mean live, a path that exists is a core, which means why. */
static const struct mw_command *implied_command(const char *word)
{
	return word[0] == '-'				     ? NULL
	       : !mw_cmd_is_pid(word) && !access(word, F_OK) ? mw_command_find("why")
	       : mw_cmd_names_process(word)		     ? mw_command_find("live")
							     : NULL;
}

static bool is_one_of(const char *word, const char *letter, const char *name)
{
	return !strcmp(word, letter) || !strcmp(word, name);
}

int mw_cmd_main(int argc, char **argv)
{
	struct mw_options opt = {.color = "auto"};
	const struct mw_command *command;
	struct mw_err err = {0};

	/* write() then reports a closed pipe, so that the probes are taken out in order. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		mw_cmd_print_commands(stderr);
		return MW_EXIT_USAGE;
	}
	if (is_one_of(argv[1], "-V", "--version")) {
		printf("memwhere %s\n", MW_VERSION);
		return mw_cmd_end_stdout(&opt);
	}
	if (is_one_of(argv[1], "-h", "--help")) {
		mw_cmd_print_commands(stdout);
		return mw_cmd_end_stdout(&opt);
	}

	command = mw_command_find(argv[1]);
	if (command) {
		argv++;
		argc--;
	} else {
		command = implied_command(argv[1]);
	}
	if (!command) {
		mw_err_usage(
			&err, NULL,
			"'%.40s' is no command, no process and no file (memwhere --help lists the commands)",
			argv[1]);
		return mw_cmd_fail(&opt, &err);
	}
	if (mw_options_parse(&opt, command, argc, argv, &err))
		return mw_cmd_fail(&opt, &err);
	if (opt.help_short || opt.help_long) {
		mw_options_print_help(stdout, command, opt.help_long);
		return mw_cmd_end_stdout(&opt);
	}
	return command->run(&opt);
}

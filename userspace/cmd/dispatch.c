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
	fprintf(out,
		"usage: memwhere COMMAND [TARGET] [options]\n\n"
		"Where did my process's memory go? TARGET is a PID, a process name or a core file.\n\n");
	for (const struct mw_command *const *c = mw_commands; *c; c++)
		fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
	fprintf(out,
		"\nmemwhere COMMAND --help explains one; memwhere help COMMAND opens its manual page.\n");
}

/* `memwhere PID` is `memwhere live PID`; a path that exists is a core. */
static const struct mw_command *implied_command(const char *word)
{
	return mw_cmd_is_pid(word)   ? mw_command_find("live")
	       : !access(word, F_OK) ? mw_command_find("ledger")
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
		mw_err_usage(&err, NULL, "which command? memwhere --help lists them");
		return mw_cmd_fail(&opt, &err);
	}
	if (is_one_of(argv[1], "-V", "--version")) {
		printf("memwhere %s\n", MW_VERSION);
		return mw_cmd_end_stdout(&opt);
	}
	if (is_one_of(argv[1], "-h", "--help"))
		return mw_command_find("help")->run(&opt);

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
			"'%.40s' is no command, no PID and no file (memwhere --help lists the commands)",
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

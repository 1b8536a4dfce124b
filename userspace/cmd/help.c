// SPDX-License-Identifier: GPL-2.0-or-later
/* `help`: open the manual page, else print the built-in text. */
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"

/* False: there is no `man`, or it does not have the page. */
static bool open_manual(const struct mw_command *command)
{
	char page[64];
	int status;
	pid_t pid;

	snprintf(page, sizeof(page), "memwhere%s%s", command ? "-" : "",
		 command ? command->name : "");
	pid = fork();
	if (!pid) {
		/* The built-in text is there where the page is not. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execlp("man", "man", page, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

static int run_help(const struct mw_options *opt)
{
	const struct mw_command *command = NULL;
	struct mw_err err = {0};

	if (opt->argc > 0) {
		command = mw_command_find(opt->argv[0]);
		if (!command) {
			mw_err_usage(&err, "help", "no command '%.40s'", opt->argv[0]);
			return mw_cmd_fail(opt, &err);
		}
	}
	if (isatty(STDOUT_FILENO) && open_manual(command))
		return MW_EXIT_OK;
	if (command)
		mw_options_print_help(stdout, command, true);
	else
		mw_cmd_print_commands(stdout);
	return mw_cmd_end_stdout(opt);
}

const struct mw_command mw_cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "Open the manual page of memwhere or of a command",
	.takes = MW_TAKES_COMMAND,
	.run = run_help,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* `help` opens the manual page, `completion` prints a shell's completion script. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/options.h"

static void print_commands(FILE *out)
{
	fprintf(out,
		"usage: memwhere COMMAND [TARGET] [options]\n\n"
		"Where did my process's memory go? TARGET is a PID, a process name or a core file.\n\n");
	for (const struct mw_command *c = mw_commands; c->name; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->summary);
	fprintf(out,
		"\nmemwhere COMMAND --help explains one; memwhere help COMMAND opens its manual page.\n");
}

int mw_cmd_help(const struct mw_options *opt)
{
	const struct mw_command *command = NULL;
	char page[64] = "memwhere";
	int status;
	pid_t pid;

	if (opt->argc > 0) {
		command = mw_command_find(opt->argv[0]);
		if (!command) {
			struct mw_err err;

			mw_err_set(&err, -EINVAL, "usage", "help", "no command '%.40s'",
				   opt->argv[0]);
			return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
		}
		snprintf(page, sizeof(page), "memwhere-%s", command->name);
	}
	/* Without a terminal, without man or without the page: the built-in text. */
	if (isatty(STDOUT_FILENO)) {
		pid = fork();
		if (!pid) {
			execlp("man", "man", page, (char *)NULL);
			_exit(127);
		}
		if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		    !WEXITSTATUS(status))
			return MW_EXIT_OK;
	}
	if (command)
		mw_options_print_help(stdout, command, true);
	else
		print_commands(stdout);
	return MW_EXIT_OK;
}

static void complete_bash(FILE *out)
{
	fprintf(out,
		"# bash completion for memwhere, made by `memwhere completion bash`\n"
		"_memwhere()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words\n"
		"\tCOMPREPLY=()\n\tcase $prev in\n");
	for (const struct mw_option *row = mw_option_table; row->help; row++) {
		if (row->choices)
			fprintf(out,
				"\t--%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return;;\n",
				row->name, row->choices);
	}
	fprintf(out, "\t-o|--output|--exe) COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n"
		     "\t--sysroot) COMPREPLY=($(compgen -d -- \"$cur\")); return;;\n\tesac\n"
		     "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='");
	for (const struct mw_command *c = mw_commands; c->name; c++)
		fprintf(out, "%s ", c->name);
	fprintf(out, "'\n\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\t\treturn\n\tfi\n"
		     "\tcase ${COMP_WORDS[1]} in\n");
	for (const struct mw_command *c = mw_commands; c->name; c++) {
		fprintf(out, "\t%s) words='", c->name);
		for (const struct mw_option *row = mw_option_table; row->help; row++) {
			if (row->name && (row->commands & c->id))
				fprintf(out, "--%s ", row->name);
		}
		fprintf(out, "';;\n");
	}
	fprintf(out,
		"\tesac\n\tcase $cur in\n\t-*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"));;\n"
		"\t*) COMPREPLY=($(compgen -W \"$(ps -eo pid=,comm= 2>/dev/null)\" -- \"$cur\") $(compgen -f -- \"$cur\"));;\n"
		"\tesac\n}\ncomplete -F _memwhere memwhere\n");
}

int mw_cmd_completion(const struct mw_options *opt)
{
	struct mw_err err;

	if (opt->argc != 1 || strcmp(opt->argv[0], "bash")) {
		mw_err_set(&err, -EINVAL, "usage", "completion", "which shell? It knows: bash");
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	complete_bash(stdout);
	return MW_EXIT_OK;
}

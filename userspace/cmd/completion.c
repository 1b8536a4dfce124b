// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `completion`: a shell's completion script, made from the tables of commands and options.
 *
 * The scripts read names of processes from /proc themselves. None lets the shell expand such a
 * name, since whoever started the process chose it.
 */
#include <string.h>

#include "cmd/cmd.h"

/* TEXT within single quotes; a backslash before each character of SPECIAL. */
static void quote(FILE *out, const char *text, const char *special)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\'')
			fputs("'\\''", out);
		else
			fprintf(out, "%s%c", strchr(special, *c) ? "\\" : "", *c);
	}
}

/* ---- bash ---------------------------------------------------------------------------------- */

static const char bash_begin[] =
	"# bash completion for memwhere, made by `memwhere completion bash`\n"
	"_memwhere_words() { COMPREPLY+=($(compgen -W \"$1\" -- \"$cur\")); }\n"
	"_memwhere_paths()\n"
	"{\n"
	"\tlocal path\n"
	"\twhile IFS= read -r path; do COMPREPLY+=(\"$path\"); done < <(compgen \"$1\" -- \"$cur\")\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"}\n"
	"_memwhere_processes()\n"
	"{\n"
	"\tlocal file pid name\n"
	"\tfor file in /proc/[0-9]*/comm; do\n"
	"\t\tpid=${file#/proc/} pid=${pid%/comm}\n"
	"\t\tIFS= read -r name 2>/dev/null <\"$file\" || continue\n"
	"\t\t[[ $pid == \"$cur\"* ]] && COMPREPLY+=(\"$pid\")\n"
	"\t\t[[ $name == \"$cur\"* ]] && COMPREPLY+=(\"$(printf %q \"$name\")\")\n"
	"\tdone 2>/dev/null\n"
	"}\n"
	"_memwhere()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tCOMPREPLY=()\n";

static void bash_words(FILE *out, const char *indent, const struct mw_command *command)
{
	const struct mw_option *row;

	fprintf(out, "%scase $cur in\n%s-*) _memwhere_words '", indent, indent);
	for (size_t i = 0; (row = mw_command_option(command, i)); i++) {
		if (row->name)
			fprintf(out, "%s--%s", i ? " " : "", row->name);
	}
	fprintf(out, "' ;;\n%s*)\n", indent);
	if (command->words)
		fprintf(out, "%s\t_memwhere_words '%s'\n", indent, command->words);
	if (command->takes & MW_TAKES_COMMAND)
		fprintf(out, "%s\t_memwhere_words \"$commands\"\n", indent);
	if (command->takes & MW_TAKES_PROCESS)
		fprintf(out, "%s\t_memwhere_processes\n", indent);
	if (command->takes & MW_TAKES_CORE)
		fprintf(out, "%s\t_memwhere_paths -f\n", indent);
	fprintf(out, "%s\t;;\n%sesac\n", indent, indent);
}

static void bash_command(FILE *out, const struct mw_command *command)
{
	const struct mw_option *row;

	fprintf(out, "\t%s)\n\t\tcase $prev in\n", command->name);
	for (size_t i = 0; (row = mw_command_option(command, i)); i++) {
		if (!row->arg)
			continue;
		fprintf(out, "\t\t--%s", row->name);
		if (row->letter)
			fprintf(out, "|-%c", row->letter);
		if (row->choices)
			fprintf(out, ") _memwhere_words '%s'; return ;;\n", row->choices);
		else if (row->kind == MW_OPT_FILE || row->kind == MW_OPT_DIR)
			fprintf(out, ") _memwhere_paths -%c; return ;;\n",
				row->kind == MW_OPT_FILE ? 'f' : 'd');
		else
			fprintf(out, ") return ;;\n");
	}
	fprintf(out, "\t\tesac\n");
	bash_words(out, "\t\t", command);
	fprintf(out, "\t\t;;\n");
}

static void complete_bash(FILE *out)
{
	fprintf(out, "%s\tlocal commands='", bash_begin);
	for (size_t i = 0; mw_commands[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", mw_commands[i]->name);
	fprintf(out, "'\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\t_memwhere_words \"$commands\"\n"
		     "\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; mw_commands[i]; i++)
		bash_command(out, mw_commands[i]);
	fprintf(out, "\tesac\n}\ncomplete -F _memwhere memwhere\n");
}

/* ---- zsh ----------------------------------------------------------------------------------- */

static const char zsh_begin[] = "#compdef memwhere\n"
				"# zsh completion for memwhere, made by `memwhere completion zsh`\n"
				"_memwhere_processes()\n"
				"{\n"
				"\tlocal file name\n"
				"\tlocal -a pids names\n"
				"\tfor file in /proc/<->/comm(N); do\n"
				"\t\tIFS= read -r name 2>/dev/null <$file || continue\n"
				"\t\tpids+=(\"${file:h:t}:$name\") names+=(\"$name\")\n"
				"\tdone 2>/dev/null\n"
				"\t_describe -t pids process pids\n"
				"\tcompadd -a names\n"
				"}\n";

static void zsh_option(FILE *out, const struct mw_option *row)
{
	char letter[8] = "", name[40] = "";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c%s", row->letter, row->arg ? "+" : "");
	if (row->name)
		snprintf(name, sizeof(name), "--%s%s", row->name, row->arg ? "=" : "");
	if (row->letter && row->name)
		fprintf(out, " \\\n\t\t\t'(-%c --%s)'{%s,%s}'[", row->letter, row->name, letter,
			name);
	else
		fprintf(out, " \\\n\t\t\t'%s%s[", letter, name);
	quote(out, row->help, "[]:\\");
	fprintf(out, "]");
	if (row->arg)
		fprintf(out, ":%s:", row->arg);
	if (row->choices)
		fprintf(out, "(%s)", row->choices);
	else if (row->kind == MW_OPT_FILE)
		fprintf(out, "_files");
	else if (row->kind == MW_OPT_DIR)
		fprintf(out, "_files -/");
	fprintf(out, "'");
}

static void zsh_command(FILE *out, const struct mw_command *command)
{
	const struct mw_option *row;

	fprintf(out, "\t%s)\n\t\t_arguments -s", command->name);
	for (size_t i = 0; (row = mw_command_option(command, i)); i++)
		zsh_option(out, row);
	if (command->words)
		fprintf(out, " \\\n\t\t\t'*:word:(%s)'", command->words);
	else if (command->takes)
		fprintf(out, " \\\n\t\t\t'*: : _memwhere_words %u'", command->takes);
	fprintf(out, "\n\t\t;;\n");
}

static void complete_zsh(FILE *out)
{
	fprintf(out, "%s_memwhere_words()\n{\n", zsh_begin);
	fprintf(out, "\t(($1 & %d)) && _memwhere_processes\n", MW_TAKES_PROCESS);
	fprintf(out, "\t(($1 & %d)) && _files\n", MW_TAKES_CORE);
	fprintf(out, "\t(($1 & %d)) && _memwhere_commands\n}\n", MW_TAKES_COMMAND);
	fprintf(out, "_memwhere_commands()\n{\n\tlocal -a commands=(\n");
	for (size_t i = 0; mw_commands[i]; i++) {
		fprintf(out, "\t\t'%s:", mw_commands[i]->name);
		quote(out, mw_commands[i]->summary, ":\\");
		fprintf(out, "'\n");
	}
	fprintf(out, "\t)\n\t_describe command commands\n}\n"
		     "_memwhere()\n{\n\tif ((CURRENT == 2)); then\n\t\t_memwhere_commands\n"
		     "\t\treturn\n\tfi\n\tshift words\n\t((CURRENT--))\n"
		     "\tcase $words[1] in\n");
	for (size_t i = 0; mw_commands[i]; i++)
		zsh_command(out, mw_commands[i]);
	/* Either autoloaded as a function of this name, or sourced. */
	fprintf(out, "\tesac\n}\n"
		     "if [ \"$funcstack[1]\" = _memwhere ]; then\n\t_memwhere \"$@\"\n"
		     "else\n\tcompdef _memwhere memwhere\nfi\n");
}

/* ---- fish ---------------------------------------------------------------------------------- */

static const char fish_begin[] =
	"# fish completion for memwhere, made by `memwhere completion fish`\n"
	"function __memwhere_command\n"
	"\tset -l words (commandline -opc)\n"
	"\ttest \"$words[2]\" = \"$argv[1]\"\n"
	"end\n"
	"function __memwhere_processes\n"
	"\tfor file in /proc/*/comm\n"
	"\t\tset -l pid (string split / $file)[3]\n"
	"\t\tstring match -qr '^\\d+$' $pid; or continue\n"
	"\t\ttest -r $file; and read -l name <$file; or continue\n"
	"\t\tprintf '%s\\t%s\\n%s\\n' $pid $name $name\n"
	"\tend 2>/dev/null\n"
	"end\n"
	"complete -c memwhere -f\n";

static void fish_option(FILE *out, const struct mw_command *command, const struct mw_option *row)
{
	fprintf(out, "complete -c memwhere -n '__memwhere_command %s'", command->name);
	if (row->letter)
		fprintf(out, " -s %c", row->letter);
	if (row->name)
		fprintf(out, " -l %s", row->name);
	if (row->kind == MW_OPT_FILE)
		fprintf(out, " -r -F");
	else if (row->kind == MW_OPT_DIR)
		fprintf(out, " -x -a '(__fish_complete_directories)'");
	else if (row->choices)
		fprintf(out, " -x -a '%s'", row->choices);
	else if (row->arg)
		fprintf(out, " -x");
	fprintf(out, " -d '");
	quote(out, row->help, "\\");
	fprintf(out, "'\n");
}

static void fish_command(FILE *out, const struct mw_command *command)
{
	char condition[64];
	const struct mw_option *row;

	fprintf(out, "complete -c memwhere -n '__memwhere_command \"\"' -a %s -d '", command->name);
	quote(out, command->summary, "\\");
	fprintf(out, "'\n");
	snprintf(condition, sizeof(condition), "-n '__memwhere_command %s'", command->name);
	for (size_t i = 0; (row = mw_command_option(command, i)); i++)
		fish_option(out, command, row);
	if (command->words)
		fprintf(out, "complete -c memwhere %s -a '%s'\n", condition, command->words);
	if (command->takes & MW_TAKES_PROCESS)
		fprintf(out, "complete -c memwhere %s -a '(__memwhere_processes)'\n", condition);
	if (command->takes & MW_TAKES_CORE)
		fprintf(out, "complete -c memwhere %s -F\n", condition);
	for (size_t i = 0; command->takes & MW_TAKES_COMMAND && mw_commands[i]; i++)
		fprintf(out, "complete -c memwhere %s -a %s\n", condition, mw_commands[i]->name);
}

static void complete_fish(FILE *out)
{
	fputs(fish_begin, out);
	for (size_t i = 0; mw_commands[i]; i++)
		fish_command(out, mw_commands[i]);
}

/* -------------------------------------------------------------------------------------------- */

static const struct shell {
	const char *name;
	void (*complete)(FILE *out);
} shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}, {0}};

static const char shell_names[] = "bash zsh fish";

static int run_completion(const struct mw_options *opt)
{
	const struct shell *shell = shells;
	struct mw_err err = {0};
	FILE *out;
	int ret;

	while (shell->name && (opt->argc != 1 || strcmp(opt->argv[0], shell->name)))
		shell++;
	if (!shell->name) {
		mw_err_usage(&err, "completion", "which shell? It knows: %s", shell_names);
		return mw_cmd_fail(opt, &err);
	}
	out = mw_cmd_output_open(opt, &err);
	ret = out ? 0 : err.code;
	if (!ret) {
		shell->complete(out);
		ret = mw_cmd_output_close(opt, out, &err);
	}
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.summary = "Print a completion script for a shell",
	.words = shell_names,
	.run = run_completion,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* The command table, nothing else. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"

const struct mw_command mw_commands[] = {
	{"live", MW_CMD_LIVE, "PID|NAME [PID|NAME ...] [options]",
	 "Watch a running process's allocations on a screen that refreshes itself",
	 "Attaches to the running process without stopping or restarting it and draws sizes, the split\n"
	 "by kind of memory, sites with their stacks, the ledger and a timeline. ? shows the keys.",
	 mw_cmd_live},
	{"stat", MW_CMD_STAT, "PID|NAME [PID|NAME ...] [options]",
	 "Print which sizes a running process allocates, and from where, an interval a block",
	 "Attaches to the running process without stopping or restarting it. Each block covers one\n"
	 "interval: requests by size, the split into brk heap, thread arenas and mmap, what the kernel\n"
	 "gave and took back (brk, mmap, munmap, mremap, madvise), page faults and RSS. The last block\n"
	 "covers the whole time. Ctrl-C ends it; nothing stays behind.",
	 mw_cmd_stat},
	{"ledger", MW_CMD_LEDGER, "PID|NAME|CORE [options]",
	 "Show who owns every resident byte of a process or a core",
	 "Every page in memory gets an owner: glibc's live and free chunks, stacks, files, and what\n"
	 "nobody claims as anon/unknown. The entries sum to the resident size.",
	 mw_cmd_ledger},
	{"malloc", MW_CMD_MALLOC, "PID|NAME|CORE [options]",
	 "Show glibc malloc's arenas, caches, mmapped chunks and present settings",
	 "Finds the heap with or without symbols. in_use_bytes and free_bytes are glibc's own figures\n"
	 "(malloc_info, mallinfo2), in which chunks in thread caches count as in use.",
	 mw_cmd_malloc},
	{"arenas", MW_CMD_ARENAS, "PID|NAME|CORE [options]",
	 "Show pymalloc's arenas, pools and size classes, and how empty they are",
	 "Python's allocator for blocks of up to 512 bytes. An arena goes back to the system only when\n"
	 "its last block is freed: the second table says how much memory that keeps.",
	 mw_cmd_arenas},
	{"census", MW_CMD_CENSUS, "PID|NAME|CORE [options]",
	 "Count Python's objects by type: live ones, their bytes, and dead ones kept for reuse",
	 "Looks at every block of pymalloc's pools and of glibc's heap once. Bytes are what\n"
	 "sys.getsizeof() says, buffers that objects own included.",
	 mw_cmd_census},
	{"whatis", MW_CMD_WHATIS, "PID|NAME|CORE ADDRESS [...] [options]",
	 "Say what an address is: region, chunk, its state, size and owner", NULL, mw_cmd_whatis},
	{"snapshot", MW_CMD_SNAPSHOT, "PID|NAME -o FILE [options]",
	 "Write a core of a running process, with the residency that plain cores lack",
	 "The core is an ordinary one that gdb opens. The process is held while it is copied; for how\n"
	 "long is printed.",
	 mw_cmd_snapshot},
	{"completion", MW_CMD_COMPLETION, "bash", "Print a completion script for a shell", NULL,
	 mw_cmd_completion},
	{"help", MW_CMD_HELP, "[COMMAND]", "Open the manual page of memwhere or of a command", NULL,
	 mw_cmd_help},
	{0},
};

/* `memwhere PID` is `memwhere live PID`; a path that exists is a core. */
static const struct mw_command *implied_command(const char *word)
{
	struct stat st;

	if (isdigit((unsigned char)word[0]))
		return mw_command_find("live");
	if (!stat(word, &st))
		return mw_command_find("ledger");
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mw_command *command;
	struct mw_options opt = {0};
	struct mw_err err;

	/*
	 * A closed pipe is an error that write() reports, so that probes are taken down in order.
	 */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		mw_err_set(&err, -1, "usage", NULL, "which command? memwhere --help lists them");
		return mw_cmd_fail(&opt, MW_EXIT_USAGE, &err);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("memwhere %s\n", MW_VERSION);
		return MW_EXIT_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return mw_cmd_help(&opt);

	command = mw_command_find(argv[1]);
	if (command) {
		argv++;
		argc--;
	} else {
		command = implied_command(argv[1]);
	}
	if (!command) {
		mw_err_set(
			&err, -1, "usage", NULL,
			"'%.40s' is no command, no PID and no file (memwhere --help lists the commands)",
			argv[1]);
		return mw_cmd_fail(&opt, MW_EXIT_USAGE, &err);
	}
	if (mw_options_parse(&opt, command, argc, argv, &err))
		return mw_cmd_fail(&opt, MW_EXIT_USAGE, &err);
	if (opt.help_short || opt.help_long) {
		mw_options_print_help(stdout, command, opt.help_long);
		return MW_EXIT_OK;
	}
	return command->run(&opt);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The command table, nothing else: a line for each cmd/NAME.c, in the order of the help. */
#include "cmd/cmd.h"

#define COMMANDS(X)                                                                                \
	X(why)                                                                                     \
	X(live)                                                                                    \
	X(stat)                                                                                    \
	X(ledger)                                                                                  \
	X(malloc)                                                                                  \
	X(arenas)                                                                                  \
	X(census)                                                                                  \
	X(pools)                                                                                   \
	X(objects)                                                                                 \
	X(freelists)                                                                               \
	X(whatis)                                                                                  \
	X(refs)                                                                                    \
	X(retained)                                                                                \
	X(leaks)                                                                                   \
	X(pins)                                                                                    \
	X(diff)                                                                                    \
	X(snapshot)                                                                                \
	X(completion)                                                                              \
	X(help)

#define DECLARE(name) extern const struct mw_command mw_cmd_##name;
#define LIST(name)    &mw_cmd_##name,

COMMANDS(DECLARE)

const struct mw_command *const mw_commands[] = {COMMANDS(LIST) NULL};

int main(int argc, char **argv)
{
	return mw_cmd_main(argc, argv);
}

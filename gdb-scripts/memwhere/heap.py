# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole address space and the C library's heap."""
import gdb

from memwhere.command import Command


class Ledger(Command):
    """Every resident byte's owner, the largest first; the owners sum to the resident size.

Usage: mw-ledger [--json] [-v] [--depth N]

Of a core, the resident bytes are those in the file; of a snapshot (`memwhere snapshot'), those
that were in memory when it was taken. What nobody claims is anon/unknown. --depth N shows N levels of the tree of
owners (default 3); -v also lists the small ones."""

    name = "ledger"
    numbers = {"--depth": "depth"}


class Malloc(Command):
    """glibc's malloc: its arenas, what is live, cached and free in them, and its thresholds.

Usage: mw-malloc [--json] [-v]

-v also says how the arenas and their layout were found."""

    name = "malloc"


class Whatis(Command):
    """What an address is: its owner, block, arena and region.

Usage: mw-whatis [--json] [-v] EXPR

EXPR is any GDB expression. A pointer or a number is the address itself; anything else means the
address where it is stored."""

    name = "whatis"
    argument = "an expression"
    required = True
    completer = gdb.COMPLETE_EXPRESSION


def register():
    for command in (Ledger, Malloc, Whatis):
        command()

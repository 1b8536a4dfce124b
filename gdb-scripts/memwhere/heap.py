# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole address space and the C library's heap."""
import gdb

from memwhere import session
from memwhere.command import Command, address_of, write


class Ledger(Command):
    """Every resident byte's owner, the largest first; the owners sum to the resident size.

Usage: mw-ledger [--json] [-v]

Of a core, the resident bytes are those that it holds, or held in memory when `memwhere snapshot'
took it. What nobody claims is anon/unknown. -v also lists owners below a thousandth."""

    name = "ledger"


class Malloc(Command):
    """glibc's malloc: its arenas, what is live, cached and free in them, and its thresholds.

Usage: mw-malloc [--json] [-v]

-v also says how the arenas and their layout were found."""

    name = "malloc"


class Whatis(Command):
    """What an address is: its owner, block, arena and region.

Usage: mw-whatis [--json] [-v] EXPR

EXPR is any expression of GDB's: a pointer or a number is the address itself, of anything else
the place where it is."""

    name = "whatis"
    argument = "an expression"
    required = True
    completer = gdb.COMPLETE_EXPRESSION

    def run(self, rest, flags):
        session.current().show(write, self.name, number=address_of(rest), flags=flags)


def register():
    for command in (Ledger, Malloc, Whatis):
        command()

# SPDX-License-Identifier: GPL-2.0-or-later
"""pymalloc: arenas, pools, blocks."""
import os

import gdb

from memwhere import session
from memwhere.command import Command


class Arenas(Command):
    """Python's small-object arenas: pools and blocks by size class, and how full the arenas are.

Usage: mw-arenas [--json] [-v]

-v also says how the interpreter was recognised."""

    name = "arenas"


class Pools(Command):
    """The pools of Python's arenas, or those with blocks of one size.

Usage: mw-pools [--json] [CLASS]

CLASS is the size of the blocks in bytes, such as 64."""

    name = "pools"
    argument = "a size class"
    completer = gdb.COMPLETE_EXPRESSION


class Blocks(Command):
    """The blocks of a pool: their state, and the objects in them.

Usage: mw-blocks [--json] POOL

POOL is an expression: the address of a pool or of anything in it."""

    name = "blocks"
    argument = "the address of a pool"
    required = True
    completer = gdb.COMPLETE_EXPRESSION


class DumpArenas(Command):
    """Write every arena, pool and block to FILE, each as a line of JSON.

Usage: mw-dump-arenas FILE"""

    name = "dump-arenas"
    argument = "a file"
    required = True
    completer = gdb.COMPLETE_FILENAME

    def run(self, rest, flags, values):
        words = gdb.string_to_argv(rest)
        if len(words) != 1:
            raise gdb.GdbError("mw-dump-arenas takes one file")
        path = os.path.expanduser(words[0])
        try:
            with open(path, "w", encoding="utf-8") as file:
                session.current().show(file.write, "dump")
        except OSError as error:
            raise gdb.GdbError("%s: %s" % (path, error.strerror))


def register():
    for command in (Arenas, Pools, Blocks, DumpArenas):
        command()

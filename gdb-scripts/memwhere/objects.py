# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's objects."""
import json

import gdb

from memwhere import library, session
from memwhere.command import Command


class Census(Command):
    """Python's objects by type: live ones, their bytes, and dead ones kept for reuse.

Usage: mw-census [--json] [-v]

-v lists all types."""

    name = "census"


class Freelists(Command):
    """Dead objects that Python keeps for reuse, by type.

Usage: mw-freelists [--json]"""

    name = "freelists"


class Objects(Command):
    """The live objects of a type: their addresses and the beginning of their repr().

Usage: mw-objects [--json] [--all] TYPE

The first 100 of them; --all and --json list every one. TYPE is a type's name, with or without its
module: dict, collections.deque."""

    name = "objects"
    switches = {"--all": "all"}
    argument = "a type's name"
    required = True

    def complete_argument(self, text, word):
        # The types are known once a census was taken; completion doesn't take one, which is slow.
        census = session.peek("census")
        if not census:
            return []
        typed = text.strip()
        skip = len(typed) - len(word)
        names = set()
        for each in json.loads(census.text("census", flags=library.JSON))["types"]:
            plain = each["module"] in ("", "builtins", "__builtin__")
            names.add(each["type"] if plain else "%s.%s" % (each["module"], each["qualname"]))
        return sorted(n[skip:] for n in names if n.startswith(typed))


class Refs(Command):
    """Who refers to an object, what it refers to, and the shortest way to it from a root.

Usage: mw-refs [--json] EXPR

EXPR is an address, or what has one: a pointer's value, else the address where it is stored."""

    name = "refs"
    argument = "an expression"
    required = True
    completer = gdb.COMPLETE_EXPRESSION


class Path(Command):
    """The shortest way to an object from a root: app.cache['user:17'].props.

Usage: mw-path [--json] EXPR

EXPR is an address, or what has one, as of mw-refs, which also says who else refers to it."""

    name = "path"
    argument = "an expression"
    required = True
    completer = gdb.COMPLETE_EXPRESSION


class Retained(Command):
    """Where memory accumulates, or what would be freed with an object.

Usage: mw-retained [--json] [-v] [--top N] [--min BYTES] [--root PATH] [EXPR]

What an object retains are the blocks that nothing else leads to. --root app.cache lists only what
is reached by a way that begins so."""

    name = "retained"
    numbers = {"--top": "top", "--min": "min"}
    words = {"--root": "root"}
    argument = "an expression"
    completer = gdb.COMPLETE_EXPRESSION


class Leaks(Command):
    """What nothing reaches: cycles, as gc.collect() counts them, and blocks of C's.

Usage: mw-leaks [--json] [-v]"""

    name = "leaks"


class Pins(Command):
    """Which objects keep free memory from going back to the kernel, who holds them, and how much
comes back without them.

Usage: mw-pins [--json] [-v]"""

    name = "pins"


class Diff(Command):
    """What changed since an earlier core of the program: owners, types, containers, holders.

Usage: mw-diff [--json] [-v] CORE

CORE is a core or a snapshot (`memwhere snapshot'), what GDB has open is compared with it."""

    name = "diff"
    argument = "an earlier core"
    required = True
    completer = gdb.COMPLETE_FILENAME


def register():
    for command in (Census, Freelists, Objects, Refs, Path, Retained, Leaks, Pins, Diff):
        command()

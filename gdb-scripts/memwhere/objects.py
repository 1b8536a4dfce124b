# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's objects."""
import json

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

Usage: mw-objects [--json] TYPE

TYPE is a type's name, with or without its module: dict, collections.deque."""

    name = "objects"
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


def register():
    for command in (Census, Freelists, Objects):
        command()

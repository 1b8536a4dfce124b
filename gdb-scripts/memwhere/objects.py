# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's objects."""
import json

from memwhere import library, session
from memwhere.command import Command


class Census(Command):
    """Python's objects by type: live ones, their bytes, and dead ones that are kept for reuse.

Usage: mw-census [--json] [-v]

-v lists all types."""

    name = "census"


class Freelists(Command):
    """Dead objects that Python keeps for the next of their type.

Usage: mw-freelists [--json]"""

    name = "freelists"


class Objects(Command):
    """Where the live objects of a type are, and what they look like.

Usage: mw-objects [--json] TYPE

TYPE is a type's name, with or without its module: dict, collections.deque."""

    name = "objects"
    argument = "a type's name"
    required = True

    def complete_argument(self, text, word):
        # The types are known when a census was taken, and that takes a while.
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

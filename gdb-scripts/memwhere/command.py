# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands share: the prefix `help mw', words and options, completion, output, errors."""
import codecs
import json

import gdb

from memwhere import library, session

OPTIONS = {"--json": library.JSON, "--verbose": library.VERBOSE, "-v": library.VERBOSE}


def host_is_utf8():
    charset = gdb.host_charset() if hasattr(gdb, "host_charset") else gdb.parameter("host-charset")
    return "UTF-8" in charset.upper()


# As JSON escapes them: a document stays one.
codecs.register_error(
    "memwhere-json", lambda error: (json.dumps(error.object[error.start : error.end])[1:-1], error.end)
)


def write(text):
    """gdb.write, which pages; characters that GDB's terminal can't show are escaped."""
    if not host_is_utf8():
        text = text.encode("ascii", "memwhere-json").decode()
    gdb.write(text)


class Command(gdb.Command):
    """A command `mw-NAME [--json] [-v] [ARGUMENT]`. Its docstring is its help."""

    name = None
    argument = None  # the argument's name in messages, None: there is none
    required = False

    def __init__(self):
        complete = getattr(self, "completer", None)
        if complete is None:
            super().__init__("mw-" + self.name, gdb.COMMAND_DATA)
        else:
            super().__init__("mw-" + self.name, gdb.COMMAND_DATA, complete)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        flags, rest = self.split(argument)
        if rest and not self.argument:
            raise gdb.GdbError("mw-%s takes no argument but --json and -v" % self.name)
        if self.required and not rest:
            raise gdb.GdbError(
                "mw-%s needs %s: see `help mw-%s'" % (self.name, self.argument, self.name)
            )
        if host_is_utf8():
            flags |= library.UTF8
        self.run(rest, flags)

    def run(self, rest, flags):
        """Show the document of the same name."""
        session.current().show(write, self.name, flags=flags)

    @staticmethod
    def split(argument):
        """Leading options, and the rest as it was typed: an expression or a name."""
        flags, rest = 0, argument.strip()
        while rest.startswith("-"):
            word, _, after = rest.partition(" ")
            if word == "--":
                return flags, after.strip()
            if word not in OPTIONS:
                if word[1:2].isdigit():
                    break
                raise gdb.GdbError("unknown option `%s': there are --json and -v" % word)
            flags, rest = flags | OPTIONS[word], after.strip()
        return flags, rest

    def complete(self, text, word):
        if word.startswith("-") or text[: len(text) - len(word)].endswith("-"):
            return self.complete_options(text, word)
        return self.complete_argument(text, word)

    @staticmethod
    def complete_options(text, word):
        # GDB hands over the last word after its own idea of a break, which `-' is for it.
        typed = text.rsplit(" ", 1)[-1]
        skip = len(typed) - len(word)
        return [o[skip:] for o in ("--json", "--verbose") if o.startswith(typed)]

    def complete_argument(self, text, word):
        return [] if word else ["--json", "--verbose"]


def address_of(expression):
    """EXPRESSION's value as an address: that of a pointer, an integer, or of what has one."""
    try:
        value = gdb.parse_and_eval(expression)
        kind = value.type.strip_typedefs()
        if kind.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            value = value.referenced_value()
            kind = value.type.strip_typedefs()
        if kind.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM):
            return int(value) & (1 << 64) - 1
        if value.address is None:
            raise gdb.GdbError("`%s' has no address" % expression)
        return int(value.address) & (1 << 64) - 1
    except gdb.error as error:
        raise gdb.GdbError(str(error))


class Prefix(gdb.Command):
    """Where did this process's memory go? Commands on the process or core that GDB has open.

mw-ledger             every resident byte's owner
mw-malloc             the C library's heap: arenas, bins, caches
mw-arenas             Python's small-object arenas (pymalloc): pools and blocks by size class
mw-pools [CLASS]      the pools, or those of one size class
mw-blocks POOL        the blocks of a pool, and what they hold
mw-census             Python's objects by type
mw-freelists          dead objects that Python keeps for reuse
mw-objects TYPE       where the objects of a type are
mw-whatis EXPR        what an address is: region, arena, pool, block, object, owner
mw-dump-arenas FILE   every arena, pool and block as a line of JSON

$mw_pool(ADDR), $mw_arena(ADDR), $mw_typename(OBJECT) are for expressions.

Each takes --json (one document on one line) and -v (the evidence, too)."""

    def __init__(self):
        super().__init__("mw", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        gdb.execute("help mw")


def register():
    Prefix()

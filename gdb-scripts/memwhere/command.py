# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands share: the prefix `help mw', words and options, completion, output, errors."""
import codecs
import json
import os

import gdb

from memwhere import library, session

FLAGS = {"--json": library.JSON, "--verbose": library.VERBOSE, "-v": library.VERBOSE}


def host_is_utf8():
    charset = gdb.host_charset() if hasattr(gdb, "host_charset") else gdb.parameter("host-charset")
    return "UTF-8" in charset.upper()


# Characters escaped as in JSON, so that a JSON document stays valid.
codecs.register_error(
    "memwhere-json", lambda error: (json.dumps(error.object[error.start : error.end])[1:-1], error.end)
)


def write(text):
    """gdb.write, with its paging. Characters that GDB's terminal can't show are escaped."""
    if not host_is_utf8():
        text = text.encode("ascii", "memwhere-json").decode()
    gdb.write(text)


class Command(gdb.Command):
    """A command `mw-NAME [--json] [-v] [ARGUMENT]` that shows the document NAME. Its docstring is
    its help."""

    name = None
    argument = None  # the argument's name in messages, None: there is none
    required = False
    numbers = {}  # options that take a number, and the request's field for it
    words = {}  # options that take a word, and the request's field for it
    switches = {}  # options that take nothing, and the request's field for it

    def __init__(self):
        complete = getattr(self, "completer", None)
        if complete is None:
            super().__init__("mw-" + self.name, gdb.COMMAND_DATA)
        else:
            super().__init__("mw-" + self.name, gdb.COMMAND_DATA, complete)

    def options(self):
        return list(FLAGS) + list(self.numbers) + list(self.words) + list(self.switches)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        flags, values, rest = self.split(argument)
        if rest and not self.argument:
            raise gdb.GdbError(
                "mw-%s takes no argument but %s" % (self.name, ", ".join(self.options()))
            )
        if self.required and not rest:
            raise gdb.GdbError(
                "mw-%s needs %s: see `help mw-%s'" % (self.name, self.argument, self.name)
            )
        if host_is_utf8():
            flags |= library.UTF8
        self.run(rest, flags, values)

    def run(self, rest, flags, values):
        """Show the document about REST, what was typed after the options."""
        subject = library.documents()[self.name]
        if rest and subject in SUBJECTS:
            field, convert = SUBJECTS[subject]
            values[field] = convert(rest)
        session.current().show(write, self.name, library.Request(**values), flags)

    def split(self, argument):
        """The leading options as flags and values, and the rest as it was typed."""
        flags, values, rest = 0, {}, argument.strip()
        while rest.startswith("-"):
            word, _, after = rest.partition(" ")
            if word == "--":
                return flags, values, after.strip()
            if word in self.numbers:
                value, _, after = after.strip().partition(" ")
                if not value.isdigit() or not 0 < int(value) < 1 << 32:
                    raise gdb.GdbError("%s needs a number from 1 on" % word)
                values[self.numbers[word]] = int(value)
            elif word in self.words:
                value, _, after = after.strip().partition(" ")
                if not value:
                    raise gdb.GdbError("%s needs a word" % word)
                values[self.words[word]] = value.encode()
            elif word in self.switches:
                values[self.switches[word]] = True
            elif word in FLAGS:
                flags |= FLAGS[word]
            elif word[1:2].isdigit():
                break
            else:
                raise gdb.GdbError(
                    "unknown option `%s': there are %s" % (word, ", ".join(self.options()))
                )
            rest = after.strip()
        return flags, values, rest

    def complete(self, text, word):
        if word.startswith("-") or text[: len(text) - len(word)].endswith("-"):
            return self.complete_options(text, word)
        return self.complete_argument(text, word)

    def long_options(self):
        return [o for o in self.options() if o.startswith("--")]

    def complete_options(self, text, word):
        # GDB breaks words at `-', so WORD may be only the end of the option.
        typed = text.rsplit(" ", 1)[-1]
        skip = len(typed) - len(word)
        return [o[skip:] for o in self.long_options() if o.startswith(typed)]

    def complete_argument(self, text, word):
        return [] if word else self.long_options()


def address_of(expression):
    """EXPRESSION's value as an address: a pointer's or an integer's value, else the value's place."""
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


def class_of(expression):
    """EXPRESSION's value as a size class, which the library checks."""
    try:
        size = int(gdb.parse_and_eval(expression))
    except gdb.error as error:
        raise gdb.GdbError(str(error))
    # The library takes 0 for "all of them".
    return size or 1


def path_of(text):
    """The file that TEXT names, as the library opens it."""
    return os.fsencode(os.path.expanduser(text))


# For what a document is about: the request's field, and the function that parses what was typed.
SUBJECTS = {
    library.ADDRESS: ("address", address_of),
    library.OBJECT: ("address", address_of),
    library.CLASS: ("size_class", class_of),
    library.TYPE: ("type", str.encode),
    library.BEFORE: ("before", path_of),
}


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
mw-refs EXPR          who refers to an object, what it refers to, the way to it from a root
mw-path EXPR          that way alone
mw-retained [EXPR]    where memory accumulates, or what would be freed with an object
mw-leaks              cycles and blocks of C's that nothing reaches
mw-pins               which objects keep free memory from going back, and who holds them
mw-diff CORE          what changed since an earlier core of the program
mw-dump-arenas FILE   every arena, pool and block as a line of JSON

$mw_pool(ADDR), $mw_arena(ADDR), $mw_typename(OBJECT) are for expressions.

Each takes --json (one document on one line) and -v (the evidence, too), mw-ledger also
--depth N (levels of its tree)."""

    def __init__(self):
        super().__init__("mw", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        gdb.execute("help mw")


def register():
    Prefix()

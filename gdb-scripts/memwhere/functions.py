# SPDX-License-Identifier: GPL-2.0-or-later
"""Convenience functions, for GDB's expressions."""
import gdb

from memwhere import library, session

MASK = (1 << 64) - 1


def address_in(value):
    """The number that VALUE, a pointer or an integer, is."""
    try:
        return int(value) & MASK
    except (gdb.error, TypeError):
        raise gdb.GdbError("memwhere needs an address: a pointer or a number")


class Address(gdb.Function):
    """An address that the engine answers with, as a `void *'."""

    what = None

    def __init__(self):
        super().__init__("mw_" + self.what)

    def invoke(self, value):
        request = library.Request(address=address_in(value))
        found = int(session.current().text(self.what, request), 16)
        return gdb.Value(found).cast(gdb.lookup_type("void").pointer())


class Pool(Address):
    """$mw_pool(ADDR): the pool of Python's that holds ADDR, 0 if there is none."""

    what = "pool"


class Arena(Address):
    """$mw_arena(ADDR): the arena of Python's that holds ADDR, 0 if there is none."""

    what = "arena"


class TypeName(gdb.Function):
    """$mw_typename(OBJECT): the name of the type of the Python object at an address."""

    def __init__(self):
        super().__init__("mw_typename")

    def invoke(self, value):
        return session.current().text("typename", library.Request(address=address_in(value)))


def register():
    for function in (Pool, Arena, TypeName):
        function()

# SPDX-License-Identifier: GPL-2.0-or-later
"""One engine per inferior, kept between commands until the inferior changes."""
import codecs
import ctypes

import gdb

from memwhere import library
from memwhere.inferior import Inferior


class Session:
    """An open engine. What it has found is valid as long as the inferior doesn't run."""

    def __init__(self):
        self.engine = None
        self.shown = set()
        self.lib = library.library()
        self.inferior = Inferior()
        err = library.Err()
        self.engine = self.lib.mw_engine__open(
            self.inferior.target, self.inferior.callbacks, ctypes.byref(err)
        )
        try:
            self.inferior.check()
            if not self.engine:
                raise gdb.GdbError(str(err))
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.engine:
            self.lib.mw_engine__close(self.engine)
            self.engine = None
        self.inferior.close()

    def show(self, write, name, request=None, flags=0):
        """Have WRITE called with the pieces of the document NAME."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def take(_arg, data, size):
            try:
                write(decoder.decode(ctypes.string_at(data, size)))
                return 1 if self.inferior.failure else 0
            except BaseException as error:  # pylint: disable=broad-except
                self.inferior.failure = self.inferior.failure or error
                return 1

        output = library.Output(flags=flags, write=library.WRITE(take))
        self.shown.add(name)
        err = library.Err()
        ret = self.lib.mw_engine__write(
            self.engine,
            name.encode(),
            ctypes.byref(request or library.Request()),
            ctypes.byref(output),
            ctypes.byref(err),
        )
        try:
            self.inferior.check()
        except BaseException:
            # Only a part was read so far: the next command starts again.
            forget(gdb.selected_inferior().num)
            raise
        if ret:
            raise gdb.GdbError(str(err))

    def text(self, name, request=None, flags=0):
        """The document as one string; for short ones."""
        pieces = []
        self.show(pieces.append, name, request, flags)
        return "".join(pieces)


_sessions = {}


def current():
    """The session of the selected inferior."""
    inferior = gdb.selected_inferior()
    if any(thread.is_running() for thread in inferior.threads()):
        raise gdb.GdbError("the process is running: stop it first (`interrupt', or Ctrl-C)")
    session = _sessions.get(inferior.num)
    if not session:
        session = _sessions[inferior.num] = Session()
    return session


def peek(name):
    """The selected inferior's session if it has shown the document NAME already, else None."""
    session = _sessions.get(gdb.selected_inferior().num)
    return session if session and name in session.shown else None


def forget(number=None):
    """Drop the session of inferior NUMBER, or all of them."""
    for each in [number] if number is not None else list(_sessions):
        session = _sessions.pop(each, None)
        if session:
            session.close()


def _forget_all(_event=None):
    forget()


# Events after which memory or mappings may differ. Each drops all sessions: files and memory written
# by hand may concern several inferiors, and a session is quick to open again.
_EVENTS = (
    "cont",
    "exited",
    "new_objfile",
    "clear_objfiles",
    "free_objfile",
    "inferior_call",
    "memory_changed",
    "inferior_deleted",
    "connection_removed",
)


def watch():
    for name in _EVENTS:
        if hasattr(gdb.events, name):
            getattr(gdb.events, name).connect(_forget_all)


def unwatch():
    forget()
    for name in _EVENTS:
        if hasattr(gdb.events, name):
            getattr(gdb.events, name).disconnect(_forget_all)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What GDB knows of the selected inferior, as the engine's `struct mw_engine_target` has it:
a core, a process on this machine, or one behind a remote protocol. Memory always comes from GDB."""
import ctypes
import errno
import os
import re

import gdb

from memwhere import library, remote
from memwhere.threads import read_threads

PAGE = 4096


class Inferior:
    """The callbacks and the target of one engine. Exceptions can't pass through C: what a
    callback catches is kept in `failure`, the engine stops, and check() raises it."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.failure = None
        self.remote = None
        self.callbacks = library.Callbacks(
            read=library.READ(self._read), file=library.FILE(self._file)
        )
        self.target = library.Target(log=library.LOG(self._log))
        self._describe()

    def _describe(self):
        connection = self.inferior.connection
        kind = connection.type if connection else None
        if kind == "core":
            self.target.core = os.fsencode(core_path())
            self.target.exe = os.fsencode(gdb.current_progspace().filename or "") or None
            sysroot = gdb.parameter("sysroot")
            if sysroot and not sysroot.startswith("target:"):
                self.target.sysroot = os.fsencode(sysroot)
        elif kind == "native" and self.inferior.pid > 0:
            self.target.pid = self.inferior.pid
            self.target.threads = threads = read_threads()
            self.target.thread_count = len(threads)
        elif kind in ("remote", "extended-remote") and self.inferior.pid > 0:
            self.remote = remote.Remote(self.inferior.pid)
            self.target.description = ctypes.pointer(self.remote.describe())
        elif kind and self.inferior.pid > 0:
            raise gdb.GdbError("memwhere can't read a target of the kind `%s'" % kind)
        else:
            raise gdb.GdbError("no process or core: use `core FILE' or `attach PID'")

    def close(self):
        if self.remote:
            self.remote.close()

    def check(self):
        """Raise the exception that a callback has caught since the last check."""
        failure, self.failure = self.failure, None
        if failure:
            raise failure

    def _log(self, _arg, level, line):
        try:
            text = line.decode(errors="replace")
            gdb.write("%s%s\n" % ("" if level else "warning: ", text), gdb.STDERR)
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = self.failure or error

    def _guard(self, work):
        """Run a callback's WORK: its result, or a negative errno."""
        if self.failure:
            return -errno.EINTR
        try:
            return work()
        except gdb.MemoryError:
            return -errno.EFAULT
        except gdb.error as error:
            self.failure = gdb.GdbError(str(error))
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error
        return -errno.EINTR

    def _read(self, _arg, addr, buf, size):
        return self._guard(lambda: self._copy(addr, buf, size))

    def _copy(self, addr, buf, size):
        try:
            copy_out(buf, self.inferior.read_memory(addr, size), size)
            return size
        except gdb.MemoryError:
            pass
        # GDB reads all or nothing; halving finds how far it can read.
        low, high = 0, size
        while high - low > 1:
            middle = (low + high) // 2
            end = addr + middle
            if end % PAGE and (end - end % PAGE) > addr + low:
                middle = end - end % PAGE - addr
            try:
                piece = self.inferior.read_memory(addr + low, middle - low)
            except gdb.MemoryError:
                if middle - low <= PAGE:
                    break
                high = middle
                continue
            copy_out(buf + low, piece, len(piece))
            low = middle
        return low

    def _file(self, _arg, build_id, buf, size):
        def find():
            path = os.fsencode(self._path_of(build_id.decode()) or "")
            if not path or len(path) >= size:
                return -errno.ENOENT
            ctypes.memmove(buf, path + b"\0", len(path) + 1)
            return 0

        return self._guard(find)

    def _path_of(self, build_id):
        """A file on this machine that is the ELF file with BUILD_ID, as GDB has loaded it."""
        for objfile in gdb.objfiles():
            if objfile.is_valid() and not objfile.owner and objfile.build_id == build_id:
                name = objfile.filename
                if not name.startswith("target:"):
                    return name
                return self.remote.get(name[len("target:"):]) if self.remote else None
        return None


def copy_out(buf, memory, size):
    """Copy a gdb.Membuf to the address BUF."""
    ctypes.memmove(buf, (ctypes.c_char * size).from_buffer(memory), size)


def core_path():
    """The path of the core that is open; GDB has it only as text before version 17."""
    text = gdb.execute("info files", to_string=True)
    found = re.search(r"core dump file:\s+`(.*)', file type", text)
    if not found:
        raise gdb.GdbError("GDB doesn't say which core file is open (`info files')")
    return found.group(1)

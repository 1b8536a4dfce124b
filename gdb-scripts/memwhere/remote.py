# SPDX-License-Identifier: GPL-2.0-or-later
"""A process behind GDB's remote protocol. Its /proc files are copied with `remote get'. Its
pagemap can't be, because gdbserver reads files with 32-bit offsets (require_int() in
gdbserver/hostio.cc), so which pages are resident stays unknown."""
import os
import shutil
import tempfile

import gdb

from memwhere import library
from memwhere.threads import read_threads


class Remote:
    """Files of the remote machine, above all those of its process PID."""

    def __init__(self, pid):
        self.pid = pid
        self.folder = None
        self.fetched = {}

    def close(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None

    def get(self, path):
        """A local copy of the remote file PATH, made once, or None."""
        if path in self.fetched:
            return self.fetched[path]
        if not self.folder:
            self.folder = tempfile.mkdtemp(prefix="memwhere-")
        copy = os.path.join(self.folder, str(len(self.fetched)))
        quoted = '"%s"' % path.replace("\\", "\\\\").replace('"', '\\"')
        try:
            gdb.execute("remote get %s %s" % (quoted, copy), to_string=True)
        except gdb.error:
            copy = None
        self.fetched[path] = copy
        return copy

    def _read(self, path):
        copy = self.get(path)
        if not copy:
            raise gdb.GdbError(
                "the remote side can't read %s for GDB: memwhere needs a remote that serves files "
                "(`remote get'), as gdbserver does" % path
            )
        with open(copy, "rb") as file:
            return file.read()

    def describe(self):
        smaps = self._read("/proc/%d/smaps" % self.pid)
        auxv = self._read("/proc/%d/auxv" % self.pid)
        threads = read_threads()
        return library.Description(
            name=b"remote PID %d" % self.pid,
            pid=self.pid,
            smaps=smaps,
            smaps_len=len(smaps),
            auxv=auxv,
            auxv_len=len(auxv),
            threads=threads,
            thread_count=len(threads),
        )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Load memwhere's commands into GDB:

    (gdb) source gdb-scripts/memwhere-gdb.py
    (gdb) help mw

Sourcing it again reloads the files.
"""
import os
import re
import sys

import gdb


def _load():
    major = int((re.search(r"(\d+)\.\d", gdb.VERSION) or ["", "0"])[1])
    if major < 12:
        gdb.write("memwhere needs GDB 12 or later, this is %s\n" % gdb.VERSION, gdb.STDERR)
        return
    here = os.path.dirname(os.path.abspath(__file__))
    if here not in sys.path:
        sys.path.insert(0, here)
    if "memwhere" in sys.modules:
        sys.modules["memwhere"].unload()
        for name in [n for n in sys.modules if n == "memwhere" or n.startswith("memwhere.")]:
            del sys.modules[name]
    import memwhere

    memwhere.load()


_load()

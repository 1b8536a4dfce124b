#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The post-mortem: runs tests/workloads/web.py until it holds 3 GB, takes a snapshot, and writes what memwhere says of it into
docs/post-mortem.md. As root, with 4 GB of memory:

    docs/post_mortem.py BUILD-FOLDER
"""
import os
import subprocess
import sys
import tempfile

import outputs

PROGRAM = os.path.join(outputs.WORKLOADS, "web.py")
QUESTIONS = {
    "why": "memwhere app.core.zst",
    "owners": "memwhere ledger app.core.zst",
    "objects": "memwhere census app.core.zst | head -11",
    "holder": "memwhere retained app.core.zst | head -4",
    "arenas": "memwhere arenas app.core.zst | sed -n '/^arena.s use/,$p'",
    "pins": "memwhere pins app.core.zst | head -4",
    "malloc": "memwhere malloc app.core.zst | sed -n '3,5p;$p'",
}


def main():
    build = os.path.abspath(sys.argv[1])
    program = subprocess.Popen(["/usr/bin/python3", PROGRAM], stdout=subprocess.PIPE)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            if program.stdout.readline() != b"ready\n":
                raise SystemExit("web.py does not start")
            found["snapshot"] = outputs.ask(build, "memwhere snapshot -z %d -o app.core.zst" % program.pid)
        finally:
            program.kill()
            program.wait()
        for name, command in QUESTIONS.items():
            found[name] = outputs.ask(build, command)
    with open(PROGRAM) as source:
        found["program"] = outputs.indent(source.read())
    outputs.fill(os.path.join(outputs.HERE, "post-mortem.md"), "post_mortem.py", found)


main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process with few objects that pin much memory (2.7 and 3.6 to 3.15).

pins_truth.py [COUNT]: makes many objects (700000) and keeps few of them, in app.log and app.blobs, says "ready PID" and
waits for a line. Then it drops what it kept and says "rss BEFORE AFTER" of app.log and "top BEFORE
AFTER" of app.blobs, bytes resident by the kernel's count, and how many objects each was.
"""
import gc
import os
import sys
import types

app = types.ModuleType("app")
sys.modules["app"] = app
PAGE = os.sysconf("SC_PAGESIZE")


class Audit(object):
    __slots__ = ("what",)

    def __init__(self):
        self.what = None


Audit.__module__ = "app"


def resident():
    fd = os.open("/proc/self/statm", os.O_RDONLY)
    pages = int(os.read(fd, 99).split()[1])
    os.close(fd)
    return pages * PAGE


def say(text):
    """Without a file object: its buffer may come to lie at the heap's end, as in resident()."""
    os.write(1, (text + "\n").encode())


def objects(count, step):
    """All but one in STEP go again."""
    many = [Audit() for i in range(count)]
    app.log = many[step // 2 :: step]
    del many


def blobs(count, size):
    """Blocks of the C heap, of which the last ones and a few before them stay."""
    many = [bytearray(size) for i in range(count)]
    app.blobs = many[count // 2 :: count // 20]
    app.blobs.append(many[-1])
    del many


gc.disable()
gc.collect()
# What this allocates for good, room for names included, must not lie among the blobs later.
kept = before = None
say("resident %d" % resident())
objects(int(sys.argv[1]) if len(sys.argv) > 1 else 700000, 7001)
blobs(2000, 30000)
gc.collect()
say("ready %d" % os.getpid())
os.read(0, 99)
kept = len(app.log), len(app.blobs)
before = resident()
del app.log[:]
say("log %d" % (before - resident()))
before = resident()
del app.blobs[:]
say("blobs %d" % (before - resident()))
say("kept_log %d" % kept[0])
say("kept_blobs %d" % kept[1])
say("done")
os.read(0, 99)

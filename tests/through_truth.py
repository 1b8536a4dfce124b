# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process (3.6 and later) whose objects live only through log records, finished tasks,
tracebacks and a frame. Says "ready PID" and waits for a line; then it drops those, one after the
other, and says how many bytes malloc got back: "records BYTES" and so on. With PYTHONMALLOC=malloc
these are all.
"""
import asyncio
import ctypes
import gc
import logging
import logging.handlers
import os
import sys
import types

app = types.ModuleType("app")
sys.modules["app"] = app
libc = ctypes.CDLL(None)


class Mallinfo(ctypes.Structure):
    _names_ = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names_.split()]


def in_use():
    gc.collect()
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd


class Row(object):
    def __init__(self, i):
        self.text = "row %d" % i


def fail(n):
    rows = [Row(i) for i in range(n)]
    raise ValueError(rows[-1].text)


async def work(n):
    return [Row(i) for i in range(n)]


async def gather():
    app.tasks = [asyncio.ensure_future(work(211)) for i in range(13)]
    await asyncio.gather(*app.tasks)


def say(what, before):
    print("%s %d" % (what, before - in_use()))


def serve():
    mine = [Row(i) for i in range(3001)]
    print("ready %d" % os.getpid())
    sys.stdout.flush()
    sys.stdin.readline()
    before = in_use()
    del app.handler.buffer[:]
    say("records", before)
    before = in_use()
    del app.tasks[:]
    say("tasks", before)
    before = in_use()
    for error in app.errors:
        error.__traceback__ = None
    say("tracebacks", before)
    before = in_use()
    del mine[:]
    say("frames", before)
    print("done")
    sys.stdout.flush()
    sys.stdin.readline()


app.errors = []
for _ in range(7):
    try:
        fail(1009)
    except ValueError as e:
        app.errors.append(e)
log = logging.getLogger("x")
log.setLevel(logging.INFO)
log.propagate = False
app.handler = logging.handlers.MemoryHandler(100000, flushLevel=1000)
log.addHandler(app.handler)
for number in range(503):
    log.info("row %s", Row(number))
asyncio.new_event_loop().run_until_complete(gather())
gc.collect()
serve()

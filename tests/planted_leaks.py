# SPDX-License-Identifier: GPL-2.0-or-later
"""
Programs with one leak each, planted in different ways. `memwhere retained` of a core of each must name, first of all, what holds it.

    planted_leaks.py MEMWHERE FOLDER        prints what was found, a line a leak
"""

import array
import asyncio
import collections
import ctypes
import functools
import logging.handlers
import os
import re
import signal
import subprocess
import sys
import threading
import weakref

ROWS = 4001  # of a few hundred bytes each; a tenth of what the process has, or more


def row(n):
    return {"number": n, "text": "row %d " % n * 20}


# ---- what a program might look like --------------------------------------------------------------

CACHE, FRAMES, PENDING = {}, [], set()
INDEX = collections.defaultdict(set)
LOCAL = threading.local()


class Registry:
    items = []


class Worker:
    def __init__(self):
        self.queue = collections.deque()


class Node:
    def __init__(self, value, after):
        self.value, self.after = value, after


class Watched:
    pass


class Request:
    def __init__(self, n):
        self.body = row(n)
        self.session = None


class Session:
    def __init__(self):
        self.requests = []


WORKER = Worker()
WATCHED = []


def module_dict():
    for n in range(ROWS):
        CACHE["user:%d" % n] = row(n)


def class_attribute():
    Registry.items.extend(row(n) for n in range(ROWS))


def make_handler():
    seen = []

    def handle(request):
        seen.append(request)

    return handle


HANDLE = make_handler()


def closure():
    for n in range(ROWS):
        HANDLE(row(n))


@functools.lru_cache(maxsize=None)
def compute(n):
    return row(n)


def lru_cache():
    for n in range(ROWS):
        compute(n)


def thread_local():
    LOCAL.rows = [row(n) for n in range(ROWS)]


async def serve(n, forever):
    body = row(n)
    await forever.wait()
    return body


def asyncio_tasks():
    global LOOP
    LOOP = asyncio.new_event_loop()

    async def accept():
        forever = asyncio.Event()
        for n in range(ROWS):
            PENDING.add(asyncio.ensure_future(serve(n, forever)))
        await asyncio.sleep(0)

    LOOP.run_until_complete(accept())


def buffers():
    for n in range(ROWS):
        FRAMES.append(array.array("d", range(60)) if n % 2 else ctypes.create_string_buffer(500))


def deque_of_instance():
    for n in range(ROWS):
        WORKER.queue.append(row(n))


def read():
    lines = [row(n) for n in range(ROWS)]
    yield len(lines)
    yield lines


def generator():
    global READER
    READER = read()
    next(READER)


def log_handler():
    global HANDLER
    HANDLER = logging.handlers.MemoryHandler(1 << 30, logging.CRITICAL + 1)
    log = logging.getLogger("planted")
    log.propagate = False
    log.addHandler(HANDLER)
    for n in range(ROWS):
        log.error("failed: %s", row(n))


def defaultdict_of_sets():
    for n in range(ROWS):
        INDEX[n % 7].add((n, "row %d " % n * 20))


def finalizers():
    for n in range(ROWS):
        WATCHED.append(Watched())
        weakref.finalize(WATCHED[-1], print, row(n))


def fail():
    rows = [row(n) for n in range(ROWS)]
    raise ValueError(len(rows))


def traceback():
    global ERROR
    try:
        fail()
    except ValueError as error:
        ERROR = error


def linked_list():
    global HEAD
    HEAD = None
    for n in range(ROWS):
        HEAD = Node(row(n), HEAD)


def cycles_under_a_session():
    global SESSION
    SESSION = Session()
    for n in range(ROWS):
        request = Request(n)
        request.session = SESSION
        SESSION.requests.append(request)


# What the first line says.
LEAKS = (
    (module_dict, r"`planted_leaks.CACHE`, dict of 4001"),
    (class_attribute, r"`planted_leaks.Registry.items`, list of 4001"),
    (closure, r"`planted_leaks.HANDLE closure cell seen`, list of 4001"),
    (lru_cache, r"`planted_leaks.compute(`, functools._lru_cache_wrapper| \(lru_cache\)`, dict of 4001)"),
    (thread_local, r"`planted_leaks.LOCAL \(thread-local\).rows`, list of 4001"),
    (asyncio_tasks, r"`planted_leaks.PENDING`, set of 4001"),
    (buffers, r"`planted_leaks.FRAMES`, list of 4001"),
    (deque_of_instance, r"`planted_leaks.WORKER.queue`, collections.deque of 4001"),
    (generator, r"`planted_leaks.READER read\(\) local lines`, list of 4001"),
    (log_handler, r"`planted_leaks.HANDLER.buffer`, list of 4001"),
    (defaultdict_of_sets, r"`planted_leaks.INDEX`, collections.defaultdict of 7"),
    (finalizers, r"`weakref.finalize._registry`, dict of 4001"),
    (traceback, r"`planted_leaks.ERROR.__traceback__.tb_next.tb_frame local rows`, list of 4001"),
    (linked_list, r"`planted_leaks.HEAD`, __main__.Node"),
    (cycles_under_a_session, r"`planted_leaks.SESSION.requests`, list of 4001"),
)


def first_line(memwhere, folder, plant):
    """What `memwhere retained` says first of a core of a process with that leak."""
    core = os.path.join(folder, plant.__name__)
    ready, say = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            plant()
            os.write(say, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(say)
    try:
        assert os.read(ready, 1) == b"x", plant.__name__
        subprocess.run([memwhere, "snapshot", str(pid), "-q", "-o", core], check=True, stdout=subprocess.DEVNULL)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
    said = subprocess.run([memwhere, "retained", core], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    os.unlink(core)
    return said.splitlines()[1].strip()


def main(memwhere, folder):
    wrong = 0
    for plant, want in LEAKS:
        line = first_line(memwhere, folder, plant)
        good = re.match(want + ", retains [0-9.]+ [KM]iB, [1-9][0-9] %$", line)
        wrong += not good
        print("%-22s %s %s" % (plant.__name__, "  " if good else "!!", line))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Programs with one planted cause each, after reports that people have published; `causes.py NAME`.
Once the memory is as it should be they print "ready", and go on until they are killed. `causes.py
--list` prints each name with the cause that is true of it while it runs, and the one that a core
shows; "a|b": either, "a,b": both, in this order.
"""
import asyncio
import collections
import ctypes
import functools
import gc
import logging
import mmap
import os
import signal
import sys
import tempfile
import threading
import time

MIB = 1 << 20
PROGRAMS = []


# Of a core of a healthy program, and of one that says what grows only while it runs.
IN_USE = "python-objects|files|native-live|none"


def program(cause, core=None):
    def add(run):
        PROGRAMS.append((run.__name__, cause, core or (IN_USE if cause == "steady" else cause), run))
        return run

    return add


def ready():
    print("ready", flush=True)


def forever(step, pause=0.002):
    """Requests: STEP is one."""
    ready()
    n = 0
    while True:
        step(n)
        n += 1
        time.sleep(pause)


def record(n):
    return {"id": n, "name": "user-%d" % n, "tags": ["a%d" % n, "b%d" % n], "score": n * 1.5}


# ---- objects that grow ---------------------------------------------------------------------------

# A list that nobody trims: docs.python.org/3/faq, "why isn't memory freed", and most of its kind.
@program("python-objects")
def list_of_records():
    seen = []
    forever(lambda n: seen.append(record(n)))


# github.com/psf/requests/issues/4601 and its like: a dictionary by URL that never forgets.
@program("python-objects")
def dict_without_limit():
    cache = {}

    def step(n):
        cache["/item/%d" % n] = record(n)

    forever(step)


# bugs.python.org/issue19859: functools.lru_cache on a method keeps every instance.
@program("python-objects")
def lru_cache_on_method():
    class Service:
        def __init__(self, n):
            self.state = record(n)

        @functools.lru_cache(maxsize=None)
        def answer(self):
            return len(self.state)

    forever(lambda n: Service(n).answer())


# github.com/django/django tickets: signal handlers that are connected again with each request.
@program("python-objects")
def callbacks():
    handlers = []

    def step(n):
        state = record(n)
        handlers.append(lambda: state)

    forever(step)


# A registry in a class attribute.
class Registry:
    known = []

    def __init__(self, n):
        self.payload = record(n)
        Registry.known.append(self)


@program("python-objects")
def class_registry():
    forever(Registry)


# A consumer that is slower than its producer: an unbounded queue.
@program("python-objects")
def unbounded_queue():
    queue = collections.deque()

    def step(n):
        queue.extend((record(n), record(n)))
        if n % 3 == 0:
            queue.popleft()

    forever(step)


# bugs.python.org/issue36820 and others: an exception's traceback keeps all its frames.
@program("python-objects")
def tracebacks():
    errors = []

    def fail(n):
        local = record(n), bytes(2000)
        raise ValueError(n, len(local))

    def step(n):
        try:
            fail(n)
        except ValueError as e:
            errors.append(e)

    forever(step)


# docs.python.org/3/library/asyncio-task.html: tasks that wait for what never comes.
@program("python-objects")
def tasks_that_wait():
    waiting = set()

    async def handle(n, event):
        state = record(n)
        await event.wait()
        return state

    async def serve():
        event = asyncio.Event()
        ready()
        n = 0
        while True:
            waiting.add(asyncio.ensure_future(handle(n, event)))
            n += 1
            await asyncio.sleep(0.002)

    asyncio.new_event_loop().run_until_complete(serve())


# logging: a handler with a buffer that is never flushed.
@program("python-objects")
def log_records():
    class Keep(logging.Handler):
        def __init__(self):
            logging.Handler.__init__(self)
            self.records = []

        def emit(self, entry):
            self.records.append(entry)

    log = logging.getLogger("app")
    log.addHandler(Keep())
    log.propagate = False
    log.setLevel(logging.INFO)
    forever(lambda n: log.info("request %d %s", n, "x" * 100))


# Whole bodies of responses that are kept.
@program("python-objects")
def large_buffers():
    bodies = []
    forever(lambda n: bodies.append(bytearray(20000 + n % 7)))


# A set of identifiers of everything ever seen.
@program("python-objects")
def set_of_strings():
    ids = set()

    def step(n):
        for i in range(10):
            ids.add("session-%d-%d" % (n, i))

    forever(step)


# A big data set that a server has loaded: 100 % objects, and nothing grows. From a core that's all.
@program("python-objects|steady")
def loaded_once():
    data = {n: record(n) for n in range(120000)}
    forever(lambda n: data.get(n), 0.01)


# ---- cycles --------------------------------------------------------------------------------------

def cycle(n):
    a, b = record(n), record(n)
    a["b"], b["a"] = b, a


# instagram-engineering.com, "Dismissing Python garbage collection": nobody collects any more.
@program("python-cycles")
def collector_is_off():
    gc.disable()
    for n in range(30000):
        cycle(n)
    forever(cycle)


# docs.python.org/3/library/gc.html: a threshold that is never reached.
@program("python-cycles")
def threshold_too_high():
    gc.set_threshold(10000000, 10, 10)
    for n in range(30000):
        cycle(n)
    forever(cycle)


# ---- free, but held by Python --------------------------------------------------------------------

# bugs.python.org/issue3526 and "Python memory does not go back": survivors in every arena.
@program("python-free-blocks")
def peak_with_survivors():
    peak = [(n, str(n)) for n in range(900000)]
    survivors = peak[::211]
    del peak
    gc.collect()
    forever(lambda n: len(survivors), 0.01)


@program("python-free-blocks")
def import_of_a_day():
    rows = [record(n) for n in range(150000)]
    index = {r["name"]: r["id"] for r in rows[::97]}
    rows = None
    gc.collect()
    forever(lambda n: index.get("user-%d" % n), 0.01)


# Objects/tupleobject.c: up to 2,000 dead tuples of each length below 20 wait for the next one. That is 4.5 MiB at most: which
# of two causes is first depends on how much else is resident.
@program("python-parked|steady,python-parked|steady", "python-parked|python-objects,python-parked|python-objects")
def dead_tuples():
    for width in range(1, 20):
        [tuple(range(width)) for _ in range(2000)]
    forever(lambda n: None, 0.05)


# ---- free, but held by glibc ---------------------------------------------------------------------

# sourceware.org/bugzilla/show_bug.cgi?id=14827 and the story this project began with: the threshold
# creeps up to the largest mapped block that was freed, and what follows lies in the heap.
@program("glibc-threshold")
def threshold_creeps():
    del [bytearray(30 * MIB)][:]
    blocks, pins = [], []
    for n in range(60):
        blocks.append(bytearray(MIB + 4096 * n))
        pins.append(bytearray(3000))
    del blocks
    forever(lambda n: len(pins), 0.01)


@program("glibc-threshold")
def images_in_the_heap():
    for n in range(4, 25, 4):
        bytearray(n * MIB)
    kept = []
    for n in range(12):
        image = bytearray(8 * MIB - n * 65536)
        kept.append(bytearray(700))
        del image
    images = [bytearray(7 * MIB) for n in range(12)]
    kept.append(bytearray(900))
    del images
    forever(lambda n: len(kept), 0.01)


# stackoverflow.com/q/15350477: many blocks of a few kilobytes are freed below one that lives.
@program("glibc-free")
def pinned_heap():
    rows = [bytes(2000 + n % 600) for n in range(40000)]
    pin = bytes(5000)
    del rows
    forever(lambda n: len(pin), 0.01)


@program("glibc-free")
def every_fiftieth_row_lives():
    rows = [bytes(4000 + n % 2000) for n in range(30000)]
    kept = rows[::50]
    del rows
    forever(lambda n: len(kept), 0.01)


# The dictionary's own table moved the threshold as it grew, but what is free was small blocks, which merged.
@program("glibc-free")
def cleared_cache_of_small_values():
    cache = {n: b"v" * (600 + n % 900) for n in range(50000)}
    pin = bytes(3000)
    cache.clear()
    forever(lambda n: len(pin), 0.01)


# ---- C memory ------------------------------------------------------------------------------------

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def c_block(size):
    p = libc.malloc(size)
    libc.memset(p, 1, size)
    return p


# An extension that forgets a free().
@program("native-live", "native-leak")
def extension_leaks():
    forever(lambda n: c_block(5000))


# ---- neither -------------------------------------------------------------------------------------

@program("mappings")
def maps_and_forgets():
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]

    def step(n):
        p = libc.mmap(None, 64 << 10, 3, 0x22, -1, 0)
        libc.memset(p, 1, 64 << 10)

    forever(step, 0.01)


@program("shared")
def shared_memory():
    maps = []

    def step(n):
        maps.append(mmap.mmap(-1, 128 << 10))
        maps[-1].write(b"x" * (128 << 10))

    forever(step, 0.02)


@program("files")
def reads_a_mapped_file():
    with tempfile.TemporaryFile() as f:
        f.write(b"data" * (40 * MIB))
        f.flush()
        data = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
        sum(data[i] for i in range(0, len(data), 4096))
        forever(lambda n: data[n], 0.01)


@program("stacks")
def many_threads():
    libc.alloca = None
    stop = threading.Event()

    def deep(n):
        return deep(n - 1) if n else stop.wait()

    sys.setrecursionlimit(20000)
    threading.stack_size(16 * MIB)

    def use_stack():
        # qsort's callback goes through C, so each level takes C stack.
        compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        two = (ctypes.c_int * 2)(1, 2)

        def level(n):
            def callback(a, b):
                if n:
                    level(n - 1)
                else:
                    stop.wait()
                return 0

            libc.qsort(two, 2, 4, compare(callback))

        level(150)

    threads = [threading.Thread(target=use_stack, daemon=True) for _ in range(120)]
    for t in threads:
        t.start()
    time.sleep(1)
    forever(lambda n: None, 0.01)


# ---- healthy -------------------------------------------------------------------------------------

@program("steady")
def idle():
    forever(lambda n: None, 0.05)


@program("steady")
def busy_and_healthy():
    import json

    forever(lambda n: json.loads(json.dumps([record(i) for i in range(50)])))


@program("steady")
def bounded_lru_cache():
    @functools.lru_cache(maxsize=2000)
    def answer(n):
        return record(n)

    for n in range(4000):
        answer(n)
    forever(answer, 0.001)


@program("steady")
def dict_with_eviction():
    cache = collections.OrderedDict()

    def step(n):
        cache[n] = record(n)
        if len(cache) > 3000:
            cache.popitem(last=False)

    for n in range(6000):
        step(n)
    forever(step, 0.001)


@program("steady")
def cycles_that_are_collected():
    def step(n):
        a, b = record(n), record(n)
        a["b"], b["a"] = b, a

    for n in range(3000):
        step(n)
    forever(step, 0.001)


@program("steady")
def weak_dictionary():
    import weakref

    class Thing:
        pass

    alive = collections.deque(maxlen=500)
    known = weakref.WeakValueDictionary()

    def step(n):
        thing = Thing()
        thing.data = record(n)
        alive.append(thing)
        known[n] = thing

    for n in range(2000):
        step(n)
    forever(step, 0.001)


# A start that goes on for some seconds of the watch, and then nothing more.
@program("steady")
def start_up_that_ends():
    loaded = []

    def step(n):
        if n < 2000:
            loaded.append(record(n))

    forever(step)


# A cache that fills within some seconds of the watch, to its bound.
@program("steady")
def cache_that_fills():
    answer = functools.lru_cache(maxsize=3000)(record)
    forever(answer, 0.001)


@program("steady")
def large_imports():
    for name in ("decimal", "xml.dom.minidom", "http.server", "unittest.mock", "sqlite3", "email.mime.text"):
        __import__(name)
    forever(lambda n: record(n), 0.005)


# github.com/benoitc/gunicorn and others: user sessions in a dictionary by time.
@program("python-objects")
def sessions_that_never_expire():
    class Session:
        def __init__(self, n):
            self.user, self.started, self.cart = "user-%d" % n, time.time(), []

    sessions = {}

    def step(n):
        sessions[(n, "web")] = Session(n)

    forever(step, 0.001)


# ---- two at once ---------------------------------------------------------------------------------

# A leak in a server that has had a peak as well.
@program("python-objects,glibc-free")
def leak_after_a_peak():
    seen = [record(n) for n in range(60000)]
    rows = [bytes(2000 + n % 600) for n in range(12000)]
    pin = bytes(5000)
    del rows
    forever(lambda n: seen.append(record(n + len(pin))))


# Cycles of the start that nobody collects, which are not what grows.
@program("python-objects,python-cycles", "python-cycles|python-objects")
def leak_beside_old_cycles():
    gc.disable()
    for n in range(40000):
        cycle(n)
    seen = []
    forever(lambda n: seen.append(record(n)))


# A loaded data set, and survivors of an import in every arena.
@program("python-free-blocks,steady", "python-objects,python-free-blocks")
def survivors_beside_data():
    rows = [(n, str(n)) for n in range(300000)]
    survivors = rows[::211]
    del rows
    data = [bytes(30000) for n in range(2500)]
    forever(lambda n: len(survivors) + len(data), 0.01)


@program("steady")
def worker_threads():
    def work():
        while True:
            [record(i) for i in range(100)]
            time.sleep(0.01)

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.5)
    forever(lambda n: None, 0.02)


def remedy(cause):
    """What memwhere says helps."""
    if cause == "python-cycles":
        gc.collect()
    else:
        libc.malloc_trim(0)
    print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        for name, cause, core, _ in PROGRAMS:
            print(name, cause, core)
    else:
        cause, run = {name: (cause, run) for name, cause, _, run in PROGRAMS}[sys.argv[1]]
        signal.signal(signal.SIGUSR1, lambda *_: remedy(cause))
        run()

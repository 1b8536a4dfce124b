# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process that knows who keeps what (2.7 and 3.6 to 3.15).

graph_truth.py FOLDER: writes FOLDER/ways ("ADDRESS WAY", one a line, the way as memwhere should put
it) and FOLDER/referents.json and referrers.json (of some tracked objects the tracked ones that
gc.get_referents() and get_referrers() give), says "ready PID" and waits for a line. Then it says "collected OBJECTS" as gc.collect() does,
drops app.rows, and says "freed BLOCKS" by sys.getallocatedblocks(), and "freed_bytes BYTES" by
mallinfo2(), which has all of them with PYTHONMALLOC=malloc.
"""
import collections
import ctypes
import functools
import gc
import json
import os
import sys
import threading
import types
import weakref

FOLDER = sys.argv[1]
THREE = sys.version_info[0] > 2
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
gc.collect()
gc.disable()

app = types.ModuleType("app")
sys.modules["app"] = app
ways = open(os.path.join(FOLDER, "ways"), "w")


def way(thing, text):
    ways.write("%x %s\n" % (id(thing), text))
    ways.flush()


class User(object):
    def __init__(self, i):
        self.props = {"list": [i]}


class Slotted(object):
    __slots__ = ("left", "right", "__weakref__")


def holders():
    """One of each kind of holder; nothing but app keeps them."""

    class Thing(object):
        registry = {}

    def make():
        rows = []

        def inner():
            return rows

        return inner

    def function(first, collected=[]):  # noqa: B006: that is the point
        return collected

    def generate():
        kept = []
        yield kept
        yield kept

    app.cache = {"user:17": User(17), 5: [], ("a", 1): []}
    app.Thing = Thing
    app.slotted = Slotted()
    app.slotted.left = []
    app.closure = make()
    app.function = function
    app.generator = generate()
    app.items = collections.deque([] for i in range(200))
    app.ordered = collections.OrderedDict((i, []) for i in range(9))
    app.partial = functools.partial(function, [])
    app.local = threading.local()
    app.local.mine = []
    app.chain = None
    for i in range(50000):
        app.chain = [app.chain]
    way(app.cache, "app.cache")
    way(app.cache["user:17"].props, "app.cache['user:17'].props")
    way(app.cache["user:17"].props["list"], "app.cache['user:17'].props['list']")
    way(app.cache[5], "app.cache[5]")
    way(app.cache["a", 1], "app.cache[('a', 1)]")
    way(Thing.registry, "app.Thing.registry")
    way(app.slotted.left, "app.slotted.left")
    way(app.closure(), "app.closure closure cell rows")
    way(function(None), "app.function default 0")
    way(app.items[177], "app.items[177]")
    way(app.ordered[7], "app.ordered[7]")
    way(app.partial.args[0], "app.partial.args[0]")
    way(app.local.mine, "app.local (thread-local).mine")
    way(app.chain[0][0][0], "app.chain[0][0][0]")
    if hasattr(functools, "lru_cache"):
        app.cached = functools.lru_cache(maxsize=10)(lambda x: [x])
        key = "'key'" if sys.version_info[:2] > (3, 6) else "('key',)"
        way(app.cached("key"), "app.cached (lru_cache)[%s]" % key)
    # Which name a generator's code goes by depends on the version.
    code = "holders.<locals>.generate" if sys.version_info >= (3, 11) else "generate"
    way(next(app.generator), "app.generator %s() local kept" % code)


def handler(started, end):
    rows = []
    way(rows, "handler() local rows")
    started.set()
    end.wait()
    return rows


def cycles():
    """What gc.collect() finds."""
    for i in range(101):
        user = User(i)
        user.me = user
    for i in range(53):
        slotted = Slotted()
        slotted.left = {"key": slotted}
    alone = []
    alone.append(alone)
    weak = weakref.ref(Slotted)
    return weak


def leak():
    for i in range(97):
        libc.memset(libc.malloc(3001), 1, 3001)
    for i in range(13):
        libc.memset(libc.malloc(70001), 1, 70001)
    # Where the last one's address may have stayed on the stack, this one comes now.
    app.kept = libc.malloc(100)
    libc.memset(app.kept, 1, 100)


class Mallinfo(ctypes.Structure):
    _names_ = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names_.split()]


CLASSES = [Mallinfo, ctypes.POINTER(Mallinfo), ctypes.POINTER(ctypes.c_wchar), ctypes.c_long * 3,
           ctypes.CFUNCTYPE(Mallinfo)]


def in_use():
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd


def referents(count):
    """Of every so many tracked objects, and of classes of ctypes; frames go on."""
    objects = [o for o in gc.get_objects() if not isinstance(o, types.FrameType)]
    chosen = objects[:: max(1, len(objects) // count)]
    chosen += CLASSES
    own = {id(objects), id(chosen), id(globals())}
    out = []
    for o in chosen:
        if id(o) not in own:
            to = [r for r in gc.get_referents(o) if gc.is_tracked(r) and id(r) not in own]
            kind = "type" if isinstance(o, type) else type(o).__name__
            out.append(["0x%x" % id(o), kind, ["0x%x" % id(r) for r in to]])
    return out


def referrers(count):
    """The other way round, of objects that few refer to."""
    objects = [o for o in gc.get_objects() if not isinstance(o, (types.FrameType, type))]
    chosen = objects[:: max(1, len(objects) // count)]
    del objects
    own = {id(chosen), id(globals()), id(sys._getframe())}
    out = []
    for o in chosen:
        found = [r for r in gc.get_referrers(o) if id(r) not in own and not isinstance(r, types.FrameType)]
        if id(o) not in own and len(found) < 100:
            out.append(["0x%x" % id(o), type(o).__name__, ["0x%x" % id(r) for r in found]])
        del found
    return out


holders()
app.rows = []
for i in range(20000):
    app.rows.append(Slotted())
    app.rows[-1].left = str(i) + "row"
    app.rows[-1].right = 1000000 + i
cycles()
with open(os.path.join(FOLDER, "referents.json"), "w") as out:
    json.dump(referents(700), out)
with open(os.path.join(FOLDER, "referrers.json"), "w") as out:
    json.dump(referrers(150), out)
started, end = threading.Event(), threading.Event()
thread = threading.Thread(target=handler, args=(started, end))
thread.daemon = True
thread.start()
started.wait()
leak()
print("ready %d" % os.getpid())
sys.stdout.flush()
sys.stdin.readline()
print("collected %d" % gc.collect())
blocks, allocated = sys.getallocatedblocks() if THREE else 0, in_use()
del app.rows
print("freed %d" % (blocks - sys.getallocatedblocks() if THREE else 0))
print("freed_bytes %d" % (allocated - in_use()))
print("done")
sys.stdout.flush()
sys.stdin.readline()

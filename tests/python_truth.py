# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process that knows what it holds (2.7 and 3.6 to 3.15).

python_truth.py FOLDER: says "ready PID", waits for a line, plants objects, writes FOLDER/truth.json,
FOLDER/counts and FOLDER/blocks, says "done", and sleeps without allocating. What is written
describes exactly the state that it sleeps in.
"""
import array
import collections
import datetime
import decimal
import gc
import io
import json
import os
import struct
import sys
import time
from xml.etree import ElementTree

FOLDER = sys.argv[1]
PLANTED = {"str": 2003, "int": 1511, "float": 1709, "bytes": 1009, "tuple": 907}
gc.disable()


class Slots(object):
    __slots__ = ("a", "b")


class Instance(object):
    def __init__(self, i):
        self.i = i
        self.name = "n%d" % i


class Text(str):
    pass


class Number(int):
    pass


class Real(float):
    pass


def outer():
    class Inner(object):
        pass

    return Inner


Inner = outer()
lists = [[None] * n for n in PLANTED.values()]
kept = [
    [[i] * 3 for i in range(701)],
    [{i: i} for i in range(503)],
    [set(range(20)) for i in range(211)],
    [Slots() for i in range(307)],
    [Instance(i) for i in range(401)],
    [Text("t%d" % i) for i in range(419)],
    [Number(i) for i in range(421)],
    [Real(i) for i in range(431)],
    [Inner() for i in range(433)],
    [bytearray(50) for i in range(101)],
    [array.array("d", [1] * 30) for i in range(103)],
    [collections.deque(range(100)) for i in range(107)],
    [collections.OrderedDict((j, j) for j in range(10)) for i in range(109)],
]
# With those of the sample below.
exact = {
    "__main__.Slots": 308,
    "__main__.Instance": 403,
    "__main__.Text": 420,
    "__main__.Number": 422,
    "__main__.Real": 432,
    "__main__.Inner": 433,
}


def fill_and_empty_free_lists():
    for make in (list, dict, lambda: float(len(kept)) / 3, lambda: tuple([kept]), set):
        many = [make() for i in range(300)]
        del many


def sample():
    text = u"abc"
    values = [
        0, 1, -5, 10**40, -(10**20), 2**62, True, 1.5, text, u"\u00e9", u"\u20ac", u"\U0001F600",
        b"abc", b"", (), (1, 2), [], [1], {}, {1: 2}, {"a": 1, "b": 2}, set(), set([1]),
        frozenset(range(10)), bytearray(b"abc"), Slots(), Instance(1), Text("x"), Number(3), Real(2),
        Slots, Instance, lambda: 0, outer, outer.__code__, slice(1), iter([]), complex(1, 2),
        memoryview(b"abc"), (i for i in range(3)), collections.deque([1]),
        collections.deque(range(1000)), collections.OrderedDict(a=1), array.array("i", [1, 2]),
        object(), property(), classmethod(len), staticmethod(len), len, [].append, sys,
        sys._getframe(), Exception("a"), OSError(1, "a"), enumerate([]), reversed([]),
        collections.defaultdict(list), dict.fromkeys(range(100)), set(range(100)), u"a" * 1000,
        b"a" * 1000, [0] * 1000, (0,) * 1000, dict.fromkeys("abcdefghijkl"), kept[4][3].__dict__,
        vars(Instance), Instance.__init__, Instance(2).__init__, json, range(3), iter(()), iter({}),
        u"\u00e9" * 300, u"\u20ac" * 300, u"\U0001F600" * 300,
    ]
    values += [
        datetime.datetime(2026, 1, 1), datetime.time(1, 2), struct.Struct("iq3sd"),
        io.open(os.devnull, "wb", buffering=5003), decimal.Decimal(3) ** 17,
        decimal.Context(prec=999).power(3, 1301),
    ]
    parent = ElementTree.Element("parent")
    for i in range(7):
        ElementTree.SubElement(parent, "child", {"n": "1"} if i % 2 else {})
    values += [parent] + list(parent)
    try:
        import ctypes

        class Record(ctypes.Structure):
            _fields_ = [("a", ctypes.c_int * 3 * 5), ("b", ctypes.c_double)]

        dicts = [o for o in gc.get_objects() if type(o).__name__ == "StgDict"]
        values += [Record, ctypes.c_int, ctypes.c_int * 3 * 5] + dicts[:20]
    except ImportError:
        pass
    grown = []
    for i in range(77):
        grown.append(i)
    values.append(grown)
    shrunk = dict.fromkeys(range(200))
    for i in range(190):
        del shrunk[i]
    values.append(shrunk)
    try:
        import numpy

        values += [numpy.zeros(1000), numpy.zeros((30, 40), "i4"), numpy.zeros(50)[::2]]
    except ImportError:
        pass
    return values


def write_blocks():
    """sys._debugmallocstats(), which writes to stderr, as it is."""
    fd = os.open(os.path.join(FOLDER, "blocks"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    saved = os.dup(2)
    os.dup2(fd, 2)
    if hasattr(sys, "_debugmallocstats"):
        sys._debugmallocstats()
    os.dup2(saved, 2)
    os.close(saved)
    os.close(fd)


values = sample()
sizes = [["%s" % type(v).__name__, "0x%x" % id(v), sys.getsizeof(v)] for v in values]
with open(os.path.join(FOLDER, "truth.json"), "w") as out:
    json.dump(
        {
            "version": "%d.%d.%d" % sys.version_info[:3],
            "planted": PLANTED,
            "exact": exact,
            "sizes": sizes,
            "frozen": gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0,
        },
        out,
    )
makers = {
    "str": lambda i: "s%d" % i,
    "int": lambda i: 10**6 + i,
    "float": lambda i: i + 0.5,
    "bytes": lambda i: b"b%d" % i,
    "tuple": lambda i: (i, None),
}
counts = {}
n = i = v = r = out = fd = t = objects = kind = into = None


def count():
    """Into what is there already, so that it changes nothing itself."""
    global t, objects
    gc.collect()
    fill_and_empty_free_lists()
    for t in counts:
        counts[t] = 0
    objects = gc.get_objects()
    # No object itself goes into a variable: a lazy import of 3.15 would be done by that.
    for t in map(type, objects):
        counts[t] = counts.get(t, 0) + 1
    t = objects = None


count()
count()
with open(os.devnull, "wb", 0) as out:
    for t in counts:
        out.write(("%s.%s %d\n" % (t.__module__, t.__name__, counts[t])).encode("utf-8"))
out = t = None
write_blocks()
sys.stdout.write("ready %d\n" % os.getpid())
sys.stdout.flush()
sys.stdin.readline()

for kind, into in zip(PLANTED, lists):
    for i in range(len(into)):
        into[i] = makers[kind](i)
kind = into = i = None
fd = os.open(os.path.join(FOLDER, "counts"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
r = 0
while r < 2:  # here, since in count() there is a frame more
    r += 1
    gc.collect()
    fill_and_empty_free_lists()
    for t in counts:
        counts[t] = 0
    objects = gc.get_objects()
    for t in map(type, objects):
        counts[t] = counts.get(t, 0) + 1
    t = objects = None
for t in counts:
    os.write(fd, ("%s.%s %d\n" % (t.__module__, t.__name__, counts[t])).encode("utf-8"))
os.close(fd)
t = None
# From here on nothing that stays is allocated, nothing is freed: a block more or less could be a pool, too.
fd = os.open(os.path.join(FOLDER, "allocated"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
if hasattr(sys, "getallocatedblocks"):
    n = sys.getallocatedblocks()
    os.write(fd, b"%d\n" % n)
os.close(fd)
write_blocks()
os.write(1, b"done 1\n")
while True:
    time.sleep(1000)

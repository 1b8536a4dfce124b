# SPDX-License-Identifier: GPL-2.0-or-later
"""
Processes whose types and objects lie: each is changed by hand, a snapshot is taken, and what memwhere says of it must come soon, without
a crash, and still name what was left alone. Of CPython 3, 64 bits.

    tampered.py MEMWHERE FOLDER        prints a line a process
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys

LIBC = ctypes.CDLL(None)
TYPE, SIZE, NAME, BASIC, ITEM, FLAGS, BASE, DICT = 8, 16, 24, 32, 40, 168, 256, 264  # Include/object.h
LIES = (-1, 0, 1, 1 << 19, 1 << 31, 1 << 40, 1 << 62)

KEPT = [{"number": n, "text": "row %d" % n} for n in range(4001)]
OTHERS, CHANGES = [], []


def get(addr):
    return ctypes.c_int64.from_address(addr).value


def put(addr, value):
    """Once all is made: the interpreter would stumble over it."""
    CHANGES.append((ctypes.c_int64.from_address(addr), value))


def change():
    for word, value in CHANGES:
        word.value = value


def new_type(name, base=object):
    """A class with some objects."""
    made = type(name, (base,), {})
    OTHERS.append([made() if base is object else made(range(5)) for _ in range(50)])
    return made


def types_that_refer_to_themselves():
    put(id(new_type("Itself")) + TYPE, id(new_type("Itself")))
    one = new_type("Itself")
    put(id(one) + TYPE, id(one))
    one, other = new_type("One"), new_type("Other")
    put(id(one) + BASE, id(other))
    put(id(other) + BASE, id(one))
    for name, at in (("Dictionary", DICT), ("Name", NAME), ("Base", BASE)):
        made = new_type(name)
        put(id(made) + at, id(made))


def types_that_lie_about_size():
    for n, lie in enumerate(LIES):
        put(id(new_type("Basic%d" % n)) + BASIC, lie)
        put(id(new_type("Item%d" % n, tuple)) + ITEM, lie)
        put(id(new_type("Flags%d" % n)) + FLAGS, lie)


def objects_that_lie_about_length():
    for make in (list, tuple, lambda r: bytes(r), lambda r: str(list(r)) * 9, lambda r: 10 ** (40 + len(list(r)))):
        some = [make(range(5 + i)) for i in range(50)]
        OTHERS.append(some)
        for one, lie in zip(some, LIES):
            put(id(one) + SIZE, lie)
    dicts = [{n: str(n) for n in range(20)} for _ in range(50)]
    OTHERS.append(dicts)
    for one, lie in zip(dicts, LIES):
        put(id(one) + SIZE, lie)
    for n in range(10, 17):
        put(get(id(dicts[n]) + 32) + 8 * (n - 10), LIES[n % 7])  # what its keys say of themselves
    put(id(dicts[20]) + 32, id(dicts[20]))
    lists = [[n] * 20 for n in range(5)]
    OTHERS.append(lists)
    put(id(lists[0]) + 24, id(lists[0]))
    put(id(lists[1]) + 24, id(lists[1]) + 24)


class Node:
    __slots__ = ("value", "after")

    def __init__(self, value, after):
        self.value, self.after = value, after


def a_million_links_and_circles():
    global HEAD
    HEAD = None
    for n in range(1000000):
        HEAD = Node(n, HEAD)
    nested = []
    for _ in range(100000):
        nested = [nested]
    ring = []
    ring.append(ring)
    one, other = {}, []
    one.update(other=other, one=one)
    other.extend((one, other, ring, nested))
    OTHERS.extend((nested, ring, one, other))


def ask(memwhere, *words):
    said = subprocess.run([memwhere] + list(words), stdout=subprocess.PIPE, timeout=60)
    if said.returncode:
        sys.exit("%s: status %d" % (" ".join(words), said.returncode))
    return json.loads(said.stdout.decode())


def look(memwhere, folder, tamper):
    core = os.path.join(folder, "tampered")
    ready, say = os.pipe()
    pid = os.fork()
    if not pid:
        gc.disable()
        tamper()
        change()
        LIBC.write(say, b"x", 1)
        LIBC.pause()
    os.close(say)
    try:
        if os.read(ready, 1) != b"x":
            sys.exit("%s: it has ended" % tamper.__name__)
        subprocess.run([memwhere, "snapshot", str(pid), "-fqo", core], check=True, stdout=subprocess.DEVNULL)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
    ways = [top["path_text"] for top in ask(memwhere, "retained", "--json", core)["top"]]
    kept = ["tampered.KEPT"] + (["tampered.HEAD"] if "million" in tamper.__name__ else [])
    print("%-32s %s" % (tamper.__name__, ways[:3]))
    ask(memwhere, "leaks", "--json", core)
    ask(memwhere, "pins", "--json", core)
    last = ask(memwhere, "refs", "--json", core, hex(id(KEPT[-1])))["path_text"]
    return all(way in ways for way in kept) and last == "tampered.KEPT[4000]"


def main(memwhere, folder):
    tampers = (
        types_that_refer_to_themselves,
        types_that_lie_about_size,
        objects_that_lie_about_length,
        a_million_links_and_circles,
    )
    return 0 if all([look(memwhere, folder, tamper) for tamper in tampers]) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers of every kind that grow at a rate of their own, exactly, beside churn and what does not grow.

usage: grows.py [fork|exec]: in a child; after an exec of itself
Prints "ready PID" of the process that grows, and a line "rates" with the name and the rate a second of each.
"""
from __future__ import print_function

import collections
import os
import sys
import time

RATES = {"LIST": 211, "DICT": 197, "SET": 179, "DEQUE": 163, "ORDERED": 149, "ITEMS": 131, "seen": 113, "local": 101, "Node": 89}


class Cache(object):
    ITEMS = []  # of the class


class Node(object):
    """A linked structure, which no container holds."""

    def __init__(self, tail):
        self.tail = tail


LIST, DICT, SET, DEQUE, ORDERED = [], {}, set(), collections.deque(), collections.OrderedDict()
BOUNDED, EVICTED, CLEARED = collections.deque(maxlen=1009), {}, []
CHAIN = None


def remember():
    seen = {}

    def add(i):
        seen[i] = "seen %d" % i

    return add


ADD = remember()


def churn(i):
    BOUNDED.append((i, i))
    EVICTED[i % 997] = [str(j) for j in range(20)]
    CLEARED.append({"i": i})
    if len(CLEARED) > 1500:
        del CLEARED[:]


def grow():
    global CHAIN
    local, done, begin, late = [], dict.fromkeys(RATES, 0), time.time(), 0.5
    # What is full before the first look does not grow after it.
    for i in range(2000):
        churn(i)
    while True:
        elapsed = time.time() - begin
        for name, rate in RATES.items():
            for i in range(done[name], int(elapsed * rate)):
                done[name] = i + 1
                if name == "LIST":
                    LIST.append((i, "list %d" % i))
                elif name == "DICT":
                    DICT["dict %d" % i] = [i]
                elif name == "SET":
                    SET.add("set %d" % i)
                elif name == "DEQUE":
                    DEQUE.append("deque %d" % i)
                elif name == "ORDERED":
                    ORDERED[i + 1000] = "ordered %d" % i
                elif name == "ITEMS":
                    Cache.ITEMS.append({"item": i})
                elif name == "seen":
                    ADD(i)
                elif name == "local":
                    local.append(float(i))
                else:
                    CHAIN = Node(CHAIN)
                churn(i)
        # On a busy machine it makes up for what it could not do in time.
        if time.time() - begin - elapsed > late:
            late = time.time() - begin - elapsed
            print("late %.1f" % late)
            sys.stdout.flush()
        time.sleep(0.01)


def main(how):
    if how == "exec":
        os.execv(sys.executable, [sys.executable, __file__])
    if how == "fork" and os.fork():
        time.sleep(600)
    print("rates", " ".join("%s=%d" % one for one in RATES.items()))
    print("ready", os.getpid())
    sys.stdout.flush()
    grow()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")

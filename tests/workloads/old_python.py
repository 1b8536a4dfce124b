# SPDX-License-Identifier: GPL-2.0-or-later
"""What only Python 2 does, as tests/causes.py has it for Python 3."""
from __future__ import print_function
import gc
import sys
import time

keep = []


def ints():
    # docs.python.org/2.7/c-api/int.html: memory of ints is never given back.
    keep.append(sum(range(2000000)))


class Node(object):
    def __init__(self):
        self.other, self.text = None, "x" * 100

    def __del__(self):
        pass


def cycles():
    # docs.python.org/2.7/library/gc.html, gc.garbage: objects with a __del__ in a cycle are not freed.
    for n in range(20000):
        a, b = Node(), Node()
        a.other, b.other = b, a
    gc.collect()


{"ints": ints, "del": cycles}[sys.argv[1]]()
print("ready")
sys.stdout.flush()
while True:
    time.sleep(0.05)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of many types that are made and dropped, all the time, and enough of them that arenas come and go.

objects.py [pool|list]: before that, damage a pool's list of free blocks, or a list of the collector. "damaged ADDRESS"
says where: the pool, or the head of the object whose link back is wrong. Nobody uses either of them then.
"""
import collections
import ctypes
import gc
import os
import sys


class Point:
    def __init__(self, x):
        self.x = x
        self.next = None


def damage(how):
    if how == "pool":
        # Of a size that nobody else asks for, some of them free.
        kept = [bytes(470 - 33) for _ in range(300)]
        dropped = kept[100:200:2]
        pools = {id(b) & ~(int(sys.argv[2]) - 1) for b in dropped}
        del kept[100:200:2], dropped
        at = sorted(pools)[len(pools) // 2]
        ctypes.memmove(at + 8, (0x41414141).to_bytes(8, "little"), 8)
        return at, kept
    kept = [[i] for i in range(1000)]
    gc.freeze()
    gc.disable()
    at = id(kept[500]) - 16
    ctypes.memmove(at + 8, (0x41414140).to_bytes(8, "little"), 8)
    return at, kept


kept = damage(sys.argv[1]) if len(sys.argv) > 1 else None
if kept:
    print("damaged 0x%x" % kept[0])
print("ready", os.getpid(), flush=True)
deque = collections.deque(maxlen=7)
while True:
    held = []
    for i in range(20000):
        held.append({"k%d" % i: [i] * (i % 50), i: (i, str(i), float(i)), "p": Point(i)})
        if i % 3 == 0:
            held[i // 2] = None
    deque.append(held[::97])

# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks in the heap of the jemalloc in the library argv[1], whose functions begin with _rjem_, beside glibc's."""

import ctypes
import os
import sys
import threading
import time

library = ctypes.CDLL(sys.argv[1])
malloc, free = library._rjem_malloc, library._rjem_free
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
free.argtypes = [ctypes.c_void_p]
kept, done = [], threading.Event()


def fill():
    blocks = []
    for i in range(4000):
        size = 1 + i * 7919 % 5000
        blocks.append(malloc(size))
        ctypes.memset(blocks[-1], 0x5A, size)
    for i, block in enumerate(blocks):
        if i % 3 == 0:
            free(block)
        else:
            kept.append(block)
    done.wait()


def ask(name):
    value, size, epoch = ctypes.c_size_t(), ctypes.c_size_t(8), ctypes.c_uint64(1)
    library._rjem_mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8))
    library._rjem_mallctl(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return value.value


for _ in range(3):
    threading.Thread(target=fill, daemon=True).start()
own = [bytes(1000 + i % 3000) for i in range(5000)]
while len(kept) < 3 * 2666:
    time.sleep(0.05)
print("live", len(kept))
print("allocated", ask(b"stats.allocated"))
print("ready", os.getpid(), flush=True)
time.sleep(1000)

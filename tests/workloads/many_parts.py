#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A heap that several threads divide: over 64 MiB of pools and 140,000 blocks of malloc's.

Kinds of objects are first met in different parts of it, and what lists and dictionaries own lies far
behind them. Prints "ready" and how many there are of each kind.
"""
import gc
import time

gc.disable()
COUNTS = {"Early": 10007, "Second": 20011, "Third": 30011, "Late": 40009}
early_lists = [[] for _ in range(30011)]
early_dicts = [{} for _ in range(10007)]
kept = []
for name, count in COUNTS.items():
    kind = type(name, (object,), {"__slots__": ("a", "b")})
    for i in range(count):
        one = kind()
        one.a = (i, str(i), float(i))
        one.b = kept[-1] if i % 97 == 0 and kept else early_lists[i % 30011]
        kept.append(one)
    kept.extend([i, "%s %d" % (name, i)] for i in range(60000))
for i, items in enumerate(early_lists):
    items.extend((i, None, kept[i]))
for i, table in enumerate(early_dicts):
    table["here"] = kept[-i - 1]
large = [b"x" * (600 + i % 64) for i in range(140000)]
print("ready", flush=True)
for name, count in COUNTS.items():
    print(name, count, flush=True)
print("lists", len(early_lists) + 60000 * len(COUNTS), flush=True)
time.sleep(600)

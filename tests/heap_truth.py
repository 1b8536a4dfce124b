#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare `memwhere malloc --json` (FILE 1) with malloc_info's XML and mallinfo2 (FILE 2).
FOREIGN, if given, are the bytes that somebody else got by sbrk between the main arena's chunks.

Prints one line a difference; status 1 when there is any. Every arena's system, fast and free
bytes must be equal, and the mmapped chunks' count and bytes.
"""
import json
import re
import sys

ours = json.load(open(sys.argv[1]))
text = open(sys.argv[2]).read()
foreign = int(sys.argv[3]) if len(sys.argv) > 3 else 0
bad = 0


def compare(what, got, want):
    global bad
    if got != want:
        print(f"{what}: got {got}, glibc says {want}")
        bad += 1


heaps = re.findall(r'<heap nr="\d+">(.*?)</heap>', text, re.S)
whole = text[text.rindex("</heap>"):]
compare("arenas", len(ours["arenas"]), len(heaps))
for i, (arena, heap) in enumerate(zip(ours["arenas"], heaps)):
    rows = re.findall(r'<total type="(\w+)" count="(\d+)" size="(\d+)"', heap)
    total = {kind: int(size) for kind, count, size in rows}
    total.setdefault("fast", 0)  # 2.43 has no fastbins
    # malloc_info sums chunksize_nomask() over the bins, so that each chunk's PREV_INUSE bit adds
    # one byte; its count has the top in it, whose size is right.
    total["rest"] -= {kind: int(count) for kind, count, size in rows}["rest"] - 1
    system = int(re.search(r'<system type="current" size="(\d+)"', heap).group(1))
    compare(f"arena {i} system", arena["system_bytes"], system)
    compare(f"arena {i} fastbins", arena["fastbins"]["bytes"], total["fast"])
    compare(f"arena {i} free", arena["free_bytes"], total["fast"] + total["rest"])
    compare(f"arena {i} in use", arena["in_use_bytes"], system - total["fast"] - total["rest"])
    compare(f"arena {i} gaps", arena["gap_bytes"], 0 if i else foreign)
mmapped = re.search(r'<total type="mmap" count="(\d+)" size="(\d+)"', whole)
compare("mmapped count", ours["mmapped"]["count"], int(mmapped.group(1)))
# The workload has one chunk that mremap made larger; 2.43 counts 16 bytes too many for each.
extra = 16 if ours["version"] == "2.43" else 0
compare("mmapped bytes", ours["mmapped"]["bytes"], int(mmapped.group(2)) - extra)
words = dict(re.findall(r"^(\w+) (\d+)$", text, re.M))
if words:
    compare("uordblks", sum(a["in_use_bytes"] for a in ours["arenas"]), int(words["uordblks"]))
    compare("fordblks", sum(a["free_bytes"] for a in ours["arenas"]), int(words["fordblks"]))
compare("problems", ours["problem_count"], 0)
sys.exit(1 if bad else 0)

# SPDX-License-Identifier: GPL-2.0-or-later
"""check_awaiters.py TRUTH REPORT: every stack that awaiter_truth.py saw is a site, frame by frame, and after it come the
tasks that await it, each begun by a note."""
import json
import sys

TASKS = 8

truth = json.load(open(sys.argv[1]))
sites = json.loads(open(sys.argv[2]).read().strip().splitlines()[-1])["sites"]["top"]
seen = {}
for site in sites:
    parts = [[]]
    for frame in site["frames"]:
        if frame["kind"] == "note" and frame["function"] == "awaited by":
            parts.append([])
        elif frame["kind"] == "python":
            parts[-1].append((frame["file"], frame["line"], frame["function"]))
    seen.setdefault(tuple(map(tuple, parts)), []).append(site)

wrong = 0
for case, stacks in sorted(truth.items()):
    for own, tasks in stacks:
        want = tuple(tuple(map(tuple, part)) for part in [own] + tasks[:TASKS])
        found = seen.get(want)
        # Too many are said to be too many, and nothing is called incomplete that is not.
        flags = sorted({flag for site in found or [] for flag in site["incomplete"]})
        if not found or any("deeper" in f for f in flags) != (len(tasks) > TASKS) or len(flags) > 1:
            wrong += 1
            near = [s for s in seen if s[0][:3] == want[0][:3]]
            print("%s:\n  want %s\n  near %s %s" % (case, want[1:], [s[1:] for s in near[:3]], flags))
print("%d cases, %d stacks, %d wrong" % (len(truth), sum(map(len, truth.values())), wrong))
sys.exit(1 if wrong or len(truth) < 28 else 0)

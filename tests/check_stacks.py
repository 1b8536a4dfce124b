# SPDX-License-Identifier: GPL-2.0-or-later
"""check_stacks.py TRUTH REPORT: every stack that stack_truth.py saw of itself is a site, frame by frame."""
import json
import sys

CAP = 128

truth = json.load(open(sys.argv[1]))
sites = json.loads(open(sys.argv[2]).read().strip().splitlines()[-1])["sites"]["top"]
seen = {}
for site in sites:
    frames = [f for f in site["frames"] if f["kind"] == "python"]
    seen.setdefault(tuple((f["file"], f["line"], f["function"]) for f in frames), []).append(site)

wrong = 0
for case, stacks in sorted(truth.items()):
    for stack in stacks:
        want = tuple((f, l, n) for f, l, n in stack)
        found = seen.get(want[:CAP])
        if not found:
            wrong += 1
            leaf = [s for s in seen if s and s[0] == want[0]]
            print("%s: no site has this stack\n  want %s\n  near %s" % (case, want[:8], leaf[:2] and [s[:8] for s in leaf[:2]]))
        elif len(want) > CAP and not any("deeper" in i for s in found for i in s["incomplete"]):
            wrong += 1
            print("%s: cut at %d frames, but it doesn't say so" % (case, CAP))
print("%d cases, %d stacks, %d wrong" % (len(truth), sum(map(len, truth.values())), wrong))
sys.exit(1 if wrong or len(truth) < 14 else 0)

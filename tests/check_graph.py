# SPDX-License-Identifier: GPL-2.0-or-later
"""check_graph.py FOLDER: refs.jsonl and leaks.json of memwhere against what graph_truth.py wrote."""
import json
import os
import sys

FOLDER = sys.argv[1]
failed = []


def lines(name):
    with open(os.path.join(FOLDER, name)) as file:
        return file.read().splitlines()


def check(what, got, want):
    if got != want:
        failed.append("%s: got %r, expected %r" % (what, got, want))


refs = {doc["address"]: doc for doc in map(json.loads, lines("refs.jsonl"))}

ways = [line.split(" ", 1) for line in lines("ways")]
if len(ways) < 15:
    failed.append("only %d ways" % len(ways))
for address, way in ways:
    doc = refs["0x" + address]
    check(way, doc["path_text"], way)
    check("last step to " + way, doc["path"][-1]["address"], "0x" + address)
    if len(doc["path"]) > 1:
        before = doc["path"][-2]["address"]
        check("referrers of " + way, before in [r["address"] for r in doc["referrers"]], True)

with open(os.path.join(FOLDER, "referents.json")) as file:
    truth = json.load(file)
if len(truth) < 500:
    failed.append("only %d objects with referents" % len(truth))
tracked = {address for address, _, _ in truth}
truth_of = {address: set(want) for address, _, want in truth}
for address, kind, want in truth:
    doc = refs[address]
    if doc["referent_count"] > 1000:
        continue
    got = {r["address"] for r in doc["referents"]}
    # A cache visits what its untracked elements refer to, and a module's state is C's.
    if kind not in ("_lru_cache_wrapper", "module"):
        check("missing of %s %s" % (kind, address), sorted(set(want) - got), [])
    # No more than that, but for classes (visited from 3.9 on), and what a class owns unvisited.
    more = [r for r in doc["referents"] if r["address"] in tracked - set(want)]
    more = [r for r in more if r["via"] != "__class__"]
    if kind not in ("type", "_local"):
        check("too many of %s %s" % (kind, address), more, [])

with open(os.path.join(FOLDER, "referrers.json")) as file:
    truth = json.load(file)
if len(truth) < 100:
    failed.append("only %d objects with referrers" % len(truth))
for address, kind, want in truth:
    got = {r["address"] for r in refs[address]["referrers"]}
    check("missing referrers of %s %s" % (kind, address), sorted(set(want) - got), [])
tracked = {address: set(want) for address, _, want in truth}
for address, doc in refs.items():
    # What is known to refer to it, and to which gc says it does not refer.
    for r in doc["referrers"]:
        if address in tracked and r["address"] in truth_of and r["via"] != "__class__":
            wrong = r["address"] not in tracked[address] and address not in truth_of[r["address"]]
            check("%s refers to %s by %s" % (r["address"], address, r["via"]), wrong, False)

with open(os.path.join(FOLDER, "leaks.json")) as file:
    leaks = json.load(file)
check("cycles", leaks["cycles"]["count"], int(lines("garbage")[0]))
check("types of cycles", leaks["cycles"]["count"], sum(t["count"] for t in leaks["cycles"]["types"]))
check("bytes of cycles", leaks["cycles"]["bytes"], sum(t["bytes"] for t in leaks["cycles"]["types"]))
users = [t["count"] for t in leaks["cycles"]["types"] if t["type"] == "User"]
check("users in cycles", users, [101])
sizes = {s["low"]: s["count"] for s in leaks["blocks"]["sizes"]}
# An interpreter that is not position-independent has its heap where numbers may lie, too: 0x2a00000 is an address and
# 44,040,192. Any word may be a pointer, so a block or two of these can look reached; more of them never do.
for low, count in (2048, 97), (65536, 13):
    check("leaked blocks of %d bytes" % low, sizes.get(low), min(max(sizes.get(low, 0), count - 2), count))

for text in failed[:20]:
    print(text)
sys.exit(1 if failed else 0)

# SPDX-License-Identifier: GPL-2.0-or-later
"""check_python.py FOLDER: what memwhere says (FOLDER/*.json) against what python_truth.py knew."""
import json
import os
import re
import sys

FOLDER = sys.argv[1]
failed = []


def load(name):
    with open(os.path.join(FOLDER, name)) as file:
        return json.load(file)


def expect(what, got, want):
    if got != want:
        failed.append("%s: got %s, expected %s" % (what, got, want))


truth, census, arenas = load("truth.json"), load("census.json"), load("arenas.json")
modern = tuple(map(int, truth["version"].split(".")[:2])) >= (3, 4)
old = tuple(map(int, truth["version"].split(".")[:2])) < (3, 8)
types = {}
for each in census["types"]:
    name = "%s.%s" % (each["module"], each["type"])
    into = types.setdefault(name, {"count": 0, "tracked": 0, "parked": 0})
    for key in into:
        into[key] += each[key]

expect("version", arenas["python"].rstrip("+"), truth["version"])

# Tracked types, all of them and exactly.
counts = {}
with open(os.path.join(FOLDER, "counts")) as file:
    for line in file:
        name, n = line.rsplit(" ", 1)
        counts[name] = counts.get(name, 0) + int(n)
if len(counts) < 30:
    failed.append("only %d tracked types" % len(counts))
for name, n in counts.items():
    got = types.get(name, {}).get("tracked")
    # Python 3.7 and before builds argument tuples for calls: those of the last one are alive.
    slack = 2 if name.endswith("builtin__.tuple") or (old and name == "builtins.tuple") else 0
    if got is None or not n <= got <= n + slack:
        failed.append("tracked %s: got %s, expected %d" % (name, got, n))
for name, each in types.items():
    if each["tracked"] and name not in counts:
        failed.append("%d tracked %s, which gc.get_objects() has not" % (each["tracked"], name))
expect("frozen", census["gc"]["frozen"], truth["frozen"])

for name, n in truth["exact"].items():
    expect("live " + name, types.get(name, {}).get("count"), n)

# Planted between two looks.
before = {}
for each in load("before.json")["types"]:
    before[each["type"]] = before.get(each["type"], 0) + each["count"]
after = {}
for each in census["types"]:
    after[each["type"]] = after.get(each["type"], 0) + each["count"]
if modern:
    for kind, n in truth["planted"].items():
        more = after.get(kind, 0) - before.get(kind, 0)
        # The names and numbers of the last calls come on top, or went meanwhile. The tuples' and
        # the bytes' numbers are of the planted ints' kind.
        also = truth["planted"]["tuple"] + truth["planted"]["float"] if kind == "int" else 0
        if not n - 12 <= more <= n + also + 60:
            failed.append("planted %s: %d more, planted were %d" % (kind, more, n))

# Free lists: what they keep is not alive, and is seen.
for name in ("list", "dict", "float", "tuple"):
    module = "builtins" if modern else "__builtin__"
    if types.get("%s.%s" % (module, name), {}).get("parked", 0) < 1:
        failed.append("no parked %s" % name)

# Sizes as sys.getsizeof() says, through whatis.
whatis = {}
for line in open(os.path.join(FOLDER, "whatis.json")):
    each = json.loads(line)
    whatis[each["address"]] = each
for name, address, size in truth["sizes"]:
    got = whatis.get(address, {}).get("python", {}).get("size")
    # In 3.11 a frame's size needs it to be the one that runs.
    expect("size of a %s at %s" % (name, address), got, size)

# Blocks, by class and in all.
if os.path.getsize(os.path.join(FOLDER, "blocks")) and arenas["allocator"].startswith("pymalloc"):
    classes = {each["size"]: each for each in arenas["classes"]}
    seen = 0
    for line in open(os.path.join(FOLDER, "blocks")):
        found = re.match(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$", line)
        if not found:
            continue
        _, size, pools, used, free = map(int, found.groups())
        if size > 512:
            continue
        seen += 1
        mine = classes.get(size, {"pools": 0, "used": 0, "free": 0})
        # Between that and the sleep there are two numbers and a name.
        expect("pools of %d" % size, mine["pools"], pools)
        if abs(mine["used"] - used) > 3 or mine["used"] + mine["free"] != used + free:
            failed.append(
                "blocks of %d: %d used and %d free, expected %d and %d"
                % (size, mine["used"], mine["free"], used, free)
            )
    if seen < 20:
        failed.append("only %d classes in _debugmallocstats" % seen)
text = open(os.path.join(FOLDER, "allocated")).read().strip()
if text and arenas["allocated_blocks"] is not None:
    # n itself took a block after it was counted, unless a free list had one.
    if not 0 <= arenas["allocated_blocks"] - int(text) <= 1:
        expect("sys.getallocatedblocks()", arenas["allocated_blocks"], int(text) + 1)
if os.environ.get("EXPECT_ALLOCATED") and arenas["allocated_blocks"] is None:
    failed.append("the number of allocated blocks was not found")

for line in failed[:20]:
    print("%s %s: %s" % (truth["version"], arenas["allocator"], line), file=sys.stderr)
print("%s: %d tracked types, %d objects, %d sizes" % (truth["version"], len(counts), census["objects"], len(truth["sizes"])))
sys.exit(bool(failed))

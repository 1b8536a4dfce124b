# SPDX-License-Identifier: GPL-2.0-or-later
# At the first "go" allocate at 4,000 new lines, which takes a while to name; at the second fork, and have the child allocate at
# one more: its stack is in the ring behind those.
import os, sys, time

source = "".join(f"def line_{i}():\n    return bytearray(150001)\n\n" for i in range(4000))
lines = {}
exec(compile(source, "lines.py", "exec"), lines)

def child_line():
    return bytearray(150003)

print("ready", os.getpid(), flush=True)
sys.stdin.readline()
for i in range(4000):
    lines[f"line_{i}"]()
print("done", flush=True)
sys.stdin.readline()
pid = os.fork()
if not pid:
    kept = child_line()
    print("done", flush=True)
    time.sleep(600)
os.waitpid(pid, 0)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten thousand functions, each of which allocates at a line of its own, twenty times a second."""
import os
import sys
import time

FUNCTIONS = 10000
names = {}
exec(compile("\n".join("def f%d(kept):\n    kept.append(bytearray(2000))\n" % i for i in range(FUNCTIONS)),
             "many.py", "exec"), names)
functions = [names["f%d" % i] for i in range(FUNCTIONS)]
kept = []
print("ready", os.getpid())
sys.stdout.flush()
while True:
    for f in functions:
        f(kept)
    if len(kept) > 6 * FUNCTIONS:
        del kept[:]
    time.sleep(0.05)

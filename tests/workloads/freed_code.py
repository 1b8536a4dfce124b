# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that lives for a moment: function gN is on line N % 97 + 1 and nowhere else."""
import os
import sys

print("ready " + str(os.getpid()))
sys.stdout.flush()
n = 0
while True:
    n += 1
    space = {}
    exec(compile("\n" * (n % 97) + "def g%d(): return bytearray(70001)\ng%d()\n" % (n, n), "<gen>", "exec"), space)

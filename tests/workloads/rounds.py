# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds that have nothing to do with each other: what the last one allocated is freed, new blocks of other sizes
come. rounds.py [SEED]"""
import os
import random
import sys
import time

rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
print("ready", os.getpid())
sys.stdout.flush()
sys.stdin.readline()
kept = []
while True:
    del kept[:]
    for i in range(rng.randrange(500, 3000)):
        kept.append(bytearray(int(rng.lognormvariate(8, 1.3)) + 600))
    time.sleep(0.13)

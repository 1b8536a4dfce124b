# SPDX-License-Identifier: GPL-2.0-or-later
"""A planted leak among what is none: leak.py [SEED]. A cache that fills up, a loader that comes and goes,
start-up noise, churn."""
import collections
import os
import random
import sys
import time

rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
kept, cache, loaded, queue = [], collections.OrderedDict(), [], collections.deque()


def load_user(n):
    kept.append(bytearray(1200 + rng.randrange(2400)))


def lookup(n):
    key = rng.randrange(1500)
    if key not in cache:
        cache[key] = bytearray(3000)
    return cache[key]


def load_batch():
    loaded.extend(bytearray(2000) for _ in range(400))


def start_up():
    return [bytearray(5000) for _ in range(2000)]


def churn():
    queue.append(bytearray(rng.randrange(600, 9000)))
    if len(queue) > 100:
        queue.popleft()


print("ready", os.getpid())
sys.stdout.flush()
sys.stdin.readline()
began = start_up()
period = rng.uniform(0.6, 1.2)
next_load, drop = time.time() + period, None
while True:
    for i in range(20):
        lookup(i)
        churn()
    for i in range(4):
        load_user(i)
    now = time.time()
    if drop and now > drop:
        del loaded[:]
        drop = None
    if now > next_load:
        load_batch()
        drop, next_load = now + period / 2, now + period
    time.sleep(0.004)

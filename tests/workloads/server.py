#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python program whose memory grows and shrinks, as a server's does: it parses JSON, keeps some
of it in a cache that is emptied now and then, and handles a large upload once in a while.

    server.py [SECONDS]     0 or nothing: until it is killed
"""
import json
import random
import sys
import time


def request(rng):
    size = rng.choice((20, 200, 2000, 5000))
    body = {"user": rng.randrange(10**6), "tags": ["t%d" % rng.randrange(99) for _ in range(9)],
            "text": "x" * rng.randrange(size)}
    return json.loads(json.dumps(body))


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0
    rng = random.Random(7)
    cache = {}
    begin = time.monotonic()
    round_ = 0
    print("ready", flush=True)
    while not seconds or time.monotonic() - begin < seconds:
        for _ in range(400):
            answer = request(rng)
            cache[answer["user"]] = answer
        if round_ % 40 == 20:
            upload = bytearray((round_ // 40 % 30 + 1) * 300_000)
            del upload
        if round_ % 100 == 99:
            cache.clear()
        round_ += 1
        time.sleep(0.02)


main()

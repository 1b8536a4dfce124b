#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON round trips with strings up to 5 KB until it is killed; prints, four times a second, the
microseconds that a round trip took in that quarter."""
import json
import random
import time

RNG = random.Random(11)
BODIES = [{"id": i, "name": "n%d" % i, "text": "x" * RNG.randrange(5000),
           "tags": ["t" * RNG.randrange(60) for _ in range(12)]} for i in range(64)]

while True:
    begin = time.monotonic()
    trips = 0
    while time.monotonic() - begin < 0.25:
        for body in BODIES:
            json.loads(json.dumps(body))
        trips += len(BODIES)
    print("%.3f" % ((time.monotonic() - begin) / trips * 1e6), flush=True)

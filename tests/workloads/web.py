# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that holds 3 GB for three reasons: docs/post-mortem.md."""
import random
import time


class Session:
    def __init__(self, user):
        self.user = user
        self.cart = []
        self.seen = {}


SESSIONS = {}


def login(n):
    for i in range(n):
        s = SESSIONS["user-%d" % i] = Session("user-%d" % i)
        s.cart.append((i, "item-%d" % i))
        s.seen[i] = time.time()


def report(n):
    rows = [{"id": i, "name": "row-%d" % i, "total": i * 1.5} for i in range(n)]
    return rows[::400]  # one in four hundred is kept for the audit log


def upload(n):
    kept, held = [], []
    for i in range(n):
        body = bytearray(random.randrange(300_000, 2_000_000))
        held.append(body)
        if i % 10 == 0:
            kept.append(bytes(body[:300_000]))
    return kept


login(2_000_000)
audit = [report(1_000_000) for _ in range(6)]
kept = upload(1000)
print("ready", flush=True)
time.sleep(3600)

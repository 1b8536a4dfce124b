# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads that allocate, free and end, all the time: a healthy program whose heap changes while it is read."""
import os
import threading


def work():
    held = [bytearray(600 + i * 37 % 5000) for i in range(400)]
    del held[::2]
    return len(held)


print("ready", os.getpid(), flush=True)
while True:
    threads = [threading.Thread(target=work) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

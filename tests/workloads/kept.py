# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of one class with attributes and data, in whatever PYTHONMALLOC and LD_PRELOAD say."""

import os
import time


class Kept:
    pass


def make(number):
    kept = Kept()
    kept.number, kept.text = number, "x" * (number % 900)
    kept.data = [number, float(number), str(number)]
    return kept


everything = [make(number) for number in range(10007)]
print("ready", os.getpid(), flush=True)
time.sleep(600)

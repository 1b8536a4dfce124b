#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Circles of files that include each other, x.c and x.h being one file: none may have more than three.

usage: check_includes.py FILE...   (paths from the top of the tree; status 1 where a circle is larger)
"""
import os
import re
import sys

MOST = 3
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def unit(path):
    """The file that PATH is a part of: its name without .c or .h."""
    return os.path.splitext(path)[0]


def read(paths):
    """Which units each unit includes."""
    units = {unit(path): set() for path in paths}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for included in INCLUDE.findall(f.read()):
                for top in ("", "userspace/", "gdb-scripts/"):
                    if unit(top + included) in units:
                        units[unit(path)].add(unit(top + included))
        units[unit(path)].discard(unit(path))
    return units


def reachable(units, start):
    seen, todo = set(), [start]
    while todo:
        for used in units[todo.pop()]:
            if used not in seen:
                seen.add(used)
                todo.append(used)
    return seen


def circles(units):
    """Sets of units that all reach each other, of two or more."""
    reach = {one: reachable(units, one) for one in units}
    found = {frozenset(other for other in reach[one] if one in reach[other]) for one in units if one in reach[one]}
    return sorted(found, key=lambda circle: (-len(circle), sorted(circle)))


def main(paths):
    status = 0
    for circle in circles(read(paths)):
        if len(circle) > MOST:
            print(f"a circle of {len(circle)} files: {' '.join(sorted(circle))}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

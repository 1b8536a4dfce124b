# SPDX-License-Identifier: GPL-2.0-or-later
"""Call trees that know themselves: stack_truth.py FILE. Each allocates in a loop, by a line that at the
same time looks at its own stack; FILE gets the stacks as the interpreter itself sees them. 2.7 and 3."""
from __future__ import print_function
import functools
import json
import os
import sys
import threading
import time

SIZE = 70001
truth = {}
lock = threading.Lock()


def name_of(code):
    return getattr(code, "co_qualname", code.co_name)


def where(case, block):
    frame, stack = sys._getframe(1), []
    while frame:
        stack.append([frame.f_code.co_filename, frame.f_lineno, name_of(frame.f_code)])
        frame = frame.f_back
    with lock:
        truth.setdefault(case, [])
        if stack not in truth[case]:
            truth[case].append(stack)
    return len(block)


def plain():
    return where("plain", bytearray(SIZE))


def recursion(n):
    if n:
        return recursion(n - 1)
    return where("recursion", bytearray(SIZE))


def deep(n):
    return deep(n - 1) if n else where("deep", bytearray(SIZE))


def decorator(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper


@decorator
@decorator
def decorated():
    return where("decorated", bytearray(SIZE))


def comprehension():
    return [where("comprehension", bytearray(SIZE))
            for _ in range(1)]


def generator():
    yield 1
    yield where("generator", bytearray(SIZE))


def callback():
    return sorted([2, 1], key=lambda v: where("callback", bytearray(SIZE)))


def in_map():
    return list(map(lambda v: where("map", bytearray(SIZE)), [1]))


class Thing(object):
    @property
    def prop(self):
        return where("property", bytearray(SIZE))

    def __getitem__(self, key):
        return where("item", bytearray(SIZE))

    def __enter__(self):
        return where("enter", bytearray(SIZE))

    def __exit__(self, *args):
        pass


def multi_line():
    return (
        len([1, 2, 3]) +

        where("multi-line", bytearray(SIZE))
    )


def closures():
    def outer():
        def inner():
            return where("closure", bytearray(SIZE))
        return inner()
    return outer()


made_code = compile("\n\n\ndef made():\n    return where('exec', bytearray(SIZE))\nmade()\n", "<made>", "exec")


def executed():
    exec(made_code, globals())


in_python3 = '''
async def leaf():
    return where("async", bytearray(SIZE))

async def middle():
    return await leaf()

async def agenerator():
    yield where("async generator", bytearray(SIZE))

async def top():
    async for _ in agenerator():
        await middle()

def delegating():
    yield from generator()

def run_async():
    loop.run_until_complete(top())
    list(delegating())
'''


def loop_for_ever(function):
    while True:
        function()
        time.sleep(0.002)


def all_of_them():
    plain()
    recursion(30)
    deep(180)
    decorated()
    comprehension()
    list(generator())
    callback()
    in_map()
    Thing().prop
    Thing()["x"]
    with Thing():
        pass
    multi_line()
    closures()
    executed()
    if sys.version_info > (3, 6):
        run_async()
    class Body(object):
        value = where("class body", bytearray(SIZE))
    time.sleep(0.002)


def in_thread():
    return where("thread", bytearray(SIZE))


if sys.version_info > (3, 6):
    import asyncio
    loop = asyncio.new_event_loop()
    exec(compile(in_python3, "<async>", "exec"))
thread = threading.Thread(target=loop_for_ever, args=(in_thread,))
thread.daemon = True
thread.start()
rounds = 0
while True:
    all_of_them()
    rounds += 1
    if rounds == 50:
        with lock, open(sys.argv[1], "w") as f:
            json.dump(truth, f)
        print("ready", os.getpid())
    if rounds >= 50:
        print("round", rounds)
        sys.stdout.flush()

# SPDX-License-Identifier: GPL-2.0-or-later
"""asyncio tasks that know who awaits them: awaiter_truth.py FILE. Each case allocates in a task, by a line that
at the same time asks asyncio who awaits it, and those tasks' coroutines where they are. FILE gets, by case, the
task's own stack and those of the tasks beyond. From 3.14 on."""
import asyncio
import gc
import inspect
import json
import os
import sys
import types

SIZE = 70001
truth = {}


def entry(frame):
    return [frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname]


def suspended(coro):
    stack = []
    while coro:
        if inspect.iscoroutine(coro):
            # What runs is on the thread's own stack: of a task that has started another eagerly.
            if coro.cr_running:
                return []
            frame, coro = coro.cr_frame, coro.cr_await
        elif inspect.isgenerator(coro):
            frame, coro = coro.gi_frame, coro.gi_yieldfrom
        elif inspect.isasyncgen(coro):
            frame, coro = coro.ag_frame, coro.ag_await
        else:
            break
        stack.append(entry(frame))
        if type(coro).__name__ == "async_generator_asend":
            coro = next(filter(inspect.isasyncgen, gc.get_referents(coro)))
    return stack[::-1]


def where(case, block):
    own, frame, tasks = [], sys._getframe(1), []
    while frame:
        own.append(entry(frame))
        frame = frame.f_back
    graph = asyncio.capture_call_graph()
    # Where several await the same, the chain ends.
    while len(graph.awaited_by) == 1:
        graph = graph.awaited_by[0]
        tasks.append(suspended(graph.future.get_coro()))
    stacks, tasks = truth.setdefault(case, []), [task for task in tasks if task]
    if [own, tasks] not in stacks:
        stacks.append([own, tasks])
    return len(block)


async def leaf(case):
    where(case, bytearray(SIZE))
    await asyncio.sleep(0)
    where(case, bytearray(SIZE))


async def create(case, inner):
    await asyncio.create_task(inner)


async def group(case, inner):
    async with asyncio.TaskGroup() as g:
        g.create_task(asyncio.sleep(0.001))
        g.create_task(inner)


async def gather(case, inner):
    await asyncio.gather(
        asyncio.sleep(0),
        inner)


async def waiting(case, inner):
    await asyncio.wait([asyncio.ensure_future(inner)])


async def limited(case, inner):
    await asyncio.wait_for(inner, 10)


async def shielded(case, inner):
    await asyncio.shield(inner)


@types.coroutine
def by_generator(task):
    yield from task


async def generated(case, inner):
    await by_generator(asyncio.create_task(inner))


async def agenerator(task):
    yield await task
    yield 1


async def iterating(case, inner):
    async for _ in agenerator(asyncio.create_task(inner)):
        pass


async def anext_of(case, inner):
    await anext(agenerator(asyncio.create_task(inner)))


async def direct(case, inner):
    await inner


async def several(case, inner):
    task = asyncio.create_task(inner)

    async def other():
        await task
    await asyncio.gather(other(), other())


async def lonely(case, inner):
    task = asyncio.create_task(inner)
    while not task.done():
        await asyncio.sleep(0)

KINDS = [create, group, gather, waiting, limited, shielded, generated, iterating, anext_of, direct]


def nested(case, kinds):
    inner = leaf(case)
    for kind in kinds:
        inner = kind(case, inner)
    return inner


async def rounds():
    loop = asyncio.get_running_loop()
    done = 0
    while True:
        for kind in KINDS + [several, lonely]:
            await nested(kind.__name__, [kind])
            await nested(kind.__name__ + " three deep", [create, kind, direct, group])
        await nested("one in another", KINDS[:6])
        await nested("deep", [create] * 12)
        await nested("long await", [create, create] + [direct] * 20)
        loop.set_task_factory(asyncio.eager_task_factory)
        await nested("eager", [group, create])
        loop.set_task_factory(None)
        done += 1
        if done == 5:
            with open(sys.argv[1], "w") as f:
                json.dump(truth, f)
            print("ready", os.getpid(), flush=True)

asyncio.run(rounds())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The case study: runs one server under several allocators at the same time, asks memwhere about the
one under glibc, and writes the outputs and figures into docs/case-study.md. As root:

    docs/case_study.py BUILD-FOLDER [--smoke] [-o FILE]

Eleven servers need 4 GB of memory and four minutes. --smoke: a tenth of the users, three servers.
"""
import argparse
import asyncio
import os
import random
import subprocess
import tempfile

import outputs

SERVER = os.path.join(outputs.WORKLOADS, "users.py")
LIBRARIES = "/usr/lib/x86_64-linux-gnu/"
TCMALLOC = {"LD_PRELOAD": LIBRARIES + "libtcmalloc_minimal.so.4"}
JEMALLOC = {"LD_PRELOAD": LIBRARIES + "libjemalloc.so.2"}
FIXED = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}
DAYS, CLIENTS = 3, 16
STAYS = 0.15  # of the users, over night

# Name, environment, whether all users' data is alike, what the story says of it, run by --smoke.
SERVERS = (
    ("glibc", {}, False, "", True),
    ("glibc, threshold fixed", FIXED, False, "20 to 30 % less", True),
    ("tcmalloc", TCMALLOC, False, "10 to 15 % less", False),
    ("jemalloc", JEMALLOC, False, "15 to 24 % less", False),
    ("tcmalloc, `TCMALLOC_RELEASE_RATE=10`", dict(TCMALLOC, TCMALLOC_RELEASE_RATE="10"), False, "", False),
    ("tcmalloc, `TCMALLOC_AGGRESSIVE_DECOMMIT=t`", dict(TCMALLOC, TCMALLOC_AGGRESSIVE_DECOMMIT="t"),
     False, "", False),
    ("jemalloc, `MALLOC_CONF=dirty_decay_ms:1000`", dict(JEMALLOC, MALLOC_CONF="dirty_decay_ms:1000"),
     False, "", False),
    ("even data: glibc", {}, True, "", True),
    ("even data: glibc, threshold fixed", FIXED, True, "no change", True),
    ("even data: tcmalloc", TCMALLOC, True, "", False),
    ("even data: jemalloc", JEMALLOC, True, "", False),
)

# What memwhere is asked in the second night, when 85 % of the users are gone: name, commands.
QUESTIONS = (
    ("why", ("memwhere why --for 15 {pid}",)),
    ("objects", ("memwhere census {pid} | head -8", "memwhere retained {pid} | head -6")),
    ("cycles", ("memwhere leaks {pid} | grep -v '^ '",)),
    ("pools", ("memwhere arenas {pid} | head -6",)),
    ("glibc", ("memwhere malloc {pid} | sed -n '1,4p;$p'",)),
    ("pins", ("memwhere pins {pid}",)),
)

# Of what a watch of the first day wrote.
CREEP = ("jq -c '.events[] | select(.kind == \"threshold\") | {seconds: (.elapsed * 100 | floor / 100), old, new, by}' "
         "first-day.json")


def resident(pid):
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


class Server:
    """One run: its process, and its resident size over time from the second day on."""

    def __init__(self, row, folder, options):
        self.name, environment, self.even, self.story, _ = row
        self.socket = os.path.join(folder, "socket-%d" % SERVERS.index(row))
        self.options, self.sizes, self.nights = options, [], []
        self.process = subprocess.Popen(
            ["/usr/bin/python3", SERVER, self.socket, "--users", str(options.users)] + ["--even"] * self.even,
            env=dict(os.environ, **environment), stdout=subprocess.PIPE)

    async def _client(self, requests):
        reader, writer = await asyncio.open_unix_connection(self.socket)
        for request in requests:
            writer.write(request)
            if not await reader.readline():
                raise SystemExit("%s: the server is gone" % self.name)
            await asyncio.sleep(self.options.pause)
        writer.close()

    async def _ask_all(self, requests):
        await asyncio.gather(*(self._client(requests[n::CLIENTS]) for n in range(CLIENTS)))

    async def _measure(self):
        while True:
            self.sizes.append(resident(self.process.pid))
            await asyncio.sleep(0.25)

    async def run(self, at_night):
        """Days and nights; AT_NIGHT is called in each."""
        measuring = asyncio.ensure_future(self._measure())
        users = list(range(self.options.users))
        for day in range(DAYS):
            rng = random.Random(day)
            rng.shuffle(users)
            await self._ask_all([b"load %d %d\n" % (user, day) for user in users])
            rng.shuffle(users)
            if not self.even:
                await self._ask_all([b"clear %d\n" % user for user in users[int(STAYS * len(users)):]])
            await asyncio.gather(at_night(self, day), asyncio.sleep(self.options.night))
            self.nights.append(resident(self.process.pid))
            if day == 0:
                self.sizes.clear()
        measuring.cancel()


async def run_all(options, servers):
    found = {}
    first, fixed = servers[:2]

    def ask(server, *commands):
        return asyncio.to_thread(outputs.ask, options.build,
                                 *(command.format(pid=server.process.pid) for command in commands))

    # Its first line says that its probes are in.
    report = os.path.join(options.folder, "first-day.json")
    watch = subprocess.Popen([os.path.join(options.build, "memwhere"), "stat", "--json", "-o", report,
                              str(first.process.pid)])
    while not (os.path.exists(report) and os.path.getsize(report)) and watch.poll() is None:
        await asyncio.sleep(0.1)

    async def at_night(server, day):
        if server is first and day == 0:
            watch.terminate()
        if server is first and day == 1:
            for name, commands in QUESTIONS:
                found[name] = await ask(first, *commands)
        if server is fixed and day == 1:
            found["fixed"] = await ask(fixed, "memwhere why --for 15 {pid}")

    await asyncio.gather(*(server.run(at_night) for server in servers))
    watch.wait()
    moves = subprocess.run(CREEP, shell=True, cwd=options.folder, check=True, text=True, stdout=subprocess.PIPE).stdout
    found["creep"] = outputs.indent("# memwhere stat --json -o first-day.json %d\n\n# %s\n%s" %
                                    (first.process.pid, CREEP, moves))
    return found


def table(servers):
    """The figures, as Markdown; each against glibc with the same data."""
    def mib(size):
        return "%.0f MiB" % (size / 2**20)

    def mean(server):
        return sum(server.sizes) / len(server.sizes)

    lines = ["| the same server under | mean | highest | third night | against glibc, mean | the story |",
             "| --- | --- | --- | --- | --- | --- |"]
    for server in servers:
        base = next(s for s in servers if s.even == server.even)
        percent = 100 * (1 - mean(server) / mean(base))
        against = ("" if server is base else "no change" if abs(percent) < 1 else
                   "%.0f %% %s" % (abs(percent), "less" if percent > 0 else "more"))
        lines.append("| %s | %s | %s | %s | %s | %s |" % (
            server.name, mib(mean(server)), mib(max(server.sizes)), mib(server.nights[-1]), against, server.story))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("-o", "--output", help="write the document there")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.users, options.pause, options.night = (300, 0.03, 1) if options.smoke else (3000, 0.1, 25)
    servers = []
    with tempfile.TemporaryDirectory() as options.folder:
        try:
            servers += [Server(row, options.folder, options) for row in SERVERS if row[4] or not options.smoke]
            for server in servers:
                if server.process.stdout.readline() != b"ready\n":
                    raise SystemExit("%s: does not start" % server.name)
            found = asyncio.run(run_all(options, servers))
        finally:
            for server in servers:
                server.process.kill()
                server.process.wait()
    found["figures"] = table(servers)
    outputs.fill(os.path.join(outputs.HERE, "case-study.md"), "case_study.py", found, options.output)


main()

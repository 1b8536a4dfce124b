# SPDX-License-Identifier: GPL-2.0-or-later
"""What sites and the budget cost, as ratios from one run: bench_sites.py. Pairs of runs, without and
with the watch, so that a machine whose speed drifts drifts for both."""
import http.client
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
build = os.environ.get("BUILD", os.path.join(here, "..", "build"))
memwhere = os.path.join(build, "memwhere")
pairs = int(os.environ.get("PAIRS", "8"))
scratch = tempfile.mkdtemp()

DEPTH20 = """
import sys, time
def f(n):
    return f(n - 1) if n else len(bytearray(700))
count = 0
while True:
    began = time.perf_counter()
    for i in range(4000): f(18)
    print((time.perf_counter() - began) / 4000 * 1e6, flush=True)
"""
LEAVES = """
import time
def a(): return bytearray(700)
def b(): return bytearray(900)
while True:
    began = time.perf_counter()
    for i in range(10000): a(); b()
    print((time.perf_counter() - began) / 10000 * 1e6, flush=True)
"""


class Printer:
    """A target that prints what a round took."""

    def __init__(self, *command):
        self.path = os.path.join(scratch, "out")
        self.out = open(self.path, "w")
        self.process = subprocess.Popen(command, stdout=self.out)
        self.pid = self.process.pid
        time.sleep(1)

    def run(self, seconds):
        skip = len(open(self.path).readlines()) + 1
        time.sleep(seconds)
        return statistics.median(float(x) for x in open(self.path).read().splitlines()[skip:])

    def end(self):
        self.process.kill()
        self.process.wait()


def watch(pid, *options):
    return subprocess.Popen([memwhere, "stat", str(pid), "--json", "-i", "1", *options],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def stop(watcher):
    watcher.send_signal(2)
    watcher.communicate()


def with_watch(target, seconds, *options):
    w = watch(target.pid, *options)
    time.sleep(1.5)
    took = target.run(seconds)
    stop(w)
    return took


def stacks():
    target = Printer("python3", "-c", DEPTH20)
    none, full = [], []
    for _ in range(3):
        none.append(with_watch(target, 2, "--mode", "exact", "--sites", "none"))
        full.append(with_watch(target, 2, "--mode", "exact", "--sites", "all"))
    target.end()
    print("  a stack of 20 Python frames and its native ones, in the probe   %5.1f us (%.1f us a call without, %.1f with)" %
          (statistics.median(full) - statistics.median(none), statistics.median(none), statistics.median(full)))


def leaves():
    target = Printer("python3", "-c", LEAVES)
    none, leaf = [], []
    for _ in range(3):
        none.append(with_watch(target, 2, "--mode", "exact", "--sites", "none"))
        leaf.append(with_watch(target, 2, "--mode", "exact", "--sites", "leaf"))
    target.end()
    print("  exact with the leaf line of all, over exact without sites       %5.2f x" %
          (statistics.median(leaf) / statistics.median(none)))


class Counter:
    """A target whose progress is a number that can be read at any time."""

    def __init__(self, progress, pid):
        self.progress, self.pid = progress, pid

    def rate(self, seconds):
        began, before = time.time(), self.progress()
        time.sleep(seconds)
        return (self.progress() - before) / (time.time() - began)


def cpu_seconds(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def paired(target, seconds=6):
    """What the target loses, while memwhere starts and goes on; CPU of memwhere: to start, and a second from then on."""
    losses, starts, cpu = [], [], []
    for _ in range(pairs):
        before = target.rate(seconds / 2)
        w = watch(target.pid)
        time.sleep(0.8)
        start, began = cpu_seconds(w.pid), time.time()
        during = target.rate(seconds)
        starts.append(start)
        cpu.append((cpu_seconds(w.pid) - start) / (time.time() - began))
        stop(w)
        after = target.rate(seconds / 2)
        losses.append(1 - during / ((before + after) / 2))
    return statistics.median(losses), "memwhere %.2f s to start, then %.1f %% of a core" % (
        statistics.median(starts), 100 * statistics.median(cpu))


def rated():
    path = os.path.join(scratch, "truth")
    process = subprocess.Popen([os.path.join(build, "tests/workloads/rated"), path, "1000"])
    time.sleep(0.5)

    def truth():
        with open(path, "rb") as f:
            return struct.unpack("4Q", f.read(32))
    loss, cpu = paired(Counter(lambda: sum(truth()), process.pid))
    print("  malloc loop, about a million pairs a second: loses %.1f %%; %s" % (100 * loss, cpu))
    w = watch(process.pid)
    first = last = None
    for line in w.stdout:
        now = truth()
        j = json.loads(line)
        last = (now, [s["count"] for s in j["total"]["sizes"]], j)
        first = first or last
        if j["total"]["interval"] > 30:
            break
    stop(w)
    ratio = [(b - a) / (d - c) for a, b, c, d in zip(first[1], last[1], first[0], last[0])]
    shares = [(b / sum(last[1])) / (d / sum(last[0])) for b, d in zip(last[1], last[0])]
    print("  its size histogram over 30 s, estimated over true: " + ", ".join("%.3f" % r for r in ratio) +
          "; shares " + ", ".join("%.3f" % s for s in shares) + "; stated error %.1f %% (95 of 100)" %
          (196 * last[2]["governor"]["error"]))
    process.kill()
    process.wait()


def json_loop():
    path = os.path.join(scratch, "trips")
    process = subprocess.Popen(["python3", "-c", """
import json, mmap, random, struct, sys
f = open(sys.argv[1], "w+b"); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096)
doc = {"users": [{"id": i, "name": "x" * random.randrange(5000)} for i in range(20)]}
n = 0
while True:
    json.loads(json.dumps(doc)); n += 1
    m[0:8] = struct.pack("Q", n)
""", path])
    time.sleep(1)

    def trips():
        with open(path, "rb") as f:
            return struct.unpack("Q", f.read(8))[0]
    loss, cpu = paired(Counter(trips, process.pid))
    print("  JSON round trips: loses %.1f %%; %s" % (100 * loss, cpu))
    process.kill()
    process.wait()


def web():
    """Debian's radicale, asked as fast as one client can."""
    if not os.path.exists("/usr/bin/radicale"):
        print("  web application: radicale is not installed")
        return
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(["/usr/bin/radicale", "--storage-filesystem-folder=" + scratch + "/dav",
                                "--server-hosts=127.0.0.1:%d" % port], stderr=subprocess.DEVNULL)
    done, stopping = [0], []

    def client():
        while not stopping:
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                c.request("PROPFIND", "/", headers={"Authorization": "Basic YTpi"})
                c.getresponse().read()
                c.close()
                done[0] += 1
            except OSError:
                time.sleep(0.05)
    thread = threading.Thread(target=client)
    thread.start()
    while not done[0]:
        time.sleep(0.1)
    time.sleep(2)
    began = time.time()
    w = subprocess.Popen([memwhere, "stat", str(process.pid), "--json", "-i", "0.2"], stdout=subprocess.PIPE, text=True)
    lines = None
    for line in w.stdout:
        sites = json.loads(line)["sites"]["top"]
        named = [f for s in sites for f in s["frames"] if f["kind"] == "python"]
        if named:
            lines = time.time() - began
            break
        if time.time() - began > 20:
            break
    stop(w)
    print("  radicale under load, %d requests/s: Python lines after %s" %
          (Counter(lambda: done[0], 0).rate(2), "%.1f s" % lines if lines else "never"))
    loss, cpu = paired(Counter(lambda: done[0], process.pid), 8)
    print("  radicale under load: loses %.1f %% of its requests; %s" % (100 * loss, cpu))
    stopping.append(1)
    process.kill()
    process.wait()
    thread.join()


print("Python and native stacks")
stacks()
leaves()
print("the default budget (2 %%), medians of %d pairs" % pairs)
rated()
json_loop()
web()

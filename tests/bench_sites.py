# SPDX-License-Identifier: GPL-2.0-or-later
"""What sites and the budget cost, as ratios from one run: bench_sites.py [sites|live]. Pairs of runs, without and
with the watch, so that a machine whose speed drifts drifts for both. PAIRS: how many (4)."""
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
pairs = int(os.environ.get("PAIRS", "4"))
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


def used(pid):
    """Seconds of CPU, of all threads."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Counter:
    """A target whose progress is a number that can be read at any time. Its rate is by its own CPU time, which what probes cost is
    part of: other work on the machine changes it far less than a rate by the clock."""

    def __init__(self, progress, pid):
        self.progress, self.pid = progress, pid

    def begin(self):
        self.began = used(self.pid), self.progress()

    def end(self):
        return (self.progress() - self.began[1]) / (used(self.pid) - self.began[0])

    def rate(self, seconds):
        self.begin()
        time.sleep(seconds)
        return self.end()


def cpu_seconds(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def paired(target, *options, seconds=30):
    """What the target loses, from the moment at which memwhere starts; CPU of memwhere: to start, and a second from then on."""
    losses, starts, cpu = [], [], []
    for _ in range(pairs):
        before = target.rate(seconds / 2)
        target.begin()
        w = watch(target.pid, *options)
        began = time.time()
        time.sleep(0.8)
        start = cpu_seconds(w.pid)
        time.sleep(seconds - 0.8)
        during = target.end()
        starts.append(start)
        cpu.append((cpu_seconds(w.pid) - start) / (time.time() - began - 0.8))
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
        if not j["governor"]["enough"] and j["total"]["interval"] < 90:
            continue
        if not j["governor"]["enough"] or first and j["total"]["interval"] > 30:
            break
        last = (now, [s["count"] for s in j["total"]["sizes"]], j)
        first = first or last
    stop(w)
    process.kill()
    process.wait()
    if first is last:
        print("  its size histogram: too little was seen to compare")
        return
    ratio = [(b - a) / (d - c) for a, b, c, d in zip(first[1], last[1], first[0], last[0])]
    shares = [(b / sum(last[1])) / (d / sum(last[0])) for b, d in zip(last[1], last[0])]
    print("  its size histogram over 30 s, estimated over true: " + ", ".join("%.3f" % r for r in ratio) +
          "; shares " + ", ".join("%.3f" % s for s in shares) + "; stated error %.1f %% (95 of 100)" %
          (196 * last[2]["governor"]["error"]))


COUNTING = """
import mmap, struct, sys
f = open(sys.argv[1], "w+b"); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096)
def count(n): m[0:8] = struct.pack("Q", n)
n = 0
"""
JSON_LOOP = COUNTING + """
import json, random
doc = {"users": [{"id": i, "name": "x" * random.randrange(5000)} for i in range(20)]}
while True:
    json.loads(json.dumps(doc)); n += 1
    count(n)
"""
SMALL_LOOP = COUNTING + """
SEEN = []
def churn(i): return [(j, str(j), {"at": j}) for j in range(i, i + 1000)]
def remember(i): SEEN.append((i, "visitor-%d" % i))
while True:
    churn(n); remember(n); n += 1
    count(n)
"""


def counting(script):
    """A Python program that counts its rounds."""
    path, source = os.path.join(scratch, "count"), os.path.join(scratch, "loop.py")
    with open(source, "w") as f:
        f.write(script)
    process = subprocess.Popen(["python3", source, path])
    time.sleep(1)

    def rounds():
        with open(path, "rb") as f:
            return struct.unpack("Q", f.read(8))[0]
    return process, Counter(rounds, process.pid)


def json_loop():
    process, counter = counting(JSON_LOOP)
    loss, cpu = paired(counter)
    print("  JSON round trips: loses %.1f %%; %s" % (100 * loss, cpu))
    process.kill()
    process.wait()


def small_loop():
    """Millions of small objects a second, one in 3,000 of which stays."""
    process, counter = counting(SMALL_LOOP)
    rate = counter.rate(2)
    loss, cpu = paired(counter)
    print("  %.0f million small objects a second: loses %.1f %%; %s" % (3e3 * rate / 1e6, 100 * loss, cpu))
    loss, cpu = paired(counter, "--mode", "growth")
    print("  the same in growth mode, looked at: loses %.1f %%; %s" % (100 * loss, cpu))
    began, named = time.time(), None
    w = watch(process.pid)
    for line in w.stdout:
        holders = (json.loads(line)["growth"] or {}).get("holders", [])
        if any(h["path"] == "loop.SEEN" and h["lines"] for h in holders):
            named = time.time() - began
        if named or time.time() - began > 90:
            break
    stop(w)
    print("  a leak of one in 3,000 of them: holder and line after %s" % ("%.0f s" % named if named else "never"))
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
    print("  radicale under load, %d requests a second of its CPU: Python lines after %s" %
          (Counter(lambda: done[0], process.pid).rate(2), "%.1f s" % lines if lines else "never"))
    loss, cpu = paired(Counter(lambda: done[0], process.pid))
    print("  radicale under load: loses %.1f %% of its requests; %s" % (100 * loss, cpu))
    stopping.append(1)
    process.kill()
    process.wait()
    thread.join()


EMPTY = """
__attribute__((section("kprobe/empty"), used)) int empty(void *context) { (void)context; return 0; }
__attribute__((section("license"), used)) char licence[] = "GPL";
"""


def traps():
    """Exact mode, without stacks and with samples of them, and memleak where there is one, over programs that do nothing
    at the same places; CPU time."""
    empty = os.path.join(scratch, "empty.o")
    subprocess.run(["clang", "-O2", "-target", "bpf", "-x", "c", "-", "-c", "-o", empty], input=EMPTY, text=True, check=True)
    target = Printer(os.path.join(build, "tests/workloads/pairs"), "100", "print")
    memleak = os.environ.get("MEMLEAK")
    watchers = {
        "traps": [os.path.join(build, "tests/traps"), str(target.pid), empty],
        "exact": [memwhere, "stat", str(target.pid), "--mode", "exact", "--sites", "none"],
        "+ sites": [memwhere, "stat", str(target.pid), "--mode", "exact"],
    }
    if memleak:
        watchers["memleak"] = [memleak, "-p", str(target.pid), "600"]
    took = {name: [] for name in watchers}
    for _ in range(pairs):
        for name, command in watchers.items():
            w = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(8 if name == "memleak" else 1.5)
            if w.poll() is None:
                took[name].append(target.run(3))
            w.stdin.close()
            w.send_signal(2)
            w.wait()
    target.end()
    for name in list(watchers)[1:]:
        if len(took[name]) < pairs:
            print("  %s does not run here" % name)
            continue
        print("  a pair of malloc and free: %-8s %7.0f ns, over its traps alone (%.0f ns) %5.2f x" % (
            name, statistics.median(took[name]), statistics.median(took["traps"]),
            statistics.median(a / b for a, b in zip(took[name], took["traps"]))))
    if not memleak:
        print("  memleak: not installed (or MEMLEAK=path)")


def look():
    """Looks at a heap of a gigabyte, all of whose blocks are small."""
    process = subprocess.Popen([os.path.join(build, "tests/workloads/fates"), os.path.join(scratch, "fates"), "1024"],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    w = watch(process.pid)
    for line in w.stdout:
        looks = json.loads(line)["governor"]["looks"]
        if looks["count"] >= 4:
            break
    stop(w)
    process.kill()
    process.wait()
    print("  a look at a heap of 1 GB: %.2f s of CPU, the mean of %d; all blocks met within %.1f s" % (
        looks["cpu_seconds"] / looks["count"], looks["count"], looks["whole_seconds"]))


if sys.argv[1:] != ["live"]:
    print("Python and native stacks")
    stacks()
    leaves()
print("exact mode, and looks")
traps()
look()
print("the default budget (2 %%), from second 0 to 30, medians of %d pairs" % pairs)
rated()
json_loop()
small_loop()
web()

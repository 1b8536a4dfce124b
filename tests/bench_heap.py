# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_heap.py heap|python: how fast memwhere reads a heap, from a core and live, and what it takes.

heap: 2 GB in 10 million chunks: ledger and malloc, GB a second and memory; how long a snapshot stops the
process, against gcore. python: 10 million objects: census in objects a second, against GDB's
mw-census and, where it is installed (or CHAP=path), vmware/chap.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("BUILD", "build")
MW = os.path.join(BUILD, "memwhere")
HERE = os.path.dirname(os.path.abspath(__file__))
BIG_PYTHON = """
import gc, os, time
gc.disable()
class Row(object):
    def __init__(self, i):
        self.a = i
        self.b = "b%d" % i
rows = [Row(i) for i in range(600000)]
pairs = [(i, float(i)) for i in range(1500000)]
texts = ["k%d" % i for i in range(1500000)]
dicts = [{"x": i} for i in range(300000)]
lists = [[i] for i in range(800000)]
blobs = [b"%d" % i for i in range(1000000)]
print("ready %d" % os.getpid(), flush=True)
time.sleep(3600)
"""


def run(*command, **kwargs):
    """Wall seconds, the child's largest RSS in bytes, and what it printed."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    output = child.stdout.read()
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit("%s: %s" % (" ".join(command), (errors or output).decode()[-400:]))
    return time.monotonic() - begin, usage.ru_maxrss * 1024, (output + errors).decode()


def start(*command):
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    line = child.stdout.readline().decode()
    if not line.startswith("ready"):
        sys.exit("%s did not start" % command[0])
    return child


def rss(pid):
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


def best(*command):
    """The faster of two runs: the first one warms the page cache."""
    return min((run(*command) for _ in range(2)), key=lambda r: r[0])


def stopped_while(pid, *command):
    """Seconds for which PID was stopped while COMMAND ran."""
    seconds, ended = [0.0], threading.Event()

    def watch():
        last, was = time.monotonic(), False
        while not ended.is_set():
            with open("/proc/%d/stat" % pid) as stat:
                now_stopped = stat.read().rsplit(")", 1)[1].split()[0] in "tT"
            now = time.monotonic()
            if was and now_stopped:
                seconds[0] += now - last
            last, was = now, now_stopped
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    run(*command)
    ended.set()
    thread.join()
    return seconds[0]


def line(what, size, result):
    seconds, memory, _ = result
    print("  %-22s %6.2f s   %5.2f GB/s   memory %5.1f %% of it"
          % (what, seconds, size / seconds / 1e9, 100.0 * memory / size))


def heap(folder):
    child = start(os.path.join(BUILD, "tests/workloads/many"), "10000000")
    pid, core = child.pid, os.path.join(folder, "core")
    size = rss(pid)
    print("heap: 10 million chunks, %.2f GB resident" % (size / 1e9))
    for command in ("ledger", "malloc"):
        line(command + " live", size, best(MW, command, "--json", str(pid)))
    pause = stopped_while(pid, MW, "snapshot", str(pid), "-o", core)
    for command in ("ledger", "malloc"):
        line(command + " of the core", size, best(MW, command, "--json", core))
    os.unlink(core)
    gcore = stopped_while(pid, "gcore", "-o", core, str(pid))
    print("  snapshot stops it for %.2f s, gcore for %.2f s: %.2f of that" % (pause, gcore, pause / gcore))
    child.kill()


def python(folder):
    child = start("/usr/bin/python3", "-c", BIG_PYTHON)
    pid, core = child.pid, os.path.join(folder, "core")
    size = rss(pid)
    run(MW, "snapshot", str(pid), "-o", core)
    result = best(MW, "census", "--json", core)
    objects = int(re.search(r'"objects":(\d+)', result[2]).group(1))
    print("python: %.1f million objects, %.2f GB resident" % (objects / 1e6, size / 1e9))
    print("  census of the core     %6.2f s   %5.1f million objects/s   memory %5.1f %% of it"
          % (result[0], objects / result[0] / 1e6, 100.0 * result[1] / size))
    line("ledger of the core", size, best(MW, "ledger", "--json", core))
    live = best(MW, "census", "--json", str(pid))
    print("  census live            %6.2f s   %5.1f million objects/s" % (live[0], objects / live[0] / 1e6))
    child.kill()
    scripts = os.path.join(HERE, "../gdb-scripts/memwhere-gdb.py")
    gdb = ("gdb", "--batch", "-nx", "/usr/bin/python3", "-ex", "core " + core, "-ex", "source " + scripts)
    bare, whole = best(*gdb), best(*gdb, "-ex", "mw-census")
    print("  mw-census in GDB       %6.2f s   %5.2f x the command's" % (
        whole[0] - bare[0], (whole[0] - bare[0]) / result[0]))
    chap = os.environ.get("CHAP") or shutil.which("chap")
    if chap:
        with open(os.path.join(folder, "ask"), "w+") as ask:
            ask.write("summarize used\n")
            ask.seek(0)
            seconds = run(chap, core, stdin=ask)[0]
        print("  chap                   %6.2f s   census takes 1/%.0f" % (seconds, seconds / result[0]))
    else:
        print("  chap: not installed (set CHAP)")


with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as temporary:
    {"heap": heap, "python": python}[sys.argv[1]](temporary)

# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_heap.py heap|allocators|python|graph|why: how fast memwhere reads a heap, from a core and live, and what it takes.

heap: 2 GB in 10 million chunks: ledger and malloc, GB a second and memory; how long a snapshot stops the
process, against gcore and by the GB. allocators: a GB by three threads in each other allocator that is installed.
python: 10 million objects: census, ledger and what refers to what, on one processor and on all; against GDB's mw-census
and, where it is installed (or CHAP=path), vmware/chap. graph: refs of one of 10 million tuples with 40 million references.
why: how long an answer takes, of 2.5 GB: a core's, a running process's, the screen's.
"""
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
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


TUPLES = """
import gc, os, time
gc.disable()
some = [object() for _ in range(1000)]
many = [(some[i % 1000], some[i % 997], some[i % 991], some[i % 983]) for i in range(10000000)]
print("ready %#x" % id(many[5000003]), flush=True)
time.sleep(3600)
"""
# Objects, buffers of many sizes with holes between them, and blocks of C's that nothing reaches.
MIXED_PYTHON = """
import ctypes, random, time
random.seed(1)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
rows = [{"id": n, "name": "user-%d" % n, "tags": ["a%d" % n, "b%d" % n], "score": n * 1.5} for n in range(2780000)]
buffers = []
for n in range(80000):
    buffers.append(bytes(random.choice((700, 3000, 9000, 40000))))
    if n % 3 == 0:
        del buffers[random.randrange(len(buffers))]
for n in range(173000):
    libc.memset(libc.malloc(2000 + n % 700), 1, 2000)
print("ready", flush=True)
extra = []
while True:
    extra.extend({"x": i} for i in range(50))
    time.sleep(0.05)
"""


def run(*command, **kwargs):
    """Wall seconds, the child's largest RSS in bytes, what it printed, and its seconds of CPU."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    output = child.stdout.read()
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit("%s: %s" % (" ".join(command), (errors or output).decode()[-400:]))
    return (time.monotonic() - begin, usage.ru_maxrss * 1024, (output + errors).decode(),
            usage.ru_utime + usage.ru_stime)


def start(*command, **kwargs):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, **kwargs)
    for line in child.stdout:
        if line.startswith(b"ready"):
            return child
    return sys.exit("%s did not start" % command[0])


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
    seconds, memory, _, cpu = result
    print("  %-22s %6.2f s (%.2f s of CPU)   %5.2f GB/s   memory %5.1f %% of it"
          % (what, seconds, cpu, size / seconds / 1e9, 100.0 * memory / size))


def both(what, amount, unit, *command):
    """COMMAND on one processor and on all of them; returns the latter's result."""
    one, every = best("taskset", "-c", "0", *command), best(*command)
    print("  %-22s %6.2f s   %5.2f %s/s of CPU on one processor; %.2f s on %d, %.2f times as fast; memory %.0f MB" % (
        what, one[0], amount / one[3], unit, every[0], os.cpu_count(), one[0] / every[0], every[1] / 1e6))
    return every


def look(pid):
    """Seconds of CPU that the first look at PID's objects took, in a watch that has no probes in."""
    watch = subprocess.Popen([MW, "stat", "-v", "--mode", "growth", str(pid)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    for said in watch.stderr:
        took = re.search(r"look 1 took (\d+) ms of CPU", said)
        if took:
            break
    watch.terminate()
    watch.stderr.read()
    watch.wait()
    return int(took.group(1)) / 1000


def seconds_until(patterns, *command):
    """Seconds until COMMAND, on a terminal of its own, has printed each of PATTERNS; None: it ended before."""
    begin = time.monotonic()
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    found, text = [None] * len(patterns), b""
    while None in found:
        try:
            got = os.read(terminal, 65536)
        except OSError:
            break
        text += got
        for i, pattern in enumerate(patterns):
            if found[i] is None and re.search(pattern, text):
                found[i] = time.monotonic() - begin
    os.kill(pid, 15)
    os.close(terminal)
    os.waitpid(pid, 0)
    return found


def why(folder):
    child = start("/usr/bin/python3", "-c", MIXED_PYTHON)
    pid, core = child.pid, os.path.join(folder, "core")
    print("why: %.2f GB resident" % (rss(pid) / 1e9))
    picture, cause = seconds_until([rb"RSS", rb"sure"], MW, "live", str(pid))
    print("  live: first picture after %.1f s, first cause after %.1f s" % (picture, cause))
    print("  why PID --for 30: answered after %.1f s" % run(MW, "why", "--for", "30", str(pid))[0])
    run(MW, "snapshot", str(pid), "-o", core)
    child.kill()
    shares, cause = seconds_until([rb" MiB  C memory", rb"sure"], MW, "why", core)
    print("  why CORE: first shares after %.1f s, causes after %.1f s" % (shares, cause))


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
    print("  snapshot stops it for %.2f s, gcore for %.2f s: %.2f of that, %.2f s a GB and 20 ms"
          % (pause, gcore, pause / gcore, max(0, pause - 0.02) / size * 1e9))
    child.kill()


def allocators(_):
    for library in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0"):
        path = os.path.join("/usr/lib/x86_64-linux-gnu", library)
        if not os.path.exists(path):
            print("%s: not installed" % library)
            continue
        child = start(os.path.join(BUILD, "tests/workloads/slabs"), "200003", "3",
                      env=dict(os.environ, LD_PRELOAD=path))
        size = rss(child.pid)
        print("%s: %.2f GB resident" % (library, size / 1e9))
        for command in ("ledger", "malloc"):
            line(command + " live", size, best(MW, command, "--json", str(child.pid)))
        child.kill()


def python(folder):
    child = start("/usr/bin/python3", "-c", BIG_PYTHON)
    pid, core = child.pid, os.path.join(folder, "core")
    size = rss(pid)
    run(MW, "snapshot", str(pid), "-o", core)
    objects = int(re.search(r'"objects":(\d+)', run(MW, "census", "--json", core)[2]).group(1))
    print("python: %.1f million objects, %.2f GB resident" % (objects / 1e6, size / 1e9))
    result = both("census of the core", objects / 1e6, "million objects", MW, "census", "--json", core)
    both("census live", objects / 1e6, "million objects", MW, "census", "--json", str(pid))
    print("  a look while it is watched: %.2f s of CPU, memwhere's" % look(pid))
    both("ledger of the core", size / 1e9, "GB", MW, "ledger", "--json", core)
    line("why of the core", size, best(MW, "why", core))
    # What refers to what, with dominators; and what nothing reaches.
    for command in ("retained", "leaks"):
        memory = both(command + " of the core", objects / 1e6, "million objects", MW, command, "--json", core)[1]
        print("  %-22s %6.0f bytes an object" % ("", memory / objects))
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
            cpu = run(chap, core, stdin=ask)[3]
        print("  chap, summarize used   %6.2f s of CPU; census takes 1/%.0f of that" % (cpu, cpu / result[3]))
    else:
        print("  chap: not installed (set CHAP)")


def graph(folder):
    child = subprocess.Popen(("/usr/bin/python3", "-c", TUPLES), stdout=subprocess.PIPE, text=True)
    address, core = child.stdout.readline().split()[1], os.path.join(folder, "core")
    run(MW, "snapshot", str(child.pid), "-o", core)
    child.kill()
    print("graph: 10 million tuples, 40 million references")
    both("refs, cold", 10, "million objects", MW, "refs", "--json", core, address)


with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as temporary:
    {"heap": heap, "allocators": allocators, "python": python, "graph": graph, "why": why}[sys.argv[1]](temporary)

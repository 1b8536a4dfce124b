# SPDX-License-Identifier: GPL-2.0-or-later
"""unknown.py [BUILD]: how much of programs' memory the ledger does not know under each allocator, live and from a snapshot that is read
without any file; makes that table of docs/heap-facts.md. Needs libjemalloc2, libgoogle-perftools4, libmimalloc2.0, redis-server and nginx.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import outputs

LIBRARIES = (("glibc", ""), ("jemalloc", "libjemalloc.so.2"), ("tcmalloc", "libtcmalloc_minimal.so.4"),
             ("mimalloc", "libmimalloc.so.2.0"))
ROWS = """import time
kept = [[i, str(i), {i: i}, (i, float(i)), bytes(600)] for i in range(60000)]
print("ready", flush=True)
time.sleep(600)"""
FILL = "for i = 1, 100000 do redis.call('set', 'key:' .. i, string.rep('v', i % 700)) end"
NGINX = "daemon off; master_process off; pid %s/pid; error_log /dev/null; events {} http { access_log off; server { listen unix:%s/s; } }"


def slabs(build, folder):
    del folder
    return [os.path.join(build, "tests/workloads/slabs"), "20011", "3"], {}


def python(allocator):
    return lambda build, folder: (["/usr/bin/python3", "-c", ROWS], {"PYTHONMALLOC": allocator})


def redis(build, folder):
    del build
    return ["redis-server", "--port", "0", "--unixsocket", folder + "/s", "--save", ""], {}


def nginx(build, folder):
    del build
    with open(folder + "/conf", "w") as conf:
        conf.write(NGINX % (folder, folder))
    return ["nginx", "-c", folder + "/conf"], {}


PROGRAMS = {"C": slabs, "pymalloc": python("pymalloc"), "malloc": python("malloc"), "pymalloc_debug": python("pymalloc_debug"),
            "redis": redis, "nginx": nginx}


def wait(process, folder):
    """Until it says that it is ready, or listens."""
    if process.args[0] in ("redis-server", "nginx"):
        while not os.path.exists(folder + "/s"):
            if process.poll() is not None:
                raise SystemExit("%s has ended" % process.args[0])
            time.sleep(0.1)
        if process.args[0] == "redis-server":
            subprocess.run(["redis-cli", "-s", folder + "/s", "eval", FILL, "0"], check=True, stdout=subprocess.DEVNULL)
        return
    while not process.stdout.readline().startswith("ready"):
        if process.poll() is not None:
            raise SystemExit("%s has ended" % process.args[0])


def share(build, *words):
    """The share that is unknown, and the MB of which."""
    ledger = json.loads(subprocess.run([build + "/memwhere", "ledger", "--json", *words], check=True, stdout=subprocess.PIPE).stdout)
    if sum(entry["resident_bytes"] for entry in ledger["entries"]) != ledger["resident_bytes"]:
        raise SystemExit("%s: the entries do not add up" % " ".join(words))
    return 100 * ledger["unknown_bytes"] / ledger["resident_bytes"], ledger["resident_bytes"] / 1e6


def cell(build, program, library):
    with tempfile.TemporaryDirectory() as folder:
        command, more = program(build, folder)
        preload = {"LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/" + library} if library else {}
        with subprocess.Popen(command, env={**os.environ, **preload, **more}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, cwd=folder) as process:
            try:
                wait(process, folder)
                live, size = share(build, "--stop", str(process.pid))
                subprocess.run([build + "/memwhere", "snapshot", "-q", str(process.pid), "-o", folder + "/snapshot"], check=True)
            finally:
                process.kill()
        os.mkdir(folder + "/empty")
        later, _ = share(build, "--sysroot", folder + "/empty", folder + "/snapshot")
    return "%.2f, %.2f %% of %.0f" % (live, later, size)


def main(build):
    rows = ["| allocator | %s |" % " | ".join(PROGRAMS), "| --- |" + " --- |" * len(PROGRAMS)]
    for name, library in LIBRARIES:
        rows.append("| %s | %s |" % (name, " | ".join(cell(build, program, library) for program in PROGRAMS.values())))
        print(rows[-1], flush=True)
    outputs.fill(os.path.join(outputs.HERE, "heap-facts.md"), "unknown.py", {"table": "\n".join(rows) + "\n"})


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(outputs.HERE, "../build")))

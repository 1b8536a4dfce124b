# SPDX-License-Identifier: GPL-2.0-or-later
"""who_keeps_it.py [CASE...]: makes docs/who-keeps-it.md, from five programs of Debian that grow (radicale,
celery with redis-server, pandas, redis-server, aria2). Each is made to grow in one way, gcore writes its core, and what memwhere
says of that goes into the text, as it is. Needs the packages radicale, python3-celery, python3-redis,
redis-server, python3-pandas, aria2 and gdb; BUILD is where memwhere was built. With CASEs, prints only those.
"""
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
MW = os.path.abspath(os.path.join(os.environ.get("BUILD", os.path.join(HERE, "..", "build")), "memwhere"))
PYTHON = "/usr/bin/python3"
WIDTH = 132


class Case:
    """A program in a folder of its own, and the text that comes of it."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []
        self.text = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def start(self, *command, **environ):
        log = open(self.path(os.path.basename(command[0]) + ".log"), "a")
        child = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **environ)
        )
        self.children.append(child)
        return child

    def core(self, child, name):
        subprocess.run(["gcore", "-o", self.path(name), str(child.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.rename(self.path("%s.%d" % (name, child.pid)), self.path(name))

    def say(self, text):
        self.text.append(text.strip("\n") + "\n")

    def code(self, text):
        self.text.append("".join("    %s\n" % line if line else "\n" for line in text.strip("\n").split("\n")))

    def run(self, *arguments, lines=8, wanted=None):
        """memwhere's output; WANTED has to be in it, or this is not the story that the text tells."""
        done = subprocess.run([MW] + list(arguments), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode()
        if done.returncode or (wanted and wanted not in text):
            sys.exit("memwhere %s: no %r in\n%s" % (" ".join(arguments), wanted, text))
        shown = text.rstrip("\n").split("\n")
        shown = [line if len(line) <= WIDTH else line[: WIDTH - 3] + "..." for line in shown]
        more = ["..."] if len(shown) > lines else []
        self.code("\n".join(["$ memwhere " + " ".join(arguments)] + shown[:lines] + more))
        return text

    def ask(self, *arguments):
        return json.loads(subprocess.check_output([MW] + list(arguments) + ["--json"], cwd=self.folder))

    def end(self):
        for child in self.children:
            child.kill()
            child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    for _ in range(600):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    sys.exit("nothing listens on port %d" % port)


def wait_until(ready):
    for _ in range(1200):
        if ready():
            return
        time.sleep(0.1)
    sys.exit("it took too long")


def resident(child):
    with open("/proc/%d/statm" % child.pid) as file:
        return int(file.read().split()[1]) * 4096


# ---- the programs -------------------------------------------------------------------------------


def web(case):
    port = free_port()
    server = case.start(
        "/usr/bin/radicale", "--server-hosts", "127.0.0.1:%d" % port, "--auth-type", "none", "--storage-filesystem-folder", case.path("data")
    )
    wait_for_port(port)
    event = "BEGIN:VEVENT\r\nUID:%d@example\r\nDTSTART:20260101T000000Z\r\nSUMMARY:meeting %d\r\nDESCRIPTION:%s\r\nEND:VEVENT\r\n"
    body = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n"
    body += "".join(event % (i, i, "agenda " * 1500) for i in range(1500)) + "END:VCALENDAR\r\n"
    login = "Basic " + base64.b64encode(b"ann:ann").decode()
    headers = {"Content-Type": "text/calendar", "Authorization": login}
    url = "http://127.0.0.1:%d/ann/calendar/" % port
    urllib.request.urlopen(urllib.request.Request(url, data=body.encode(), method="PUT", headers=headers))
    clients = []
    before = resident(server)
    for _ in range(6):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /ann/calendar/ HTTP/1.0\r\nHost: x\r\nAuthorization: " + login.encode() + b"\r\n\r\n")
        clients.append(client)
    wait_until(lambda: resident(server) > before + (60 << 20))
    # Until all six have made their answer, which takes a while.
    while True:
        holders = case.ask("leaks", str(server.pid))["through"]["frames"]["holders"]
        if holders and holders[0]["path_text"] == "_SocketWriter.write() local b" and holders[0]["count"] == 6:
            break
        time.sleep(3)
    case.core(server, "radicale.core")
    case.say("""
## radicale: clients that read slowly

A calendar server. Six clients ask for a calendar of 1,500 events and don't read the answer.
""")
    case.run("retained", "radicale.core", "--top", "6", lines=7, wanted="_SocketWriter.write() local b")
    case.say("Six threads are in `_SocketWriter.write()`, each with the whole answer. `leaks` adds them up: all that goes with those frames.")
    case.run("leaks", "radicale.core", lines=30, wanted="6  `_SocketWriter.write() local b`")
    case.say("So it is not a leak: a limit for slow clients, or a proxy that takes the answer, is what helps.")


CELERY = """
import celery
app = celery.Celery("jobs", broker="redis://127.0.0.1:%d/0", backend="cache+memory://")
@app.task
def report(number):
    return "report %%d: " %% number + "x" * 5000
"""


def queue(case):
    port = free_port()
    case.start("/usr/bin/redis-server", "--port", str(port), "--save", "")
    wait_for_port(port)
    case.write("jobs.py", CELERY % port)
    worker = case.start(PYTHON, "-m", "celery", "-A", "jobs", "worker", "-P", "solo", "-l", "INFO")
    case.write("send.py", "import jobs\nfor i in range(5000):\n    jobs.report.delay(i)\n")
    subprocess.run([PYTHON, "send.py"], cwd=case.folder, check=True)

    def done():
        with open(case.path("python3.log")) as log:
            return log.read().count("succeeded") >= 5000

    wait_until(done)
    case.core(worker, "celery.core")
    case.say("""
## celery: results that nobody fetches

A worker whose results go to the backend `cache+memory://`, as in many examples. 5,000 jobs have been done.
""")
    case.run("retained", "celery.core", "--top", "4", lines=5, wanted="celery.backends.cache._DUMMY_CLIENT_CACHE.data")
    cache = case.ask("retained", "celery.core")["top"][0]["address"]
    case.say("The path is a variable of the module `celery.backends.cache`. What it holds, and who refers to it:")
    case.run("retained", "celery.core", cache, "--top", "3", lines=9)
    case.run("refs", "celery.core", cache, lines=6)
    case.say("Results that nobody fetches stay: `ignore_result=True`, or a backend that lets them expire.")


PANDAS = """
import os, sys, time
import numpy, pandas
class Report:
    def __init__(self):
        self.parts = {}
report = Report()
for day in range(40):
    frame = pandas.DataFrame({"user": numpy.arange(20000) % 977, "spent": numpy.random.rand(20000), "page": ["/page/%d" % (i % 50) for i in range(20000)]})
    report.parts["2026-01-%02d" % day] = frame[frame.spent > 0.01]
print("ready", flush=True)
time.sleep(3600)
"""


def science(case):
    case.write("job.py", PANDAS)
    job = case.start(PYTHON, "job.py")
    wait_until(lambda: os.path.exists(case.path("python3.log")) and "ready" in open(case.path("python3.log")).read())
    case.core(job, "pandas.core")
    case.say("""
## pandas: a frame a day

A job that reads a day after the other, sums it up, and keeps more of it than it needs.
""")
    case.run("retained", "pandas.core", "--top", "3", lines=7, wanted="`job.report.parts`, dict of 40")
    case.say("Below it, by type: what of a frame it is that takes the memory.")
    parts = case.ask("retained", "pandas.core")["top"][0]["address"]
    case.run("retained", "pandas.core", parts, "--top", "2", lines=12, wanted="  str")
    case.say("Texts, one object for each row, although there are only 50 pages: a column of dtype `category` has them once.")


def redis(case):
    port = free_port()
    server = case.start("/usr/bin/redis-server", "--port", str(port), "--save", "")
    wait_for_port(port)
    with socket.create_connection(("127.0.0.1", port)) as link:
        reader = link.makefile("rb")
        for i in range(0, 200000, 1000):
            parts = ["HSET", "sessions"] + [w for k in range(i, i + 1000) for w in ("user:%d" % k, "token " * 10 + str(k))]
            link.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p.encode()) for p in parts))
            reader.readline()
    case.core(server, "redis.core")
    case.say("""
## redis: one hash

A program in C, with jemalloc. Someone keeps all sessions in one hash.
""")
    case.run("retained", "redis.core", "--top", "3", lines=4, wanted="static variable server+")
    case.say(
        "`server` is redis's one large structure, of which 88 bytes in are its databases; behind that lie the table of "
        "keys, its one entry, and that one's value. Words of C's blocks have no names, so the rest is offsets."
    )
    entry = case.ask("retained", "redis.core")["top"][0]["address"]
    case.run("refs", "redis.core", entry, lines=6, wanted="held by")


def downloads(case):
    port = free_port()
    client = case.start("/usr/bin/aria2c", "--enable-rpc", "--rpc-listen-port=%d" % port, "--quiet=true", "--dir", case.folder)
    wait_for_port(port)
    for i in range(0, 4000, 100):
        calls = [
            {"methodName": "aria2.addUri", "params": [["http://127.0.0.1:1/file%d" % k], {"pause": "true", "header": ["X-Trace: " + "t" * 200]}]}
            for k in range(i, i + 100)
        ]
        body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": "system.multicall", "params": [calls]})
        urllib.request.urlopen("http://127.0.0.1:%d/jsonrpc" % port, data=body.encode()).read()
    case.core(client, "aria2.core")
    case.say("""
## aria2: downloads that wait

A program in C++, with glibc's malloc and without symbols. 4,000 downloads were added, and wait.
""")
    case.run("retained", "aria2.core", "--top", "1", lines=9, wanted="4000  aria2::RequestGroup")
    case.say(
        "No container retains them, because several share them: a queue, an index, a set of numbers. By class it is plain: "
        "4,000 `aria2::RequestGroup`, each with its options. Classes are known by their virtual tables."
    )


CASES = {"web": web, "queue": queue, "science": science, "redis": redis, "downloads": downloads}


def make(name):
    folder = tempfile.mkdtemp(prefix="mw-", dir="/var/tmp")
    case = Case(folder)
    try:
        CASES[name](case)
    finally:
        case.end()
        shutil.rmtree(folder, ignore_errors=True)
    return "\n".join(case.text)


HEAD = """# Who keeps it? Five programs, one question

Each of these programs was made to grow in one way, and has nothing of memwhere in it: a core, written by gcore, is all there is. The
outputs are real; docs/who_keeps_it.py made this page.
"""

TAIL = """## Fifteen leaks

Each of these was planted in a program of its own (tests/planted_leaks.py, whose module is `app` here). The first line of what `memwhere retained CORE` says of each:

%s
The index makes the second question quick: with `--index` what refers to what stays in CORE.mwindex next to the core, and `memwhere refs CORE ADDRESS` answers
within 0.1 s on 11 million objects.

## The same in GDB

`mw-retained`, `mw-path EXPR`, `mw-refs EXPR`, `mw-leaks` and `mw-pins` are the same on a core that GDB has open (gdb.md); `mw-diff BEFORE` compares it with an
earlier one. Of a process that runs, `memwhere retained PID` is enough.
"""


def planted():
    """The line that each planted leak gives."""
    script = os.path.join(HERE, "..", "tests", "planted_leaks.py")
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run([PYTHON, script, MW, folder], check=True, stdout=subprocess.PIPE, text=True).stdout
    return "".join("    %s\n" % line.replace("planted_leaks.", "app.") for line in said.splitlines())


def main(names):
    """The page, or only the cases called NAMES, printed."""
    if names:
        for name in names:
            print(make(name), flush=True)
        return
    page = "\n".join([HEAD] + [make(name) for name in CASES] + [TAIL % planted()])
    with open(os.path.join(HERE, "who-keeps-it.md"), "w") as file:
        file.write(page)


if __name__ == "__main__":
    main(sys.argv[1:])

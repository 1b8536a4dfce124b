# SPDX-License-Identifier: GPL-2.0-or-later
"""
Real outputs in the documents. What a script made stands between

    <!-- SCRIPT: NAME -->
    <!-- end -->

and is replaced when the script runs again.
"""
import http.client
import os
import re
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORKLOADS = os.path.join(HERE, "../tests/workloads")


def run(command, build):
    """What the shell COMMAND prints, with BUILD's memwhere; an error is not taken for an output."""
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], text=True, stdout=subprocess.PIPE,
                          env={"PATH": build + ":/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
    # `| head` closes the pipe early.
    if done.returncode not in (0, 141):
        raise SystemExit("%s: status %d" % (command, done.returncode))
    return done.stdout


def indent(text):
    """A block of Markdown."""
    return "".join("    %s\n" % line.rstrip() if line.strip() else "\n" for line in text.rstrip("\n").split("\n"))


def ask(build, *commands):
    """COMMANDS and what they print, as a block of Markdown."""
    return indent("\n\n".join("# %s\n%s" % (command, run(command, build).rstrip("\n")) for command in commands))


def fill(path, script, found, target=None):
    """Put the texts of FOUND, by name, into the document PATH; into TARGET if that is given."""
    with open(path) as document:
        text = document.read()
    for name, output in found.items():
        text, count = re.subn(r"(<!-- %s: %s -->\n).*?(<!-- end -->)" % (re.escape(script), re.escape(name)),
                              lambda at: at[1] + "\n" + output + "\n" + at[2], text, flags=re.S)
        if count != 1:
            raise SystemExit("%s: %d places for %s" % (path, count, name))
    with open(target or path, "w") as document:
        document.write(text)


class Screen:
    """A program on a terminal, which tmux is."""

    def __init__(self, command, columns, rows):
        self.folder = tempfile.TemporaryDirectory()
        self.tmux = ["tmux", "-u", "-S", os.path.join(self.folder.name, "socket"), "-f", "/dev/null"]
        subprocess.run(self.tmux + ["new-session", "-d", "-x", str(columns), "-y", str(rows),
                                    "LC_ALL=C.UTF-8 TERM=screen-256color " + command], check=True)

    def press(self, *keys):
        subprocess.run(self.tmux + ["send-keys", *keys], check=True)
        time.sleep(1)

    def text(self, colors=False):
        return subprocess.run(self.tmux + ["capture-pane", "-p"] + ["-e"] * colors, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def wait_for(self, words, seconds):
        """Until the screen has WORDS, wherever its lines break."""
        end = time.monotonic() + seconds
        while words not in " ".join(self.text().split()):
            if time.monotonic() > end:
                raise SystemExit("not on the screen within %d s: %s\n%s" % (seconds, words, self.text()))
            time.sleep(1)

    def close(self):
        subprocess.run(self.tmux + ["kill-server"])
        self.folder.cleanup()


class Shop:
    """The web application of workloads/shop.py, under load."""

    def __init__(self, requests_per_second):
        self.process = subprocess.Popen(["/usr/bin/python3", "shop.py", "0"], cwd=WORKLOADS, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.pid, self.port = self.process.pid, int(self.process.stdout.readline().split()[1])
        self.pause, self.ends = 1 / requests_per_second, False
        self.load = threading.Thread(target=self._visit)
        self.load.start()

    def _visit(self):
        connection, n = http.client.HTTPConnection("127.0.0.1", self.port), 0
        while not self.ends:
            connection.request("GET", "/product/%d" % (n % 700))
            connection.getresponse().read()
            n += 1
            time.sleep(self.pause)

    def close(self):
        self.ends = True
        self.load.join()
        self.process.kill()
        self.process.wait()

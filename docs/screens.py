#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the pictures of the screen in docs/pictures/: memwhere live on a Python program with a leak,
under tmux, one picture a view. As root, in a built tree:

    docs/screens.py BUILD-FOLDER
"""
import html
import os
import re
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS, WIDTH, HEIGHT = 120, 32, 8, 17
VIEWS = {"1": "sizes", "2": "split", "3": "sites", "4": "ledger", "5": "timeline"}
BASIC = {30: "#000000", 31: "#cc3333", 34: "#3b82c4", 36: "#56b4e9"}


def color_of(n):
    """A colour of the 256."""
    if n < 16:
        return "#d0d0d0"
    if n >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)
    n -= 16
    return "#%02x%02x%02x" % tuple(55 + 40 * c if c else 0 for c in (n // 36, n // 6 % 6, n % 6))


def runs(line):
    """The line's pieces: column, text, foreground, bold, inverse."""
    color, bold, inverse, column = None, False, False, 0
    for text in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not text.startswith("\x1b"):
            if text:
                yield column, text, color, bold, inverse
            column += len(text)
            continue
        codes = [int(c or 0) for c in text[2:-1].split(";")]
        while codes:
            c = codes.pop(0)
            if c == 0:
                color, bold, inverse = None, False, False
            elif c == 1:
                bold = True
            elif c == 7:
                inverse = True
            elif c == 38 and codes[:1] == [5]:
                color = color_of(codes[1])
                codes = codes[2:]
            elif c == 39:
                color = None
            elif c in BASIC:
                color = BASIC[c]


def svg(screen):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-size="13" '
           'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">' %
           (COLUMNS * WIDTH + 16, ROWS * HEIGHT + 16),
           '<rect width="100%" height="100%" rx="6" fill="#1c1c1c"/>']
    for y, line in enumerate(screen.split("\n")[:ROWS]):
        for x, text, color, bold, inverse in runs(line):
            color = color or "#d0d0d0"
            place = 'x="%d" y="%d"' % (8 + x * WIDTH, 8 + y * HEIGHT)
            if inverse:
                out.append('<rect %s width="%d" height="%d" fill="%s"/>' %
                           (place, len(text) * WIDTH, HEIGHT, color))
                color = "#1c1c1c"
            if text.strip():
                out.append('<text x="%d" y="%d" textLength="%d" xml:space="preserve" fill="%s"%s>%s</text>' %
                           (8 + x * WIDTH, 21 + y * HEIGHT, len(text) * WIDTH, color,
                            ' font-weight="bold"' if bold else "", html.escape(text)))
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    memwhere = os.path.join(os.path.abspath(sys.argv[1]), "memwhere")
    leak = subprocess.Popen([sys.executable, os.path.join(here, "../tests/workloads/leak.py"), "2"],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    folder = tempfile.TemporaryDirectory()
    tmux = ["tmux", "-u", "-S", os.path.join(folder.name, "socket"), "-f", "/dev/null"]
    try:
        time.sleep(0.5)
        subprocess.run(tmux + ["new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
                               "LC_ALL=C.UTF-8 TERM=screen-256color %s live -i 0.5 --mode exact "
                               "--sample 32K %d" % (memwhere, leak.pid)], check=True)
        time.sleep(2)
        leak.stdin.write(b"go\n")
        leak.stdin.flush()
        time.sleep(40)
        for key, name in VIEWS.items():
            subprocess.run(tmux + ["send-keys", key] + (["Right"] if name == "sites" else []), check=True)
            time.sleep(1)
            screen = subprocess.run(tmux + ["capture-pane", "-p", "-e"], check=True, text=True,
                                    stdout=subprocess.PIPE).stdout
            with open(os.path.join(here, "pictures", name + ".svg"), "w") as out:
                out.write(svg(screen))
    finally:
        subprocess.run(tmux + ["kill-server"])
        leak.kill()
        leak.wait()


main()

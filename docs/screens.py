#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the pictures of the screen in docs/pictures/, one a view, and README's screen and outputs: memwhere in its default
mode on a web application with a leak, under load. As root, in a built tree:

    docs/screens.py BUILD-FOLDER
"""
import html
import os
import re
import sys
import time

import outputs

COLUMNS, ROWS, WIDTH, HEIGHT = 120, 32, 8, 17
VIEWS = {"0": "why", "1": "sizes", "2": "split", "3": "sites", "4": "ledger", "5": "timeline"}
# README's questions.
QUESTIONS = {
    "line": ("memwhere stat {pid} -i 3m -n 1",),
    "holder": ("memwhere retained {pid} | head -5",),
    "owners": ("memwhere ledger {pid} --depth 1", "memwhere census {pid} | head -8"),
}
# What a screen says of the leak once it knows who holds it and the line that adds to it.
WHOLE = "added at shop.py:25 show"
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
    build = os.path.abspath(sys.argv[1])
    memwhere = os.path.join(build, "memwhere")
    shop = outputs.Shop(80)
    found = {}
    try:
        time.sleep(30)  # its caches are full
        live = "%s %d" % (memwhere, shop.pid)
        small, large = outputs.Screen(live, 80, 24), outputs.Screen(live, COLUMNS, ROWS)
        small.wait_for(WHOLE, 300)
        found["screen"] = outputs.indent("# memwhere %d\n" % shop.pid + small.text())
        small.close()
        for name, commands in QUESTIONS.items():
            found[name] = outputs.ask(build, *(command.format(pid=shop.pid) for command in commands))
        # By now it has seen enough for estimates.
        large.wait_for(WHOLE, 300)
        for key, name in VIEWS.items():
            large.press(key, *(["Right"] if name == "sites" else []))
            with open(os.path.join(outputs.HERE, "pictures", name + ".svg"), "w") as out:
                out.write(svg(large.text(colors=True)))
        large.close()
    finally:
        shop.close()
    outputs.fill(os.path.join(outputs.HERE, "../README.md"), "screens.py", found)


main()

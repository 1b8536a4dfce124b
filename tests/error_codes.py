# SPDX-License-Identifier: GPL-2.0-or-later
"""The error codes that the sources give, a line each: the third argument of mw_err_set()."""
import re
import sys


def arguments(text, at):
    """The arguments of the call whose opening bracket is at AT."""
    found, begin, depth, string = [], at + 1, 0, False
    for i in range(at, len(text)):
        c = text[i]
        if string:
            string = c != '"' or text[i - 1] == "\\"
        elif c == '"':
            string = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if not string and (depth == 0 or (depth == 1 and c == ",")):
            found.append(text[begin:i].strip())
            begin = i + 1
            if depth == 0:
                return found
    sys.exit("a call does not end")


codes = {"usage"}
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        source = file.read()
    for call in re.finditer(r"\bmw_err_set\(", source):
        given = arguments(source, call.end() - 1)
        if given[0].startswith("struct "):
            continue
        literals = re.findall(r'"([^"]*)"', given[2])
        if not literals:
            sys.exit("%s: the code is not a literal: %s" % (path, given[2]))
        codes.update(literals)
print("\n".join(sorted(codes)))

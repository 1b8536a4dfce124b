# SPDX-License-Identifier: GPL-2.0-or-later
# -*- coding: utf-8 -*-
# python_lines.py CODE_LINES: many code objects of this very interpreter, 2.7 or later; what memwhere
# (tests/unit/code_lines.c) reads of them against what dis and the code objects say themselves.
from __future__ import print_function, unicode_literals

import dis
import os
import subprocess
import sys
import sysconfig

PY3 = sys.version_info >= (3,)
SOURCES = []

SOURCES.append('''
import contextlib
def decorator(f): return f
@decorator
@decorator
# a comment
@decorator
def decorated(a,
              b=[x for x in
                 range(3)]):
    """doc"""
    try:
        with open("x") as f:
            for line in f:
                if line:
                    continue
                yield line
    except (IOError,
            ValueError) as e:
        raise KeyError(
            e)
    finally:
        print(a,
              b)
    return
f = lambda x: (
    x +
    1)
g = {k: [v for v in
    range(k)] for k in range(4)
    if k}
class Outer(object):
    """doc"""
    x = (1,
         f)
    class Inner(object):
        def method(self):
            def inner():
                return (lambda: self)
            return inner
    def other(self): return [self for self in (i for i in range(9))]
def many(): pass; pass; return 7
def empty():
    pass
while g:
    g.popitem()
    if not g: break
else:
    pass
''')

# Steps of lines and of bytecode around what fits in a byte, forwards and backwards, and varints of several bytes.
for gap in (1, 2, 62, 63, 64, 126, 127, 128, 129, 254, 255, 256, 257, 600, 5000, 70000):
    SOURCES.append("%sdef far(a, b):\n    x = a\n%s    x = b(\n%s        a,\n        b)\n%s    for i in x:\n%s        a(i)\n    return a\n"
                   % ("\n" * gap, "\n" * gap, "\n" * gap, "\n" * gap, "\n" * gap))
for count in (1, 10, 30, 40, 41, 42, 43, 60, 63, 64, 65, 120, 128, 700, 8000):
    SOURCES.append("def wide(a, b):\n    x = [%s]\n    y = [%s]\n\n    return x\n" % ("a, " * count, "a,\n\n" * count))
    SOURCES.append("def jumps(a, b):\n    while a:\n        b(\n\n  %s\n  a)\n%s" % ("a, " * (count % 200), "        a += b\n" * count))
if PY3:
    SOURCES.append('''
async def co(a):
    async with a as b:
        async for i in b:
            await i(
                a,
                b)
    return [x async for x in a]
async def agen(a):
    try:
        yield (await a)
    except* ValueError:
        pass
def f(*, a: int = 3,
      b: "x" = f"{4}"
      f"{5!r:>9}") -> None:
    nonlocal_ = 1
    def g():
        nonlocal nonlocal_
        nonlocal_ = (yield from
                     f())
    return g
'''.replace("except*", "except*" if sys.version_info >= (3, 11) else "except"))
    SOURCES.append("def grüße(ñ): return lambda: ñ\n")
    SOURCES.append("class Ω:\n def 漢字(self):\n  class 𝔘ni: pass\n  return 𝔘ni\n".replace("𝔘ni", "𐐷ni"))
    SOURCES.append("class %s:\n    def %s(self): pass\n" % ("字" * 100, "é" * 90))
if sys.version_info >= (3, 8):
    SOURCES.append("def walrus(a):\n    while (b :=\n  a()):\n        if (b\n   and a): print(\nb)\n")
if sys.version_info >= (3, 10):
    SOURCES.append("def matches(a):\n  match a:\n    case [x,\n          y]:\n      return x\n    case {'k': z} if (z >\n     3):\n      return z\n    case _:\n      pass\n")
if sys.version_info >= (3, 12):
    SOURCES.append("class G[T: (int,\n str)]:\n  type X[Y] = (\n   Y)\n  def f[T](x: T) -> T: return x\n")
SOURCES.append("def %s(): pass\n" % ("long_name_" * 50))
SOURCES.append("def %s(): pass\n" % ("n" * 255))
SOURCES.append("def %s(): pass\n" % ("n" * 256))

FILES = ["plain.py", "/a/dir with spaces/ü.py", "x" * 511, "x" * 512, "y" * 3000, "esc\x1b[31m\n.py", "<exec>", ""]


def native(text):
    return text if PY3 else text.encode("utf-8")


def nested(code, found):
    found.append(code)
    for each in code.co_consts:
        if isinstance(each, type(code)):
            nested(each, found)


def cleaned(text, room):
    """What is to be seen of TEXT: control characters replaced, cut to ROOM bytes with the last one's end."""
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    data = b"".join(b"?" if c in [bytes(bytearray([i])) for i in range(32)] else c for c in
                    (data[i:i + 1] for i in range(len(data))))
    if len(data) < room:
        return data
    head = data[:room - 4]
    while True:
        try:
            head.decode("utf-8")
            return head + b"..."
        except UnicodeDecodeError:
            head = head[:-1]


def lines(code):
    """The line of each byte of the bytecode; 0: none."""
    result = [0] * len(code.co_code)
    if hasattr(code, "co_lines"):
        for start, end, line in code.co_lines():
            result[start:end] = [line or 0] * (end - start)
        return result
    starts = dict(dis.findlinestarts(code))
    line = code.co_firstlineno
    for i in range(len(result)):
        line = starts.get(i, line)
        result[i] = line
    return result


def main():
    codes = []
    for i, source in enumerate(SOURCES):
        code = compile(native(source) if PY3 else b"# -*- coding: utf-8 -*-\n" + native(source),
                       native(FILES[i % len(FILES)]), native("exec"))
        nested(code, codes)
    for name in sorted(sys.modules):  # and real ones
        for each in list(vars(sys.modules[name]).values()) if sys.modules[name] else []:
            if isinstance(getattr(each, "__code__", None), type(codes[0])):
                nested(each.__code__, codes)
    version = "0x%02x%02x%02x" % sys.version_info[:3]
    free = "1" if sysconfig.get_config_var("Py_GIL_DISABLED") else "0"
    tool = subprocess.Popen([sys.argv[1], str(os.getpid()), version, free], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    ask = ["%d %d\n" % (id(code), len(code.co_code)) for code in codes]
    # What is no code object: a list, a string, something odd, nothing.
    wrong = [id(codes), id(sys.argv[1]), id(codes[0]) + 1, id(codes[0]) + 8, id(type(codes[0])), 0, 8, 2 ** 63 + 8]
    ask += ["%d 2\n" % each for each in wrong]
    said = tool.communicate("".join(ask).encode())[0].split(b"\n")
    assert tool.returncode == 0, tool.returncode
    assert len(said) == len(ask) + 1, (len(said), len(ask))
    offsets = bad = 0
    for code, line in zip(codes, said):
        name = getattr(code, "co_qualname", code.co_name)
        want = [cleaned(name, 256), cleaned(code.co_filename, 512), b"%d" % code.co_firstlineno if PY3 else
                bytes(code.co_firstlineno), lines(code)]
        # The cap of lines.h; 3.10 makes tables that grow with the square of such a list.
        if len(getattr(code, "co_linetable", code.co_lnotab if sys.version_info < (3, 10) else b"")) > 1 << 20:
            want = [b"error -14"]
        got = line.split(b"\t")
        got[3:] = [[int(n) for n in got[3].split()]] if len(got) == 4 else []
        if got != want:
            bad += 1
            print("%s line %d: %r\n  not %r" % (name[:40], code.co_firstlineno, got[:3] + [g for g in got[3:]][:1], want))
        offsets += len(want[-1])
        if bad > 3:
            break
    for each, line in zip(wrong, said[len(codes):]):
        if line != b"error -14":
            bad += 1
            print("0x%x: %r" % (each, line))
    assert len(codes) > 300 and offsets > 10000, (len(codes), offsets)
    print("%s: %d code objects, %d offsets, %d wrong" % (sys.version.split()[0], len(codes), offsets, bad))
    sys.exit(1 if bad else 0)


main()

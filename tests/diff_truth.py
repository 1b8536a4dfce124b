# SPDX-License-Identifier: GPL-2.0-or-later
"""A Python process that changes in a known way (2.7 and 3.6 to 3.15).

diff_truth.py [COUNT]: has COUNT (1000) rows and 5003 cached texts; says "ready PID" and waits for a
line. Then it adds 20011 rows, drops 4001 texts, lets one session's history grow by 307, and says by how
many live objects gc counts more ("rows N", "bytes N" by sys.getsizeof), and "done".
"""
import gc
import os
import sys
import types

app = types.ModuleType("app")
sys.modules["app"] = app


class Row(object):
    __slots__ = ("text", "more")

    def __init__(self, i):
        self.text = "row %d" % i
        self.more = [i]


class Session(object):
    def __init__(self):
        self.history = []


Row.__module__ = Session.__module__ = "app"


def say(text):
    os.write(1, (text + "\n").encode())


def rows():
    found = [o for o in gc.get_objects() if type(o) is Row]
    return len(found), sum(sys.getsizeof(o) for o in found)


app.rows = [Row(i) for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)]
app.cache = dict(("key %d" % i, "value %d" % i) for i in range(5003))
app.sessions = dict(("user:%d" % i, Session()) for i in range(40))
for session in app.sessions.values():
    session.history.extend(range(100))
gc.collect()
count, size = rows()
say("ready %d" % os.getpid())
os.read(0, 99)
for i in range(20011):
    app.rows.append(Row(i))
for i in range(4001):
    del app.cache["key %d" % i]
app.sessions["user:7"].history.extend(range(307))
gc.collect()
after, after_size = rows()
say("rows %d" % (after - count))
say("bytes %d" % (after_size - size))
say("done")
os.read(0, 99)

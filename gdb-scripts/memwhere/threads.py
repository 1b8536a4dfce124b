# SPDX-License-Identifier: GPL-2.0-or-later
"""The inferior's threads with their registers, as the engine's `struct mw_thread' has them."""
import gdb

from memwhere import library

THREADS_MAX = 4096
MASK = (1 << 64) - 1


def words_of(frame, name):
    """The 64-bit words of register NAME, none where GDB does not know it."""
    try:
        value = frame.read_register(name)
        if name in library.VECTORS:
            halves = value["v2_int64"]
            return [int(halves[i]) & MASK for i in range(2)]
        return [int(value) & MASK]
    except (gdb.error, ValueError):
        return []


def thread_of(tid, frame):
    words = [w for name in library.GENERAL + library.VECTORS for w in words_of(frame, name)]
    return library.Thread(
        tid,
        (words_of(frame, "sp") + [0])[0],
        (words_of(frame, "fs_base") + [0])[0],
        (library.c_uint64 * library.WORDS)(*words),
        len(words),
    )


def read_threads():
    """All of them, the main thread first, as an array. Thread and frame stay selected."""
    threads = sorted(gdb.selected_inferior().threads(), key=lambda t: t.ptid[1] or t.ptid[2])
    selected, out = gdb.selected_thread(), []
    frame = gdb.selected_frame() if selected else None
    try:
        for thread in threads[:THREADS_MAX]:
            thread.switch()
            out.append(thread_of(thread.ptid[1] or thread.ptid[2], gdb.newest_frame()))
    finally:
        if selected and selected.is_valid():
            selected.switch()
            if frame and frame.is_valid():
                frame.select()
    return (library.Thread * len(out))(*out)

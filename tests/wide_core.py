# SPDX-License-Identifier: GPL-2.0-or-later
"""
A core whose segments claim, writable, all addresses up to the next one, as a damaged one may.

    wide_core.py CORE OUT
"""

import struct
import sys

PT_LOAD, RW, USER_END = 1, 6, 1 << 56

with open(sys.argv[1], "rb") as file:
    data = bytearray(file.read())
(headers,) = struct.unpack_from("<Q", data, 32)
(count,) = struct.unpack_from("<H", data, 56)
loads = [headers + 56 * i for i in range(count)]
loads = [at for at in loads if struct.unpack_from("<I", data, at)[0] == PT_LOAD]
starts = {at: struct.unpack_from("<Q", data, at + 16)[0] for at in loads}
user = sorted(at for at in starts.values() if at < USER_END)
for at, start in starts.items():
    # The last one, of the kernel's pages, to the end of all addresses.
    end = min((u for u in user if u > start), default=USER_END) if start < USER_END else (1 << 64) - 4096
    struct.pack_into("<I", data, at + 4, RW)
    struct.pack_into("<Q", data, at + 40, end - start)
lowest = min(loads, key=starts.get)
struct.pack_into("<Q", data, lowest + 16, 1 << 16)
struct.pack_into("<Q", data, lowest + 40, user[1] - (1 << 16))
with open(sys.argv[2], "wb") as file:
    file.write(data)

# SPDX-License-Identifier: GPL-2.0-or-later
"""
A server that loads and clears its users' private data, 300 MB of all 3,000 users:
users.py SOCKET [--users N] [--even]. A client sends "load USER DAY" or "clear USER", one a line,
and gets an answer for each. Most users have little and some have megabytes, another amount each
day. --even: all have the same, small, and the client clears none.
"""
import argparse
import asyncio
import json
import random
import zlib

BYTES_A_USER = 100_000
CHUNK = 64 << 10
DAYS = 3

parser = argparse.ArgumentParser()
parser.add_argument("socket")
parser.add_argument("--users", type=int, default=3000)
parser.add_argument("--even", action="store_true")
args = parser.parse_args()

USERS = {}
SESSIONS = {}


def sizes_of(day):
    """What each user has that day."""
    if args.even:
        return [BYTES_A_USER] * args.users
    shares = [random.Random(n).lognormvariate(0, 1.5) * random.Random(n * DAYS + day).uniform(0.6, 1.4)
              for n in range(args.users)]
    scale = args.users * BYTES_A_USER / sum(shares)
    return [min(8 << 20, max(2000, int(share * scale))) for share in shares]


def packed(size):
    """Piece by piece: no large block is freed before the first user comes."""
    stream = zlib.compressobj(9)
    return b"".join([stream.compress(bytes(min(CHUNK, size - at))) for at in range(0, size, CHUNK)] + [stream.flush()])


# Stands for a database: what it has is compressed, and small.
STORE = [[packed(size) for size in sizes_of(day)] for day in range(DAYS)]


async def load(user, day):
    """Other users' requests are served between two chunks."""
    data = USERS[user] = bytearray()
    stream, rest = zlib.decompressobj(), STORE[day][user]
    while not stream.eof:
        data += stream.decompress(rest, CHUNK)
        rest = stream.unconsumed_tail
        await asyncio.sleep(0)
    if not args.even:
        # A small thing that outlives the data: who was here, and what they saw last.
        SESSIONS[user] = json.dumps({"user": user, "day": day, "pages": ["/page/%d" % n for n in range(60)]})
    return len(data)


async def serve(reader, writer):
    while line := await reader.readline():
        what, user, *day = line.split()
        if what == b"load":
            answer = await load(int(user), int(day[0]))
        else:
            answer = len(USERS.pop(int(user), b""))
        writer.write(b"%d\n" % answer)
    writer.close()


async def main():
    server = await asyncio.start_unix_server(serve, args.socket)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())

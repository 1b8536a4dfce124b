#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Watch a Python program that grows and shrinks: on a terminal until Ctrl-C, else for 20 s.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}

said=$(mktemp)
python3 tests/workloads/server.py >"$said" &
server=$!
trap 'kill $server 2>/dev/null || true; rm -f "$said"' EXIT
trap : INT TERM
while [ ! -s "$said" ] && kill -0 $server; do sleep 0.1; done

if [ -t 1 ]; then
	"$BUILD/memwhere" live $server
else
	"$BUILD/memwhere" stat -i 5 -n 4 $server
fi

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Build each fuzz target of tests/fuzz with libFuzzer, ASan and UBSan and run it for FUZZ_SECONDS.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}
seconds=${FUZZ_SECONDS:-20}
out=$BUILD/fuzz
mkdir -p "$out/rooms"
flags="-O1 -g -std=gnu11 -D_GNU_SOURCE -Iuserspace -I. -I$BUILD -fno-sanitize-recover=undefined"
sanitize=address,undefined

# The rooms that read foreign data, once for all targets, two at a time.
rm -f "$out"/rooms/*.o
jobs=0
for source in userspace/util/*.c userspace/arch/*.c userspace/image/*.c userspace/symbol/*.c \
	userspace/model/*.c userspace/heap/*.c userspace/heap/*/*.c \
	userspace/python/[!g]*.c userspace/python/gc.c userspace/ledger/*.c userspace/probe/prologue.c \
	userspace/probe/calibrate.c; do
	# shellcheck disable=SC2086 # lists of words
	clang $flags -fsanitize=fuzzer-no-link,$sanitize -c -o "$out/rooms/$(echo "$source" | tr / _).o" "$source" &
	jobs=$((jobs + 1))
	[ $((jobs % 2)) -ne 0 ] || wait
done
wait
rm -f "$out/rooms.a"
ar rcs "$out/rooms.a" "$out"/rooms/*.o

# A small Python process, to be damaged.
MW_FUZZ_CORE=$out/python.core
export MW_FUZZ_CORE
# Seldom is a core as good: it need not be made again.
if [ ! -s "$MW_FUZZ_CORE" ]; then
	python3 -S -E -c 'import os, time
kept = [[i, str(i), {i: i}, (i, float(i)), {i}] for i in range(500)]
os.write(1, b"x")
time.sleep(60)' >"$out/said" &
	pid=$!
	while [ ! -s "$out/said" ]; do sleep 0.1; done
	"$BUILD/memwhere" snapshot "$pid" -q -o "$MW_FUZZ_CORE" >/dev/null
	kill "$pid"
fi

# A small library with all that is read of one, to be damaged.
mkdir -p "$out/corpus/fuzz_elf"
echo 'struct wide { long a[8] __attribute__((aligned(64))); };
void use(struct wide *); int first(int n) { return n * 3; }
int second(int n) { struct wide w; use(&w); return first(n) + (int)w.a[1]; }' |
	gcc -x c - -O1 -g -shared -fPIC -nostdlib -o "$out/corpus/fuzz_elf/library"

for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	# shellcheck disable=SC2086 # lists of words
	clang $flags -fsanitize=fuzzer,$sanitize -o "$out/$name" "$source" "$out/rooms.a" -lZydis -lelf -ldw \
		-ljansson -liberty -lzstd -llz4 -lz -lm
	mkdir -p "$out/corpus/$name"
	[ ! -d "tests/fuzz/corpus/$name" ] || cp -n "tests/fuzz/corpus/$name"/* "$out/corpus/$name/"
	echo "fuzz: $name for $seconds s"
	"$out/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="$out/$name." "$out/corpus/$name"
done
echo "fuzz: clean"

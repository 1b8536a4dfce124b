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
	userspace/python/[!g]*.c userspace/python/gc.c userspace/graph/*.c userspace/ledger/*.c userspace/probe/prologue.c userspace/probe/pymalloc_places.c \
	userspace/probe/calibrate.c; do
	# Searches compare millions of words a run, which says nothing about the input.
	case $source in
	userspace/heap/*) trace=-fno-sanitize-coverage=trace-cmp ;;
	*) trace= ;;
	esac
	# shellcheck disable=SC2086 # lists of words
	clang $flags -fsanitize=fuzzer-no-link,$sanitize $trace -c -o "$out/rooms/$(echo "$source" | tr / _).o" "$source" &
	jobs=$((jobs + 1))
	[ $((jobs % 2)) -ne 0 ] || wait
done
wait
rm -f "$out/rooms.a"
ar rcs "$out/rooms.a" "$out"/rooms/*.o

# A small Python process, to be damaged.
MW_FUZZ_CORE=$out/python.core
MW_FUZZ_CUT=$out/python.cut
export MW_FUZZ_CORE MW_FUZZ_CUT
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
head -c -4096 "$MW_FUZZ_CORE" >"$MW_FUZZ_CUT"

# A small program with each other allocator, to be damaged, and one that lost its end.
MW_FUZZ_SLABS=$out/slabs
export MW_FUZZ_SLABS
mkdir -p "$MW_FUZZ_SLABS"
take_slabs() { # NAME PROGRAM…
	name=$1
	shift
	[ ! -s "$MW_FUZZ_SLABS/$name" ] || return 0
	"$@" >"$out/said" &
	pid=$!
	while ! grep -q ^ready "$out/said"; do sleep 0.1; done
	"$BUILD/memwhere" snapshot "$pid" -q -o "$MW_FUZZ_SLABS/$name" >/dev/null
	kill "$pid"
	head -c -65536 "$MW_FUZZ_SLABS/$name" >"$MW_FUZZ_SLABS/$name.cut"
}
for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2.0; do
	take_slabs "$library" env LD_PRELOAD=/usr/lib/x86_64-linux-gnu/$library "$BUILD/tests/workloads/slabs" 300 2
done
take_slabs google_heap "$BUILD/tests/workloads/google_heap"

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

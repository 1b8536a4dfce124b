#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Build each fuzz target of tests/fuzz with libFuzzer, ASan and UBSan and run it for FUZZ_SECONDS.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}
seconds=${FUZZ_SECONDS:-20}
out=$BUILD/fuzz
mkdir -p "$out"
flags="-O1 -g -std=gnu11 -D_GNU_SOURCE -Iuserspace -I. -I$BUILD -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"

for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	# The first line says which files of userspace/ it needs.
	files=$(sed -n 's|^/\* needs: \(.*\) \*/$|\1|p' "$source")
	# shellcheck disable=SC2086 # lists of words
	clang $flags -o "$out/$name" "$source" $files -lZydis -lelf -ldw -ljansson -lzstd -llz4 -lz -lm
	mkdir -p "$out/corpus/$name"
	[ ! -d "tests/fuzz/corpus/$name" ] || cp -n "tests/fuzz/corpus/$name"/* "$out/corpus/$name/"
	echo "fuzz: $name for $seconds s"
	"$out/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="$out/$name." "$out/corpus/$name"
done
echo "fuzz: clean"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What watching costs, as ratios from one run. Each mode is measured between two bare runs of
# the same process, so that a machine whose speed drifts drifts for both. Peers are measured where
# they are installed: bpftrace, and memleak of bcc's libbpf-tools (Debian 13 and later: memleak-libbpf) or
# of bcc's tools in Python (memleak-bpfcc), or MEMLEAK=path.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}
MW=$BUILD/memwhere
MEMLEAK=${MEMLEAK:-$(command -v memleak || command -v memleak-libbpf || command -v memleak-bpfcc || true)}
export MEMLEAK
dir=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill "$target" 2>/dev/null; rm -rf "$dir"' EXIT
libc=$(ldd "$MW" | awk '/libc\.so/ {print $3}')

median() { sort -n | awk '{v[NR] = $1} END {if (NR) print v[int((NR + 1) / 2)]}'; }

# Median of the next 8 quarters (2 s) that the target prints.
run() {
	skip=$(wc -l <"$dir/out")
	while [ "$(wc -l <"$dir/out")" -lt $((skip + 10)) ]; do sleep 0.1; done
	tail -n +$((skip + 2)) "$dir/out" | head -n 8 | median
}

start() {
	"$@" >"$dir/out" &
	target=$!
	sleep 0.5
}

# The row of one watcher: before, with, after.
row() { # NAME COMMAND...
	name=$1
	shift
	before=$(run)
	"$@" >"$dir/watcher" 2>&1 &
	watcher=$!
	sleep "${SETTLE:-1}"
	with=$(run)
	if ! kill -0 $watcher 2>/dev/null; then
		echo "  $name: did not run: $(tail -n 1 "$dir/watcher")"
		return
	fi
	kill -INT $watcher
	wait $watcher 2>/dev/null || true
	after=$(run)
	echo "$name $before $with $after" >>"$dir/rows"
	awk -v n="$name" -v b="$before" -v w="$with" -v a="$after" 'BEGIN {
		bare = (a + b) / 2
		printf "  %-22s bare %9.2f   with %10.2f   adds %10.2f   %6.2f x\n", n, bare, w, w - bare, w / bare}'
}

watchers() { # GROUP
	row growth "$MW" stat --mode growth -i 1 $target
	row sizes "$MW" stat --mode sizes -i 1 $target
	row exact "$MW" stat --mode exact -i 1 $target
	if command -v bpftrace >/dev/null; then
		SETTLE=4 row bpftrace bpftrace -p $target -e "uprobe:$libc:malloc { @s = hist(arg0); } uprobe:$libc:free { @f = count(); }"
	else
		echo "  bpftrace: not installed"
	fi
	if [ -n "$MEMLEAK" ]; then
		SETTLE=3 row memleak "$MEMLEAK" -p $target 600
	else
		echo "  memleak: not installed (set MEMLEAK to libbpf-tools' one)"
	fi
}

ratio() { # NAME TARGET: what memleak adds, over what NAME adds
	awk -v n="$1" '{added[$1] = $3 - ($2 + $4) / 2} END {
		if ("memleak" in added && added[n] > 0)
			printf "  %s adds 1/%.1f of what memleak adds\n", n, added["memleak"] / added[n]}' "$dir/rows"
}

case ${SECTION:-all} in
all | trace) ;;
sites | live) exec env BUILD="$BUILD" python3 tests/bench_sites.py "$SECTION" ;;
heap | allocators | python | graph | why) exec env BUILD="$BUILD" python3 tests/bench_heap.py "$SECTION" ;;
tui) exec python3 tests/bench_tui.py "$MW" "$BUILD/tests/tui_replay" "$BUILD/tests/workloads/pairs" ;;
*) echo "SECTION is one of: all trace sites live heap allocators python graph why tui" >&2; exit 2 ;;
esac

echo "malloc(100)/free loop, ns a pair"
start "$BUILD/tests/workloads/pairs" 100 print
watchers
ratio exact
ratio sizes
kill $target

rm -f "$dir/rows"
echo "Python, JSON round trips with strings up to 5 KB, us a trip"
start python3 tests/workloads/json_loop.py
watchers
kill $target

echo "attach and detach, memwhere's own cost (at the loop's full rate)"
start "$BUILD/tests/workloads/pairs" 100 print
for _ in 1 2 3; do
	"$MW" stat -v -n 3 -i 1 $target 2>&1 >"$dir/stat" | sed -n 's/^memwhere itself/  itself/p'
done
awk '/requests/ {print "  at" $0; exit}' "$dir/stat"
kill $target
target=

[ "${SECTION:-all}" = all ] || exit 0
BUILD=$BUILD python3 tests/bench_sites.py
for section in heap allocators python graph why; do
	BUILD=$BUILD python3 tests/bench_heap.py $section
done
echo "the screen"
python3 tests/bench_tui.py "$MW" "$BUILD/tests/tui_replay" "$BUILD/tests/workloads/pairs"

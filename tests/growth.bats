#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Heaps that no probe reaches: watched by what the kernel gives, with lines, and said so. And what moves thresholds.

bats_require_minimum_version 1.5.0
load lib

setup() { setup_common; }
teardown() { teardown_common; }

WORKLOADS=$BATS_TEST_DIRNAME/workloads

# Watch PID in the default mode; as start_watch.
start_default_watch() {
	: >"$BATS_TEST_TMPDIR/out"
	"$MW" stat --json -i 0.5 "$@" -o "$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/watch.err" 7>&- 3>&- &
	WATCH=$!
	STARTED+=("$WATCH")
	wait_for_report "$WATCH" || { cat "$BATS_TEST_TMPDIR/watch.err" >&2; return 1; }
}

start_bare() { # [CPP OPTION]
	gcc "$@" -static -nostdlib -Wl,--no-gc-sections -o "$BATS_TEST_TMPDIR/bare" "$WORKLOADS/bare.S"
	start_python "$BATS_TEST_TMPDIR/bare"
}

# Bytes that a growth line speaks of, all together.
growth() { last '[.total.sites.growth[].bytes] | add // 0'; }

anonymous() { awk '/^RssAnon/ {print $2 * 1024}' "/proc/$1/status"; } # PID

# Written since: a report that began after this.
another_report() {
	local lines
	lines=$(($(wc -l <"$BATS_TEST_TMPDIR/out") + 2))
	more() { [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -ge "$lines" ]; }
	wait_while "$WATCH" 60 more
}

@test "PHP's heap grows by lines, to the byte as PHP says, and nobody is accused" {
	start_workload php "$WORKLOADS/grow.php"
	start_default_watch "$PID"
	go_and_wait
	another_report
	stop_watch
	[ "$(said grown)" -gt 20000000 ]
	expect "$(growth)" "$(said grown)" "the Zend heap's growth"
	expect "$(last .out_of_reach.runtime)" PHP runtime
	expect "$(last .out_of_reach.allocator)" true "an allocator besides"
	expect "$(last '.sites.suspects | length')" 0 suspects
	# A line of text says so, too.
	start_workload php "$WORKLOADS/grow.php"
	"$MW" stat "$PID" --top 5 -i 1 -n 8 >"$BATS_TEST_TMPDIR/text" 3>&- 7>&- &
	watch=$!
	STARTED+=("$watch")
	wait_while "$watch" 60 test -s "$BATS_TEST_TMPDIR/text"
	go_and_wait
	wait "$watch"
	cat "$BATS_TEST_TMPDIR/text"
	grep -qE "^  reach +PHP's own heap is out of probes' reach" "$BATS_TEST_TMPDIR/text"
	grep -qE '^  growth +2[0-9]\.[0-9] MiB  php.*, [0-9]+ mappings' "$BATS_TEST_TMPDIR/text"
	run ! grep -q '^  suspect' "$BATS_TEST_TMPDIR/text"
}

@test "a static Go program is watched by growth, with lines, unless a mode was asked for" {
	start_bare -DGO
	start_default_watch "$PID"
	before=$(awk '/^VmData/ {print $2 * 1024}' "/proc/$PID/status")
	first=$(last '[.total.sites.top[].growth.bytes] | add // 0')
	sleep 2
	another_report
	after=$(awk '/^VmData/ {print $2 * 1024}' "/proc/$PID/status")
	another_report
	stop_watch
	expect "$(last .mode)" growth mode
	expect "$(last .out_of_reach.allocator)" false allocator
	expect "$(last .out_of_reach.text)" \
		"no allocator that probes can reach (a Go program): watching what the kernel gives" text
	# What the kernel says of it, between two reports at least.
	last "([.total.sites.top[].growth.bytes] | add) - $first >= $after - $before" | grep -qx true
	last '.total.sites.top[0].frames[] | .function' | grep -qx main.remember
	expect "$(last '.sites.suspects | length')" 0 suspects
	for mode in exact sizes; do
		run "$MW" stat "$PID" --json -n 1 --mode $mode
		[ "$status" -eq 1 ]
		expect "$(jq -r .error.code <<<"$output")" no-allocator "the error of mode $mode"
		jq -r .error.message <<<"$output" | grep -q 'a Go program'
	done
	"$MW" stat "$PID" -n 1 -i 0.5 | grep -q '^  reach  .*(a Go program)'
}

@test "a static program that is not Go's is not called so" {
	start_bare
	"$MW" stat "$PID" --json -n 1 -i 0.5 >"$BATS_TEST_TMPDIR/out"
	expect "$(last .mode)" growth mode
	expect "$(last .out_of_reach.runtime)" null runtime
	expect "$(last .out_of_reach.text)" "no allocator that probes can reach: watching what the kernel gives" text
}

@test "a Go program that has the C library besides: its own heap by lines" {
	# It keeps every line that it reads.
	seq 1 100000000 | fzf --filter zzzz >"$BATS_TEST_TMPDIR/said" 3>&- &
	STARTED+=($!)
	PID=$!
	wait_until 30 runs "$PID" "$(command -v fzf)"
	start_default_watch "$PID"
	before=$(anonymous "$PID")
	sleep 2
	after=$(anonymous "$PID")
	another_report
	stop_watch
	expect "$(last .out_of_reach.runtime)" Go runtime
	expect "$(last .out_of_reach.allocator)" true "an allocator besides"
	[ "$after" -gt "$before" ]
	last "([.total.sites.growth[].bytes] | add) >= ($after - $before) / 2" | grep -qx true
	expect "$(last '.sites.suspects | length')" 0 suspects
}

@test "V8's heap: what lines say it took is what it has more" {
	start_workload node "$WORKLOADS/grow.js"
	start_default_watch "$PID" -t 100
	before=$(anonymous "$PID")
	go_and_wait
	go_and_wait
	after=$(anonymous "$PID")
	another_report
	stop_watch
	expect "$(last .out_of_reach.runtime)" V8 runtime
	echo "RssAnon grew by $((after - before)), lines: $(growth)"
	# Its chunks are touched whole; garbage that is collected goes back later.
	last "([.total.sites.growth[].bytes] | add) as \$g | \$g > 0.6 * ($after - $before) and \$g < 1.7 * ($after - $before)" |
		grep -qx true
}

@test "the JVM's heap has lines, by its mappings or the pages that it touches" {
	start_python java -Xmx400m "$WORKLOADS/Grow.java"
	start_default_watch "$PID"
	has_lines() { [ "$(last '.total.sites.growth | length')" -gt 0 ]; }
	wait_while "$WATCH" 60 has_lines
	stop_watch
	expect "$(last .out_of_reach.runtime)" JVM runtime
	last '.total.sites.growth[0].frames[0].file' | grep -q libjvm
}

@test "in a program of the C library alone nothing is out of reach" {
	start_workload "$WORK/counts"
	"$MW" stat "$PID" --json -n 1 -i 0.5 >"$BATS_TEST_TMPDIR/out"
	expect "$(last .out_of_reach)" null out_of_reach
	expect "$(last '.sites.growth | length')" 0 "growth lines"
}

@test "what moved the threshold: a free, or mallopt" {
	start_workload python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
print("ready", os.getpid(), flush=True)
sys.stdin.readline()
libc.free(libc.malloc(5000000))
print("done", flush=True)
sys.stdin.readline()
libc.mallopt(-3, 7000000)
print("done", flush=True)
sys.stdin.readline()'
	start_default_watch "$PID"
	go_and_wait
	another_report
	go_and_wait
	another_report
	stop_watch
	jq -sc '[.[].events[] | select(.kind == "threshold") | [.new, .size, .by]]' "$BATS_TEST_TMPDIR/out" |
		tee /dev/stderr | grep -qxF '[[5001216,5001216,"free"],[7000000,0,"mallopt"]]'
}

@test "a child's stack has its names, though it comes while others are being named" {
	start_workload python3 "$WORKLOADS/forked.py"
	start_watch "$PID" --follow --sites all --min-size 150000 --max-size 151000 -t 1000
	# While memwhere stands still the stacks pile up; the fork comes while it names them.
	kill -STOP "$WATCH"
	go_and_wait
	kill -CONT "$WATCH"
	go_and_wait
	another_report
	stop_watch
	last '.sites.top[].frames[] | .function' | sort | uniq -c | sort -rn | head -n 5 >&2
	last '.sites.top[].frames[] | .function' >"$BATS_TEST_TMPDIR/functions"
	[ "$(grep -c '^line_' "$BATS_TEST_TMPDIR/functions")" -gt 900 ]
	run ! grep -q 'process ended' "$BATS_TEST_TMPDIR/functions"
}

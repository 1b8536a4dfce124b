#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Python programs, whatever interpreters the machine has, and programs that nobody prepared.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

@test "blocks above pymalloc's limit, exactly, in every interpreter at hand" {
	cat >"$BATS_TEST_TMPDIR/blocks.py" <<-'EOF'
	import os, sys
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	sys.stdin.readline()
	kept = [bytearray(70001) for i in range(101)]
	for i in range(103): bytearray(300007)
	del kept[13:]
	sys.stdout.write("done 1\n"); sys.stdout.flush()
	sys.stdin.readline()
	EOF
	count=0
	for python in $(interpreters); do
		start_workload "$python" "$BATS_TEST_TMPDIR/blocks.py"
		start_watch "$PID"
		go_and_wait
		stop_watch
		expect_no_loss
		# One byte more than asked for, for the terminating 0.
		expect "$(class_count 70002)" 101 "$python: blocks of 70002 bytes"
		expect "$(class_count 300008)" 103 "$python: blocks of 300008 bytes"
		expect "$(last '.total.sizes[] | select(.low <= 70002 and 70002 <= .high) | .count - .freed')" 13 "$python: outstanding"
		go
		count=$((count + 1))
	done
	echo "$count interpreters"
	[ "$count" -ge 1 ]
}

@test "the demo's server: requests, growth and the threshold's creep" {
	start_python python3 "$BATS_TEST_DIRNAME/workloads/server.py"
	start_watch "$PID"
	wait_until 60 grep -q '"kind":"threshold"' "$BATS_TEST_TMPDIR/out"
	# The block that moved it may be older than the watch.
	has_mapped() { [ "$(last '.total.placement.mmap.calls')" -ge 1 ]; }
	wait_until 60 has_mapped
	stop_watch
	expect_no_loss
	expect "$(last '.total.alloc.calls > 1000 and .total.placement.mmap.calls >= 1')" true "it allocates"
	expect "$(last '.mmap_threshold > 131072')" true "the threshold has moved"
	expect "$(last '([.total.sizes[].count] | add) == .total.alloc.calls')" true "the classes add up"
	expect "$(last '([.total.placement[].calls] | add) == .total.alloc.calls')" true "the places add up"
}

@test "the thresholds are found without any symbol of libc's" {
	# Without its build ID and its link no debug file is found, wherever there are some.
	objcopy -R .note.gnu.build-id -R .gnu_debuglink "$(ldd "$WORK/counts" | awk '/libc\.so/ {print $3}')" \
		"$BATS_TEST_TMPDIR/libc.so.6"
	RUN="env LD_LIBRARY_PATH=$BATS_TEST_TMPDIR" start_workload "$WORK/counts" creep
	"$MW" stat -v -j -n 1 -i 0.1 "$PID" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/evidence" 7>&-
	grep -q "validated search" "$BATS_TEST_TMPDIR/evidence"
	expect "$(last .mmap_threshold)" 131072 "mmap threshold"
	expect "$(last .threshold_dynamic)" true dynamic
}

@test "fixed thresholds are told apart from dynamic ones" {
	RUN="env MALLOC_MMAP_THRESHOLD_=1000003" start_workload "$WORK/counts" creep
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect "$(last .mmap_threshold)" 1000003 "mmap threshold"
	expect "$(last .threshold_dynamic)" false dynamic
	# The first malloc of all reads the variable; the frees of larger mappings then move nothing.
	expect "$(jq -sc '[.[].events[] | select(.kind == "threshold") | .new]' "$BATS_TEST_TMPDIR/out")" "[1000003]" moves
}

@test "page faults and RSS agree with the process's own counts" {
	cat >"$BATS_TEST_TMPDIR/faults.py" <<-'EOF'
	import mmap, os, resource, sys
	say = lambda s: (sys.stdout.write(s), sys.stdout.flush())
	say("ready %d\n" % os.getpid()); sys.stdin.readline()
	before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
	m = mmap.mmap(-1, 4096 * 5003)
	for i in range(5003): m[i * 4096] = 1
	after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
	say("faults %d\n" % (after - before)); say("done 1\n"); sys.stdin.readline()
	EOF
	start_workload python3 "$BATS_TEST_TMPDIR/faults.py"
	rss() { awk '/^VmRSS/ {print $2 * 1024}' "/proc/$PID/status"; }
	start_watch "$PID" --mode growth
	go_and_wait
	want=$(rss)
	stop_watch
	got=$(last .total.faults.minor)
	[ "$got" -ge "$(said faults)" ] && [ "$got" -lt $(($(said faults) + 100)) ]
	expect "$(last ".rss_bytes - $want | fabs < 1048576")" true "RSS, $want"
}

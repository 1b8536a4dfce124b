#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `memwhere stat` against what the workloads say of themselves.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

@test "every size class is counted exactly, and what is outstanding" {
	start_workload "$WORK/counts" sizes
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	for size in 0 17 100 1025 4000; do
		expect "$(class_count $size)" "$(said size_$size)" "size $size"
	done
	expect "$(class_count 1)" $((101 + 103)) "sizes 1 to 16"
	expect "$(class_count 1009)" $((113 + 127)) "sizes 1009 to 1024"
	expect "$(class_count 70000)" $((139 + 149)) "sizes 65537 to 131072"
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" calls
	expect "$(last .total.alloc.bytes)" "$(said alloc_bytes)" bytes
	expect "$(last .total.free.calls)" "$(said free_calls)" frees
	expect "$(last .outstanding.count)" "$(said outstanding_count)" "outstanding blocks"
	expect "$(last .outstanding.bytes)" "$(said outstanding_bytes)" "outstanding bytes"
}

@test "the intervals add up to the total" {
	start_workload "$WORK/counts" sizes
	start_watch "$PID"
	go_and_wait
	sleep 0.5
	stop_watch
	expect "$(jq -s '[.[].alloc.calls] | add' "$BATS_TEST_TMPDIR/out")" "$(said alloc_calls)" "sum of intervals"
	expect "$(jq -s '[.[].alloc.bytes] | add' "$BATS_TEST_TMPDIR/out")" "$(said alloc_bytes)" "sum of intervals"
}

@test "nested calls count once, a failed realloc frees nothing" {
	start_workload "$WORK/counts" functions
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	for f in malloc calloc realloc reallocarray posix_memalign valloc pvalloc free; do
		expect "$(last ".total.functions.$f")" "$(said $f)" "$f"
	done
	# One function up to glibc 2.37.
	expect "$(last '.total.functions.aligned_alloc + .total.functions.memalign')" "$(said aligned)" "aligned_alloc and memalign"
	expect "$(last .total.alloc.failed)" "$(said failed)" failed
	expect "$(last .total.free.null)" "$(said free_null)" "free(NULL)"
	expect "$(last .total.free.by_realloc)" "$(said by_realloc)" "freed by realloc"
	expect "$(last .total.alloc.bytes)" "$(said alloc_bytes)" bytes
	expect "$(last .total.free.bytes)" "$(said alloc_bytes)" "bytes freed"
	expect "$(last .outstanding.count)" 0 outstanding
	expect "$(last .total.free.unknown)" 0 "frees of unknown blocks"
}

# Also where another watch of another process has return probes in the same library.
@test "sizes mode counts each request once, too" {
	"$WORK/pairs" 100 3>&- &
	STARTED+=($!)
	"$MW" stat --mode exact --json -i 0.2 $! -o "$BATS_TEST_TMPDIR/other" 3>&- &
	STARTED+=($!)
	wait_for_report $! "$BATS_TEST_TMPDIR/other"
	start_workload "$WORK/counts" functions
	start_watch "$PID" --mode sizes
	go_and_wait
	stop_watch
	expect_no_loss
	# Without returns a failure can't be told from a success.
	expect "$(last .total.functions.malloc)" $(($(said malloc) + 269)) malloc
	expect "$(last .total.functions.calloc)" "$(said calloc)" calloc
	expect "$(last .total.functions.posix_memalign)" "$(said posix_memalign)" posix_memalign
	expect "$(last '.total.functions.realloc + .total.functions.reallocarray')" \
		$(($(said realloc) + $(said reallocarray) + 227)) "realloc and reallocarray"
	expect "$(last .total.functions.free)" "$(said free)" free
}

@test "placement is read from the chunk" {
	start_workload "$WORK/counts" placement
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(last .total.placement.mmap.calls)" 13 "chunks with a mapping of their own"
	expect "$(last .total.placement.mmap.bytes)" "$(said mmap_bytes)" "their bytes"
	expect "$(last .total.placement.thread.calls)" 307 "chunks of the thread's arena"
	expect "$(last .total.placement.thread.bytes)" "$(said thread_bytes)" "their bytes"
	# pthread_create's own calloc of the thread's TLS vector may come on top.
	expect "$(last '[.total.placement.brk.bytes - '"$(said brk_bytes)"'] | .[0] >= 0 and .[0] < 4096')" true "the rest is brk"
}

@test "the threshold's moves are told with time and size" {
	start_workload "$WORK/counts" creep
	start_watch "$PID"
	expect "$(last .mmap_threshold)" 131072 "threshold at first"
	expect "$(last .threshold_dynamic)" true dynamic
	go_and_wait
	stop_watch
	expect "$(jq -s '[.[].events[] | select(.kind == "threshold")] | length' "$BATS_TEST_TMPDIR/out")" 3 moves
	# A chunk is the request and its header, in whole pages; from glibc 2.43 on 16 bytes of that don't count.
	local left
	left=$(jq -s '[.[].events[] | select(.kind == "threshold") | .size - .new][0]' "$BATS_TEST_TMPDIR/out")
	[ "$left" -eq 0 ] || [ "$left" -eq 16 ]
	expect "$(jq -sc '[.[].events[] | select(.kind == "threshold") | .new + '"$left"']' "$BATS_TEST_TMPDIR/out")" \
		"[200704,1003520,5001216]" "new thresholds"
	expect "$(last .mmap_threshold)" $((5001216 - left)) "threshold at last"
	expect "$(last .trim_threshold)" $((2 * (5001216 - left))) "trim threshold is twice that"
}

@test "what the kernel gave and took back" {
	start_workload "$WORK/counts" kernel
	start_watch "$PID" --mode growth
	go_and_wait
	stop_watch
	expect_no_loss
	for call in mmap munmap mremap madvise; do
		expect "$(last ".total.$call.calls")" "$(said $call)" $call
	done
	expect "$(last .total.mmap.bytes)" "$(said mmap_bytes)" "mmap bytes"
	expect "$(last .total.munmap.bytes)" "$(said munmap_bytes)" "munmap bytes"
	expect "$(last .total.mremap.grown_bytes)" "$(said mremap_grown)" "mremap bytes"
	expect "$(last .total.madvise.freed_bytes)" "$(said madvise_bytes)" "madvise bytes"
	expect "$(last .total.brk.grown_bytes)" "$(said brk_grown)" "brk up"
	expect "$(last .total.brk.shrunk_bytes)" "$(said brk_shrunk)" "brk down"
}

@test "brk, mmap and munmap agree with strace" {
	start_workload "$WORK/counts" placement
	start_watch "$PID" --mode growth
	strace -f -c -e trace=brk,mmap,munmap -p "$PID" -o "$BATS_TEST_TMPDIR/strace" 2>"$BATS_TEST_TMPDIR/attached" 3>&- 7>&- &
	strace=$!
	STARTED+=("$strace")
	wait_until 30 grep -q "Process $PID attached" "$BATS_TEST_TMPDIR/attached"
	go_and_wait
	kill -INT $strace
	wait $strace || true
	stop_watch
	for call in brk mmap munmap; do
		expect "$(last ".total.$call.calls")" "$(awk -v c=$call '$NF == c {print $4}' "$BATS_TEST_TMPDIR/strace" | grep . || echo 0)" $call
	done
}

@test "what glibc frees once more when a thread ends is not the program's" {
	for mode in exact sizes; do
		start_workload "$WORK/counts" caches 11
		start_watch "$PID" --mode $mode
		go_and_wait
		stop_watch
		expect_no_loss
		expect "$(last .total.free.calls)" "$(said frees)" "$mode: frees"
		# Each block in the cache, and the cache itself: by free up to glibc 2.41, by a function of its own later.
		internal=$(($(said frees) + 11))
		[ "$(printf '%s\n' 2.42 "$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)" | sort -V | head -n 1)" != 2.42 ] || internal=0
		expect "$(last .total.free.internal)" $internal "$mode: glibc's own"
		expect "$(last .total.free.unknown)" 0 "$mode: frees of unknown blocks"
	done
}

@test "200 threads, none is missed" {
	start_workload "$WORK/counts" threads 200
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	# 64 to 70 bytes: classes 49-64 and 65-80.
	expect "$(last "[.total.sizes[] | select(.low == 49 or .low == 65) | .count] | add")" "$(said thread_mallocs)" mallocs
}

@test "--follow sees a fork tree from its first instruction" {
	start_workload "$WORK/counts" forks 7
	start_watch "$PID" --follow
	go_and_wait
	stop_watch
	expect_no_loss
	for size in 48 5000 200; do
		expect "$(class_count $size)" "$(said size_$size)" "size $size"
	done
	expect "$(jq -s '[.[].events[] | select(.kind == "fork")] | length' "$BATS_TEST_TMPDIR/out")" 14 forks
}

@test "--follow sees the children that are there already, and theirs" {
	start_workload "$WORK/counts" prefork 7
	start_watch "$PID" --follow
	expect "$(last .processes)" 15 processes
	go_and_wait
	stop_watch
	expect_no_loss
	for size in 48 5000 200; do
		expect "$(class_count $size)" "$(said size_$size)" "size $size"
	done
	expect "$(jq -s '[.[].events[] | select(.kind == "fork")] | length' "$BATS_TEST_TMPDIR/out")" 0 forks
	expect "$(last .processes)" 1 "processes at last"
}

@test "--follow sees vfork and exec, posix_spawn and clone" {
	start_workload "$WORK/counts" spawn 7
	start_watch "$PID" --follow
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(class_count 3500)" "$(said size_3500)" "programs that children ran"
	expect "$(class_count 6000)" "$(said size_6000)" "a cloned child"
	expect "$(jq -s '[.[].events[] | select(.kind == "exec")] | length' "$BATS_TEST_TMPDIR/out")" 7 execs
}

@test "without --follow children are left alone" {
	start_workload "$WORK/counts" forks 3
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect "$(class_count 48)" 0 "the children's"
	expect "$(class_count 200)" 311 "the parent's"
}

@test "a target that execs is watched on" {
	start_workload "$WORK/counts" exec "$WORK/counts" sizes
	start_watch "$PID"
	go_and_wait ready
	# The new program's thresholds are read when its allocator has been found again.
	settled() { grep -q '"kind":"exec"' "$BATS_TEST_TMPDIR/out" && [ "$(last .mmap_threshold)" = 131072 ]; }
	wait_until 30 settled
	go_and_wait
	stop_watch
	expect "$(class_count 1009)" $((113 + 127)) "sizes 1009 to 1024"
	expect "$(class_count 4000)" 137 "size 4000"
	expect "$(last .outstanding.count)" "$(said outstanding_count)" outstanding
	expect "$(jq -s '[.[].events[] | select(.kind == "exec")] | length' "$BATS_TEST_TMPDIR/out")" 1 execs
}

@test "a full outstanding map is counted: seen and lost are the truth" {
	start_workload "$WORK/counts" keep 5003
	start_watch "$PID" --max-outstanding 1009
	go_and_wait kept
	stop_watch
	expect "$(last '.total.lost.map + .outstanding.count')" "$(said kept)" "kept and lost"
	expect "$(last '.total.lost.map > 3000')" true "loss was forced"
	expect "$(last .total.alloc.calls)" "$(said kept)" "calls are exact all the same"
}

@test "three million outstanding blocks, none is lost" {
	start_workload "$WORK/counts" keep 3000017
	start_watch "$PID"
	go_and_wait kept
	all_there() { [ "$(last .outstanding.count)" = "$(said kept)" ]; }
	wait_until 60 all_there
	go_and_wait freed
	stop_watch
	expect_no_loss
	expect "$(last .total.alloc.calls)" "$(said kept)" calls
	expect "$(last .total.free.bytes)" $((24 * 3000017)) "bytes freed"
	expect "$(last .outstanding.count)" 1 outstanding
}

@test "only the sizes asked for" {
	start_workload "$WORK/counts" sizes
	start_watch "$PID" --min-size 1009 --max-size 4000
	go_and_wait
	stop_watch
	expect "$(last .total.alloc.calls)" $((113 + 127 + 131 + 137)) calls
	expect "$(last .outstanding.count)" $((13 + 17 + 19 + 23)) outstanding
}

@test "the target ends: a last full report, status 0" {
	start_workload "$WORK/counts" sizes
	start_watch "$PID"
	go_and_wait
	go
	wait_until 30 test ! -d "/proc/$WATCH"
	wait "$WATCH"
	expect "$(last .ended)" true ended
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" calls
	expect "$(last '.events[-1].kind')" exit "last event"
}

@test "another tracer's probes in the same library don't disturb" {
	"$WORK/pairs" 3333 3>&- 7>&- &
	other=$!
	STARTED+=("$other")
	# Its probes are in the file, and so in every mapping of it.
	"$MW" stat --follow --json -i 0.2 "$other" >"$BATS_TEST_TMPDIR/other" 2>&1 3>&- 7>&- &
	tracer=$!
	STARTED+=("$tracer")
	wait_until 60 grep -q '"pid":' "$BATS_TEST_TMPDIR/other"
	start_workload "$WORK/counts" sizes
	start_watch "$PID" -v
	go_and_wait
	stop_watch
	kill -INT $tracer
	wait $tracer
	expect_no_loss
	if grep -q 'not probed' "$BATS_TEST_TMPDIR/watch.err"; then return 1; fi
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" calls
	expect "$(last .outstanding.count)" "$(said outstanding_count)" outstanding
}

@test "several targets at once, each with its own numbers" {
	start_workload "$WORK/counts" sizes
	"$WORK/pairs" 3333 3>&- 7>&- &
	other=$!
	STARTED+=("$other")
	start_watch "$PID" "$other"
	go_and_wait
	stop_watch
	last_of() { jq -s "[.[] | select(.pid == $1)] | last | $2" "$BATS_TEST_TMPDIR/out"; }
	expect "$(last_of "$PID" .total.alloc.calls)" "$(said alloc_calls)" "calls of the first"
	expect "$(last_of "$other" '[.total.sizes[].low]')" "$(jq -n '[2049]')" "the second only has its size"
	expect "$(last_of "$other" '.total.alloc.calls > 1000')" true "the second is at work"
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# PID namespaces: the target in one of its own, memwhere in the target's, both nested.

load lib

setup() {
	setup_common
	PROGRAM=$MW
	BELOW=$BATS_TEST_TMPDIR/below
	cat >"$BELOW" <<-'END'
	#!/bin/sh
	levels=$1
	shift
	[ "$levels" = 0 ] && exec "$@"
	# Some numbers are used up, so that the target's differ from one namespace to the next.
	exec unshare -m -p -f --mount-proc --kill-child sh -c \
		'for i in 1 2 3; do sh -c :; done; exec 4<&0; "$@" <&4 & wait' sh "$0" $((levels - 1)) "$@"
	END
	chmod +x "$BELOW"
}
teardown() { teardown_common; }

# Start a workload LEVELS PID namespaces below this one. CHAIN: the processes that lead to it, last itself.
start_below() { # LEVELS WORKLOAD...
	local all next
	start_workload "$BELOW" "$@"
	CHAIN=()
	for ((next = STARTED[-1]; next; )); do
		CHAIN+=("$next")
		read -ra all <<<"$(numbers "$next")"
		[ "${#all[@]}" -eq $(($1 + 1)) ] && [ "${all[-1]}" = "$PID" ] && break
		next=$(pgrep -P "$next" | tail -n 1)
	done
}

# The numbers of a process, from this namespace inwards, as a list.
numbers() { awk '$1 == "NSpid:" {$1 = ""; print}' "/proc/$1/status"; }

# From now on memwhere runs LEVEL namespaces below this one, and PID is the workload's number there.
watch_from() { # LEVEL
	local level=$1 enter="" process all
	for process in "${CHAIN[@]}"; do
		read -ra all <<<"$(numbers "$process")"
		# The first one; the last makes the next namespace, and has left the mounts of this one.
		[ "${#all[@]}" -eq $((level + 1)) ] && enter=${enter:-nsenter -t $process -p -m}
	done
	PID=${all[level]}
	[ "$level" -gt 0 ] || enter=""
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$enter" "$PROGRAM" >"$BATS_TEST_TMPDIR/mw"
	chmod +x "$BATS_TEST_TMPDIR/mw"
	MW=$BATS_TEST_TMPDIR/mw
}

# nsenter waits for memwhere and has its status.
stop_watch() {
	kill -INT "$(pgrep -P "$WATCH" || echo "$WATCH")"
	wait "$WATCH"
}

# Every pair of namespaces at most two levels down of which memwhere's can see the target's.
PAIRS="0:1 0:2 1:1 1:2 2:2"

# All at once, each with a folder and processes of its own: they wait more than they work. FUNCTION is told the pair, memwhere's
# level and the target's.
each_pair() { # FUNCTION
	local pair failed=0 all=()
	for pair in $PAIRS; do
		(
			BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/${pair/:/_}
			mkdir -p "$BATS_TEST_TMPDIR"
			STARTED=()
			trap 'teardown_common || :' EXIT
			"$1" "$pair" "${pair%:*}" "${pair#*:}"
		) &
		all+=($!)
	done
	for pair in "${all[@]}"; do
		wait "$pair" || failed=1
	done
	return $failed
}

# A workload ends when nobody can talk to it any more, and its namespaces with it.
end_workload() {
	exec 7>&-
	wait "${CHAIN[0]}" || true
}

check_exact() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	start_below "$3" "$WORK/counts" sizes
	watch_from "$2"
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(last .pid)" "$PID" "$pair: PID"
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" "$pair: calls"
	expect "$(last .total.alloc.bytes)" "$(said alloc_bytes)" "$pair: bytes"
	expect "$(last .outstanding.count)" "$(said outstanding_count)" "$pair: outstanding"
	expect "$(last .outstanding.bytes)" "$(said outstanding_bytes)" "$pair: outstanding bytes"
	end_workload
}
@test "exact counts, from each namespace that sees the target" {
	each_pair check_exact
}

check_growth() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	start_below "$3" "$WORK/counts" kernel
	watch_from "$2"
	start_watch "$PID" --mode growth
	go_and_wait
	stop_watch
	expect_no_loss
	for call in mmap munmap mremap madvise; do
		expect "$(last ".total.$call.calls")" "$(said $call)" "$pair: $call"
	done
	expect "$(last .total.brk.grown_bytes)" "$(said brk_grown)" "$pair: brk up"
	expect "$(last .total.brk.shrunk_bytes)" "$(said brk_shrunk)" "$pair: brk down"
	end_workload
}
@test "growth: what the kernel gave and took back" {
	each_pair check_growth
}

check_threads() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	start_below "$3" "$WORK/counts" threads 23
	watch_from "$2"
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(last '[.total.sizes[] | select(.low == 49 or .low == 65) | .count] | add')" \
		"$(said thread_mallocs)" "$pair: mallocs"
	end_workload
}
@test "threads" {
	each_pair check_threads
}

check_children() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	for scenario in forks prefork; do
		start_below "$3" "$WORK/counts" $scenario 7
		watch_from "$2"
		start_watch "$PID" --follow
		go_and_wait
		stop_watch
		expect_no_loss
		for size in 48 5000 200; do
			expect "$(class_count $size)" "$(said size_$size)" "$pair, $scenario: size $size"
		done
		expect "$(last .processes)" 1 "$pair, $scenario: processes at last"
		end_workload
	done
}
@test "--follow: children that are born, and those that are there already" {
	each_pair check_children
}

check_execs() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	start_below "$3" "$WORK/counts" spawn 7
	watch_from "$2"
	start_watch "$PID" --follow
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(class_count 3500)" "$(said size_3500)" "$pair: programs that children ran"
	expect "$(class_count 6000)" "$(said size_6000)" "$pair: a cloned child"
	end_workload
	start_below "$3" "$WORK/counts" exec "$WORK/counts" sizes
	watch_from "$2"
	start_watch "$PID"
	go_and_wait ready
	sleep 0.5
	go_and_wait
	stop_watch
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" "$pair: of the new program"
	expect "$(jq -s -c '[.[].events[] | select(.kind == "exec") | .pid]' "$BATS_TEST_TMPDIR/out")" \
		"[$PID]" "$pair: execs"
	end_workload
}
@test "--follow: exec, spawn, and a target that becomes another program" {
	each_pair check_execs
}

remembered() { # CALLS
	expect "$(last '[.total.sites.top[] | select(.frames[0].function == "remember") | .alloc.calls] | add')" "$1" "calls at the line"
}

check_lines() { # PAIR LEVEL-OF-MEMWHERE LEVEL-OF-TARGET
	local pair=$1
	start_below "$3" python3 "$SCRIPT"
	watch_from "$2"
	start_watch "$PID" --follow --sites all --min-size 70000
	# Names are made while there is someone to ask: of the target, then of the child once its birth is known.
	go
	wait_until 20 remembered 41
	go
	wait_until 20 grep -q '"kind":"fork"' "$BATS_TEST_TMPDIR/out"
	go
	wait_until 20 remembered $((41 + 43))
	go_and_wait
	sleep 0.5
	stop_watch
	expect_no_loss
	expect "$(said status)" 0 "$pair: the child is the first of its namespace"
	expect "$(jq -s -c '[.[].events[] | select(.kind == "exit") | [.pid, .status]]' "$BATS_TEST_TMPDIR/out")" \
		"$(jq -s -c '[.[].events[] | select(.kind == "fork") | [.child, 0]]' "$BATS_TEST_TMPDIR/out")" "$pair: the child's end"
	# Where memwhere is in the target's namespace both speak of the child by the same number.
	[ "$2" != "$3" ] || expect "$(jq -s '[.[].events[] | select(.kind == "fork") | .child][0]' \
		"$BATS_TEST_TMPDIR/out")" "$(said child)" "$pair: the child"
	end_workload
}
@test "sites are Python lines, of the target and of a child in a namespace that it makes" {
	SCRIPT=$BATS_TEST_TMPDIR/family.py
	cat >"$SCRIPT" <<-'END'
	import ctypes, os, sys
	KEPT = []
	def remember(count):
	    for _ in range(count):
	        KEPT.append(bytearray(70000))
	print("ready", os.getpid(), flush=True)
	sys.stdin.readline()
	remember(41)
	sys.stdin.readline()
	if ctypes.CDLL(None).unshare(0x20000000):  # CLONE_NEWPID
	    sys.exit(1)
	child = os.fork()
	if not child:
	    sys.stdin.readline()
	    remember(43)
	    sys.stdin.readline()
	    os._exit(os.getpid() != 1)
	print("child", child, flush=True)
	print("status", os.waitpid(child, 0)[1], flush=True)
	print("done", flush=True)
	sys.stdin.readline()
	END
	each_pair check_lines
}

@test "the default watch, as text, and the ledger" {
	start_below 1 "$WORK/counts" sizes
	watch_from 1
	"$MW" stat -n 1 -i 0.5 "$PID" | grep -q "counts (PID $PID)"
	"$MW" ledger --json "$PID" | jq -e '.resident_bytes > 0 and ([.entries[].resident_bytes] | add) == .resident_bytes'
}

@test "a /proc of another namespace is an error" {
	start_below 1 "$WORK/counts" sizes
	watch_from 1
	local init
	for init in "${CHAIN[@]}"; do [ "$(numbers "$init" | wc -w)" -eq 2 ] && break; done
	run nsenter -t "$init" -p "$PROGRAM" stat --mode growth -n 1 "$PID"
	[ "$status" -eq 1 ]
	[[ $output =~ "/proc: numbers processes as an outer PID namespace does" ]]
	run nsenter -t "$init" -p "$PROGRAM" ledger --json counts
	[ "$status" -eq 1 ]
	[ "$(jq -r .error.code <<<"$output")" = pid-namespace ]
	run nsenter -t "$init" -m "$PROGRAM" stat --mode growth -n 1 "$PID"
	[ "$status" -eq 1 ]
	[[ $output =~ "/proc is not mounted, or of a PID namespace that memwhere is not in" ]]
}

@test "a kernel that can't tell is an error, not zeros" {
	start_below 1 "$WORK/counts" sizes
	watch_from 1
	run nsenter -t "${CHAIN[-1]}" -p -m sh -c "mount -t tmpfs none /sys/kernel/btf && exec $PROGRAM stat --mode growth -n 1 $PID"
	[ "$status" -eq 1 ]
	[[ $output =~ "run memwhere outside of the container" ]]
}

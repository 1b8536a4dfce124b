#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Races of reading a process that runs on are no problems of its own; its damage is, busy or not.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

SCRIPTS=$BATS_TEST_DIRNAME/workloads

# Ten times each COMMAND on PID: no problem, and a ledger that sums.
no_problems() { # COMMAND...
	local i command
	for i in 1 2 3 4 5 6 7 8 9 10; do
		for command; do
			timeout 60 "$MW" "$command" --json "$PID" >"$BATS_TEST_TMPDIR/out.json"
			jq -e '.problem_count == 0 and .changed_while_read >= 0' "$BATS_TEST_TMPDIR/out.json" >/dev/null ||
				{ jq -c "[\"$command\", .problems]" "$BATS_TEST_TMPDIR/out.json" >&2; return 1; }
			[ "$command" != ledger ] ||
				jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' "$BATS_TEST_TMPDIR/out.json" >/dev/null
		done
	done
}

# What COMMAND says of PID: just one problem, MESSAGE, at the address that the program named.
one_problem() { # COMMAND MESSAGE
	local i
	for i in 1 2 3; do
		timeout 60 "$MW" "$1" --json "$PID" >"$BATS_TEST_TMPDIR/out.json"
		jq -e --arg at "$(said damaged)" --arg what "$2" \
			'.problem_count == 1 and .problems == [{"address": $at, "message": $what}]' "$BATS_TEST_TMPDIR/out.json" >/dev/null ||
			{ jq -c '[.problems, .changed_while_read]' "$BATS_TEST_TMPDIR/out.json" >&2; return 1; }
	done
}

@test "threads that use arenas of their own, and others that come and go: no problems" {
	start_workload "$WORK/churn" 5
	no_problems malloc ledger
	kill "$PID"
}

@test "Python threads that come and go: no problems" {
	start_workload /usr/bin/python3 "$SCRIPTS/threads_come_and_go.py"
	no_problems malloc census arenas ledger
}

@test "Python objects that are made and dropped: no problems" {
	start_workload /usr/bin/python3 "$SCRIPTS/objects.py"
	no_problems malloc census arenas ledger
}

@test "every Python: no problems while objects are made and dropped" {
	local python
	for python in $(interpreters3); do
		start_workload "$python" "$SCRIPTS/objects.py"
		timeout 60 "$MW" census --json "$PID" | jq -e '.problem_count == 0' >/dev/null
		timeout 60 "$MW" census --json "$PID" | jq -e '.problem_count == 0' >/dev/null
		kill -KILL "$PID"
	done
}

# Damage of glibc's heap, in a process that is idle (0 threads) or busy.
damaged_heap() { # THREADS
	declare -A messages=([size]="chunk size is not possible here" [bin]="a bin's chunk does not link back"
		[twice]="chunk is in two caches: freed twice" [tcache]="tcache list leads astray")
	local how
	for how in size bin twice; do
		start_workload "$WORK/churn" "$1" "$how"
		one_problem malloc "${messages[$how]}"
		kill "$PID"
	done
	# This one is named by the first chunk of its list.
	start_workload "$WORK/churn" "$1" tcache
	timeout 60 "$MW" malloc --json "$PID" |
		jq -e --arg what "${messages[tcache]}" '.problem_count == 1 and .problems[0].message == $what' >/dev/null
}

@test "damage of the heap is found in a process that is idle" { damaged_heap 0; }
@test "damage of the heap is found while other threads are busy" { damaged_heap 3; }

@test "a damaged pool is found while objects are made and dropped" {
	local size
	size=$(/usr/bin/python3 -c 'import time; print("ready"); time.sleep(60)' 3>&- >/dev/null & p=$!; sleep 0.5
		"$MW" arenas --json $p | jq .pool_bytes; kill $p)
	start_workload /usr/bin/python3 "$SCRIPTS/objects.py" pool "$size"
	one_problem census "a pool's list of free blocks is damaged"
}

@test "a damaged list of the collector is found while objects are made and dropped" {
	start_workload /usr/bin/python3 "$SCRIPTS/objects.py" list
	one_problem census "a list of the collector is damaged"
}

@test "what changed is said in text, and is none with --stop and in a quiet process" {
	start_workload "$WORK/churn" 5
	wait_until 30 sh -c "'$MW' malloc '$PID' | grep -q '^changed while it was read: [0-9]* places* (the process runs on; --stop holds it)$'"
	"$MW" malloc --json --stop "$PID" | jq -e '.changed_while_read == 0' >/dev/null
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	"$MW" malloc --json "$BATS_TEST_TMPDIR/s" | jq -e '.changed_while_read == 0' >/dev/null
	kill "$PID"
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 3 7919
	for command in malloc ledger; do
		"$MW" "$command" --json "$PID" | jq -e '.changed_while_read == 0 and .problem_count == 0' >/dev/null
		if "$MW" "$command" "$PID" | grep 'changed while'; then return 1; fi
	done
}

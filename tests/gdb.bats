#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The GDB commands, on cores and on live processes, against what the process itself knows.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

SCRIPTS=$BATS_TEST_DIRNAME/../gdb-scripts/memwhere-gdb.py

# A Python process with known contents; $F is its folder.
start_truth() {
	F=$BATS_TEST_TMPDIR/truth
	mkdir -p "$F"
	start_workload "${1:-/usr/bin/python3}" "$BATS_TEST_DIRNAME/python_truth.py" "$F"
	"$MW" census --json "$PID" >"$F/before.json"
	go_and_wait
	wait_asleep "$PID"
}

# GDB with the scripts; what is said on stderr is in $F/err.
in_gdb() { LC_ALL=${LOCALE:-C.UTF-8} MEMWHERE_LIBRARY=$BUILD/libmemwhere.so gdb --batch -nx -ex "source $SCRIPTS" "$@" 2>"$BATS_TEST_TMPDIR/err"; }

# The line of JSON that the last command printed.
last_json() { grep '^{' | tail -n 1; }

commands_for_truth() {
	WHATIS=()
	for address in $(jq -r '.sizes[][1]' "$F/truth.json"); do WHATIS+=(-ex "mw-whatis --json $address"); done
}

# Everything through GDB, with TARGET's arguments, against the truth.
check_in_gdb() {
	commands_for_truth
	in_gdb "$@" -ex 'mw-census --json' | last_json >"$F/census.json"
	in_gdb "$@" -ex 'mw-arenas --json' | last_json >"$F/arenas.json"
	in_gdb "$@" "${WHATIS[@]}" | grep '^{' >"$F/whatis.json"
	python3 "$BATS_TEST_DIRNAME/check_python.py" "$F"
}

@test "census, arenas, sizes and blocks in GDB equal the process's own: live" {
	start_truth
	check_in_gdb -ex "attach $PID"
	# JSON is JSON on a terminal without UTF-8, too.
	LOCALE=C check_in_gdb -ex "attach $PID"
}

@test "the same on a core: gcore's and a snapshot" {
	start_truth
	gcore -o "$F/gcore" "$PID" >/dev/null 2>&1
	"$MW" snapshot -q "$PID" -o "$F/snapshot"
	kill -KILL "$PID"
	check_in_gdb /usr/bin/python3 -ex "core $F/gcore.$PID"
	check_in_gdb /usr/bin/python3 -ex "core $F/snapshot"
}

@test "the same over gdbserver" {
	start_truth
	gdbserver --attach 127.0.0.1:0 "$PID" >"$F/server" 2>&1 3>&- 7>&- &
	STARTED+=($!)
	wait_until 30 grep -q 'Listening on port' "$F/server"
	port=$(sed -n 's/.*Listening on port //p' "$F/server")
	commands_for_truth
	in_gdb -ex "target remote 127.0.0.1:$port" -ex 'mw-census --json' -ex 'echo \n' -ex 'mw-arenas --json' -ex 'echo \n' \
		"${WHATIS[@]}" >"$F/out"
	grep '"types"' "$F/out" | last_json >"$F/census.json"
	grep '"arena_list"' "$F/out" | last_json >"$F/arenas.json"
	grep '^{"address"' "$F/out" >"$F/whatis.json"
	python3 "$BATS_TEST_DIRNAME/check_python.py" "$F"
}

@test "mw-malloc equals mallinfo2, mw-ledger sums" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/said.malloc" 3 7919
	in_gdb -ex "attach $PID" -ex 'mw-malloc --json' | last_json >"$BATS_TEST_TMPDIR/malloc.json"
	in_gdb -ex "attach $PID" -ex 'mw-ledger --json' | last_json >"$BATS_TEST_TMPDIR/ledger.json"
	for pair in uordblks:in_use_bytes fordblks:free_bytes arena:system_bytes; do
		# mallinfo2 sums over all arenas.
		want=$(sed -n "s/^${pair%:*} //p" "$BATS_TEST_TMPDIR/said.malloc")
		got=$(jq -r "[.arenas[].${pair#*:}] | add" "$BATS_TEST_TMPDIR/malloc.json")
		expect "$got" "$want" "$pair"
	done
	jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' "$BATS_TEST_TMPDIR/ledger.json" >/dev/null
	# Owners are not nested at depth 1; by themselves they are.
	in_gdb -ex "attach $PID" -ex 'mw-ledger --depth 1' -ex 'echo deeper\n' -ex 'mw-ledger' >"$BATS_TEST_TMPDIR/out"
	expect "$(sed '/^deeper/,$d' "$BATS_TEST_TMPDIR/out" | grep -cE '% {4}[a-z]')" 0 "nested owners at depth 1"
	sed '1,/^deeper/d' "$BATS_TEST_TMPDIR/out" | grep -qE '% {4}[a-z]'
}

@test "pools, blocks, objects, free lists, functions and the dump agree with each other and the truth" {
	start_truth
	address=$(jq -r '[.sizes[] | select(.[0] == "Instance")][0][1]' "$F/truth.json")
	in_gdb -ex "attach $PID" -ex "mw-dump-arenas $F/dump" -ex "printf \"pool %p arena %p\\n\", \$mw_pool($address), \$mw_arena($address)" \
		-ex "print \$mw_typename($address)" -ex "mw-blocks $address" -ex 'mw-freelists' \
		-ex 'echo objects:\n' -ex 'mw-objects --all __main__.Inner' -ex 'echo end\n' \
		-ex 'mw-pools 64' -ex 'mw-whatis $mw_arena('"$address)" >"$F/out"
	[ ! -s "$BATS_TEST_TMPDIR/err" ] || cat "$BATS_TEST_TMPDIR/err"
	grep -q '^\$1 = "__main__.Instance"$' "$F/out"
	pool=$(sed -n 's/^pool \(0x[0-9a-f]*\) arena .*/\1/p' "$F/out")
	[ $((address & ~0x3fff)) -eq $((pool)) ]
	grep -q '<__main__.Instance at '"$address>" "$F/out"
	# The pool that mw-blocks shows may hold some of them, too.
	expect "$(sed -n '/^objects:$/,/^end$/p' "$F/out" | grep -c '<__main__.outer.<locals>.Inner at')" 433 "objects of a local class"
	grep -q '  list$' "$F/out"
	# Each block that the dump has is used as often as _debugmallocstats says.
	used=$(jq -s '[.[] | select(.what and .what != "free")] | length' "$F/dump")
	stats=$(awk '/^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+$/ && $2 <= 512 {n += $4} END {print n}' "$F/blocks")
	[ $((used - stats)) -le 3 ] && [ $((stats - used)) -le 3 ]
	expect "$(jq -s '[.[] | select(.type == "__main__.Instance" and .what == "object")] | length' "$F/dump")" 403 "instances"
}

@test "what holds, pins and changed is in GDB what the program says" {
	F=$BATS_TEST_TMPDIR/pins
	start_workload /usr/bin/python3 "$BATS_TEST_DIRNAME/diff_truth.py"
	"$MW" snapshot -q "$PID" -o "$F.before"
	go_and_wait
	"$MW" snapshot -q "$PID" -o "$F.after"
	kill -KILL "$PID"
	"$MW" diff --json "$F.before" "$F.after" | jq -S . >"$F.diff"
	"$MW" pins --json "$F.after" | jq -S . >"$F.pins"
	"$MW" leaks --json "$F.after" | jq -S . >"$F.leaks"
	"$MW" retained --json --top 3 --root app.cache "$F.after" | jq -S . >"$F.retained"
	address=$("$MW" retained --json "$F.after" | jq -r '[.top[] | select(.path_text == "app.rows")][0].address')
	in_gdb /usr/bin/python3 -ex "core $F.after" -ex "mw-diff --json $F.before" -ex 'mw-pins --json' -ex 'mw-leaks --json' \
		-ex 'mw-retained --json --top 3 --root app.cache' -ex "mw-path $address" -ex "mw-path --json $address" >"$F.out"
	grep '^{' "$F.out" >"$F.lines"
	for each in diff:1 pins:2 leaks:3 retained:4; do
		sed -n "${each#*:}p" "$F.lines" | jq -S . | diff - "$F.${each%:*}"
	done
	grep -x 'app.rows' "$F.out"
	sed -n 5p "$F.lines" | jq -e '.path_text == "app.rows" and .path[-1].address == "'"$address"'"'
	run in_gdb -ex "core $F.after" -ex 'mw-diff /nonexistent/core'
	[ "$(grep -c '/nonexistent/core' "$BATS_TEST_TMPDIR/err")" -eq 1 ]
	# A debugger knows the registers of what it holds.
	start_workload "$WORK/lost"
	wait_until 30 grep -q '^0 ' "/proc/$PID/syscall"
	in_gdb -ex "attach $PID" -ex 'mw-leaks --json' | last_json >"$F.lost"
	expect "$(jq '[.blocks.sizes[] | select(.low == 2048 or .low == 65536) | .count] | add' "$F.lost")" "$(($(said lost_small) + $(said lost_large)))" lost
}

@test "errors are one line: no process, no Python, no such thing, no library" {
	run in_gdb -ex mw-arenas
	grep -qx "no process or core: use \`core FILE' or \`attach PID'" "$BATS_TEST_TMPDIR/err"
	start_workload "$WORK/counts" classes
	run in_gdb -ex "attach $PID" -ex mw-census
	grep -q "no CPython interpreter found" "$BATS_TEST_TMPDIR/err"
	for command in 'mw-pools 7' 'mw-blocks' 'mw-arenas x' 'mw-whatis nosuch' 'mw-dump-arenas /nonexistent/x' 'mw-census --nosuch' 'mw-ledger --depth x' \
		'mw-census --depth 1' 'mw-diff' 'mw-path' 'mw-retained --root'; do
		run in_gdb -ex "attach $PID" -ex "$command"
		# GDB itself has words about sources that are not there.
		[ "$(grep -vcE '^warning|No such file or directory.$' "$BATS_TEST_TMPDIR/err")" -eq 1 ] ||
			[ "$(grep -c "^/nonexistent/x: No such file" "$BATS_TEST_TMPDIR/err")" -eq 1 ] ||
			{ cat "$BATS_TEST_TMPDIR/err"; return 1; }
		if grep Traceback "$BATS_TEST_TMPDIR/err"; then return 1; fi
	done
	MEMWHERE_LIBRARY=/nonexistent run gdb --batch -nx -ex "source $SCRIPTS" -ex "attach $PID" -ex mw-malloc
	[[ $output == *"build it with \`make'"* ]]
}

@test "help, completion, and sourcing twice" {
	in_gdb -ex "source $SCRIPTS" -ex 'help mw' -ex 'help mw-pools' -ex 'complete mw-' >"$BATS_TEST_TMPDIR/out"
	for command in arenas pools blocks census freelists objects malloc ledger whatis dump-arenas refs path retained leaks pins diff; do
		grep -qx "mw-$command" "$BATS_TEST_TMPDIR/out"
	done
	grep -q 'Usage: mw-pools' "$BATS_TEST_TMPDIR/out"
	in_gdb -ex 'help function' | grep -q mw_typename
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
}

@test "the process is as it was: detached it runs on" {
	start_truth
	in_gdb -ex "attach $PID" -ex mw-census >/dev/null
	wait_until 30 grep -q '^State:.S' "/proc/$PID/status"
	expect "$(awk '/TracerPid/ {print $2}' "/proc/$PID/status")" 0 "tracer"
}

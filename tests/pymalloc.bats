#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Python's small objects as a layer of their own: counts against the program's own, sites, growth.

load lib

setup() {
	setup_common
	cat >"$BATS_TEST_TMPDIR/small.py" <<-'END'
		import signal, sys, time
		KEPT = []
		def keep(i):
		    KEPT.append((i, "visitor-%d" % i))
		def churn(i):
		    return [str(i * 1000 + j) for j in range(5)]
		def say(*_):
		    sys.stdout.write("kept %d\n" % len(KEPT))
		    sys.stdout.flush()
		signal.signal(signal.SIGUSR1, say)
		i = 1000
		print("ready")
		say()
		while True:
		    for _ in range(10):
		        i += 1
		        keep(i), churn(i)
		    time.sleep(0.05)
	END
}
teardown() { teardown_common; }

ask_kept() {
	local before
	before=$(grep -c '^kept' "$BATS_TEST_TMPDIR/said")
	kill -USR1 "$PID"
	wait_until 60 said_more kept "$before"
	said kept
}
stays() { [ "$(last .mode)" = exact ]; }

@test "small objects are counted as the program makes them, and by line, on every interpreter at hand" {
	count=0
	for python in $(interpreters); do
		start_python "$python" "$BATS_TEST_TMPDIR/small.py"
		# Probes that stay in leave for windows when the machine is busy: then once more.
		for ((try = 0; try < 8; try++)); do
			start_watch "$PID" --max-overhead 90 -i 1 -t 40
			wait_until 20 stays || { stop_watch && continue; }
			before=$(ask_kept)
			lines=$(wc -l <"$BATS_TEST_TMPDIR/out")
			sleep 5
			after=$(ask_kept)
			stop_watch
			sed 1,"$lines"d "$BATS_TEST_TMPDIR/out" | jq -se 'map(.placement.python.calls - .free.python) | add' \
				>"$BATS_TEST_TMPDIR/net" 2>/dev/null && break
		done
		kill "$PID"
		echo "$python: kept $((after - before)) in 5 s, $(cat "$BATS_TEST_TMPDIR/net") small blocks more"
		# The pools' own counts say how much of it was seen, as soon as they were read a few times.
		last .governor.python_coverage
		[ "$(last '.governor.python_coverage | .windows >= 1 and (.share // 1) > 0.97 and .allocated > 1000')" = true ]
		last '.total.sites.top[] | select(.layer == "python") | [.label, .kept.calls, .freed.calls]' | jq -c .
		# A tuple, a str and an int (2.7 has those elsewhere) stay of each round. Reports and questions are up to a second apart.
		each=$("$python" -c 'import sys; print(2 if sys.version_info[0] == 2 else 3)')
		jq -e --argjson rounds $((after - before)) --argjson each "$each" \
			'. > $each * (0.97 * $rounds - 250) and . < $each * (1.03 * $rounds + 250)' "$BATS_TEST_TMPDIR/net"
		# What is kept was asked for in keep() or in the loop, or comes from a free list; churn's strings go.
		[ "$(last '[.total.sites.top[] | select(.layer == "python" and (.label | test("^small.py:(4|14|15) "))) | .kept.calls] | add > 300')" = true ]
		[ "$(last '[.total.sites.top[] | select(.layer == "python" and (.label | test("^small.py:6 "))) |
			.freed.calls > 1000 and .kept.calls < 0.1 * .freed.calls] | any')" = true ]
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "a new arena is the growth of Python's allocator, not of the line that asked; sites have types" {
	start_python python3 "$BATS_TEST_TMPDIR/small.py"
	start_watch "$PID" --max-overhead 90 -i 1 -t 40 --by growth
	arenas() { last '[.total.sites.top[] | select(.frames[0].function | test("arenas for small objects")) | .growth.bytes // .grown.bytes // 0] | add // 0' | grep -qx '[1-9][0-9]*'; }
	wait_until 90 arenas
	# Strings are only made in keep(), so those that the list keeps are of its line; tuples come from a free list, too.
	types() { last "[.sites.top[] | select(.layer == \"python\" and (.label | test(\"^small.py:$1 \"))) | .types[] | select(.count > 0) | .type] | unique | join(\" \")"; }
	has_types() { types 4 | grep -qw str; }
	wait_until 60 has_types
	types 4
	if types 4 | tr ' ' '\n' | grep -qvE '^(str|tuple|list|int)$'; then return 1; fi
	stop_watch
}

@test "PYTHONMALLOC=malloc: small objects are malloc's" {
	PYTHONMALLOC=malloc start_python python3 "$BATS_TEST_TMPDIR/small.py"
	start_watch "$PID" --max-overhead 90 -i 1 -v
	sleep 3
	stop_watch
	grep -q 'has no pools: its small objects are malloc' "$BATS_TEST_TMPDIR/watch.err"
	[ "$(last '[.sites.top[] | select(.layer == "python")] | length')" = 0 ]
}

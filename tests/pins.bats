#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What pins memory, against what goes back once it is freed (pins_truth.py, workloads/pins.c), and what
# changed between two moments, against what the process itself counts (diff_truth.py).

load lib

setup() { setup_common; }
teardown() { teardown_common; }

near() { # GOT WANT PERCENT WHAT
	awk -v got="$1" -v want="$2" -v percent="$3" 'BEGIN { d = got - want; exit !(want > 0 && (d < 0 ? -d : d) * 100 <= want * percent) }' ||
		{ echo "$4: got $1, expected $2" >&2; return 1; }
}

# Each way in which Python's memory is laid out is there: the others differ in nothing that matters here.
some_interpreters() { interpreters | grep -E '^/usr/bin/|/versions/(2\.7|3\.6|3\.8|3\.13)[.0-9]*/'; }

end_workload() {
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
	exec 7>&-
}

# What only objects held by $1 pin: a key of that entry of the summary.
pinned_by() { jq -r "[.summary[] | select(.holders | length == 1 and .[0].path_text == \"$1\")][0].$2" "$J"; }

check_pins() { # WHAT
	near "$(pinned_by app.log bytes)" "$(said log)" 10 "arenas of $1"
	# In some arenas there is something of others, too.
	near "$(pinned_by app.log objects)" "$(said kept_log)" 15 "objects of $1"
	near "$(pinned_by app.blobs bytes)" "$(said blobs)" 10 "heap's end of $1"
	expect "$(pinned_by app.blobs objects)" "$(said kept_blobs)" "blobs of $1"
	pinned_by app.log text | grep -E '^[0-9]+ objects pin [0-9.]+ MiB: all are `app.Audit`, held by `app.log`$'
	pinned_by app.blobs text | grep -E '^11 objects pin [0-9.]+ MiB: all are `bytearray`, held by `app.blobs`$'
	# A place names all of its blocks, most bytes a block first.
	jq -e '[.places[] | .bytes / .by_count] | . == (sort | reverse)' "$J"
	jq -e '.by_max as $max | all(.places[]; .free_bytes <= .bytes and (.by | length) == ([.by_count, $max] | min))' "$J"
	jq -e '[.places[] | select(.kind == "pymalloc-arena" and all(.by[]; .path_text // "" | startswith("app.log[")))] | length >= 20' "$J"
}

@test "what pins Python's arenas and the heap's end goes back when it is freed" {
	J=$BATS_TEST_TMPDIR/pins.json
	count=0
	for python in $(some_interpreters); do
		start_workload "$python" "$BATS_TEST_DIRNAME/pins_truth.py"
		"$MW" pins --json "$PID" >"$J"
		[ "$count" -gt 0 ] || "$MW" snapshot "$PID" -q -o "$BATS_TEST_TMPDIR/core"
		go_and_wait
		check_pins "$python"
		# What is free when nothing pins it is nobody's.
		[ "$("$MW" pins --json "$PID" | jq '[.summary[] | select(.holders[].path_text == "app.log")] | length')" = 0 ]
		if [ "$count" = 0 ]; then
			"$MW" pins --json "$BATS_TEST_TMPDIR/core" >"$J"
			check_pins "a core"
			"$MW" pins "$BATS_TEST_TMPDIR/core" | grep -E '^  11 objects pin .* `app.blobs`$'
		fi
		end_workload
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "blocks of C pin the ends of the main arena and of a thread's" {
	for where in main thread; do
		start_workload "$WORK/pins" "$where"
		"$MW" pins --json "$PID" >"$BATS_TEST_TMPDIR/pins.json"
		go_and_wait
		near "$(jq '.summary[0].bytes' "$BATS_TEST_TMPDIR/pins.json")" "$(said freed)" 5 "$where"
		expect "$(jq '.summary[0].objects' "$BATS_TEST_TMPDIR/pins.json")" "$(said kept)" "blocks of $where"
		expect "$(jq -r '.places[0].kind' "$BATS_TEST_TMPDIR/pins.json")" \
			"$([ $where = main ] && echo glibc-top || echo glibc-heap)" kind
		end_workload
	done
}

@test "blocks pin the spans of other allocators" {
	# Nothing is kept for later, so that it shows at once.
	export MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0,tcache:false MIMALLOC_PAGE_RESET=1 MIMALLOC_RESET_DELAY=0 MIMALLOC_PURGE_DELAY=0
	export TCMALLOC_AGGRESSIVE_DECOMMIT=1 TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES=1
	J=$BATS_TEST_TMPDIR/pins.json
	# tcmalloc keeps some spans of each size all the same.
	for library in jemalloc.so.2:10 mimalloc.so.2:10 tcmalloc.so.4:25; do
		PYTHONMALLOC=malloc RUN="env LD_PRELOAD=$LIBDIR/lib${library%:*}" \
			start_workload /usr/bin/python3 "$BATS_TEST_DIRNAME/pins_truth.py" 4200000
		"$MW" pins --json "$PID" >"$J"
		go_and_wait
		near "$(pinned_by app.log bytes)" "$(said log)" "${library#*:}" "spans of $library"
		near "$(pinned_by app.log objects)" "$(said kept_log)" 3 "objects of $library"
		jq -e --arg kind "${library%%.*}-span" 'all(.places[]; .kind == $kind and .bytes > 0 and .bytes < 1048576)' "$J"
		end_workload
	done
}

# The row of $2 whose path or type is $1, a key of it, from $D.
row() { jq -r "[.$2[] | select((.path_text // .type) == \"$1\")][0].$3" "$D"; }

check_diff() { # WHAT
	expect "$(row Row types delta)" "$(said rows)" "objects of $1"
	expect "$(row Row types delta_bytes)" "$(said bytes)" "bytes of $1"
	expect "$(row app.rows holders before),$(row app.rows holders after)" 1000,21011 "rows of $1"
	expect "$(row app.cache holders before),$(row app.cache holders after)" 5003,1002 "texts of $1"
	expect "$(row "app.sessions['user:7'].history" holders 'before')" 100 "history of $1"
	expect "$(row "app.sessions['user:7'].history" holders 'after')" 407 "history of $1"
	# Each row has a list and a text at least, and nothing else grew by as much.
	jq -e '.held[0].path_text == "app.rows" and (.held[0].objects | .after - .before) >= 60033' "$D"
	jq -e 'all(.owners[]; .delta == .after - .before and .delta != 0)' "$D"
	jq -e '([.owners[].delta] | add) == (.resident_bytes | .after - .before)' "$D"
}

@test "what changed between two moments of a process, and between two processes" {
	D=$BATS_TEST_TMPDIR/diff.json
	count=0
	for python in $(some_interpreters); do
		# Another one of the program, with more rows, stays as it is.
		start_workload "$python" "$BATS_TEST_DIRNAME/diff_truth.py" 21011
		other=$PID
		start_workload "$python" "$BATS_TEST_DIRNAME/diff_truth.py"
		"$MW" snapshot "$PID" -q -o "$BATS_TEST_TMPDIR/before.$count"
		"$MW" diff --json "$PID" "$other" >"$BATS_TEST_TMPDIR/two.json"
		go_and_wait
		"$MW" diff --json "$BATS_TEST_TMPDIR/before.$count" "$PID" >"$D"
		check_diff "$python"
		jq -e '.same_process and .same_program' "$D"
		D=$BATS_TEST_TMPDIR/two.json
		expect "$(row app.rows holders before),$(row app.rows holders after)" 1000,21011 "two processes"
		expect "$(row Row types delta)" 20011 "two processes"
		jq -e '.same_process == false and .same_program' "$D"
		D=$BATS_TEST_TMPDIR/diff.json
		if [ "$count" = 0 ]; then
			"$MW" snapshot "$PID" -q -o "$BATS_TEST_TMPDIR/after"
			"$MW" diff --json "$BATS_TEST_TMPDIR/before.0" "$BATS_TEST_TMPDIR/after" >"$D"
			check_diff "two cores"
			"$MW" diff "$BATS_TEST_TMPDIR/before.0" "$BATS_TEST_TMPDIR/after" >"$BATS_TEST_TMPDIR/text"
			grep -E '^ +\+20.0k +1000 +21.0k  `app.rows`, list, retains \+4\.[0-9] MiB$' "$BATS_TEST_TMPDIR/text"
			[ "$(wc -l <"$BATS_TEST_TMPDIR/text")" -le 24 ]
		fi
		end_workload
		kill -KILL "$other"
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "of programs without Python owners are compared, and what can't be is an error" {
	start_workload "$WORK/pins" main
	"$MW" snapshot "$PID" -q -o "$BATS_TEST_TMPDIR/before"
	go_and_wait
	"$MW" diff --json "$BATS_TEST_TMPDIR/before" "$PID" >"$BATS_TEST_TMPDIR/diff.json"
	near "$(jq '.resident_bytes | .before - .after' "$BATS_TEST_TMPDIR/diff.json")" "$(said freed)" 5 resident
	jq -e '.types == null and .holders == null and .held == null' "$BATS_TEST_TMPDIR/diff.json"
	run "$MW" diff --json "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/none"
	[ "$status" = 1 ]
	run "$MW" diff "$PID"
	[ "$status" = 2 ]
	"$MW" diff --json "$PID" $$ | jq -e '.same_program == false'
	run "$MW" pins --json "$BATS_TEST_TMPDIR/none"
	[ "$status" = 1 ]
}

@test "objects of a version that is not known pin what they pin: blocks without a type or a holder" {
	cat >"$BATS_TEST_TMPDIR/newer.py" <<-'EOF'
	import ctypes, gc, os, sys, time
	gc.disable()
	many = [object() for i in range(300007)]
	kept = many[5::7001]
	del many
	old = sys.version[:sys.version.index("(") + 1].encode()
	new = b"3.99.1 (".ljust(len(old), b"x")[:len(old)]
	path, last = os.path.realpath(sys.executable), ""
	places = []
	for line in open("/proc/self/maps"):
	    words = line.split()
	    if words[1].startswith("rw") and path in (words[-1], last):
	        places.append([int(x, 16) for x in words[0].split("-")])
	    last = words[-1] if len(words) > 5 else last
	os.write(1, b"ready %d\n" % os.getpid())
	sys.stdin.readline()
	for start, end in places:
	    at = ctypes.string_at(start, end - start).find(old)
	    while at >= 0:
	        ctypes.memmove(start + at, new, len(new))
	        at = ctypes.string_at(start, end - start).find(old)
	os.write(1, b"done\n")
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/newer.py"
	arenas='[.places[] | select(.kind == "pymalloc-arena" and .bytes > 262144)] | [length, (map(.by_count) | add), (map(.bytes) | add)] | join(" ")'
	"$MW" pins --json "$PID" >"$BATS_TEST_TMPDIR/known"
	jq -e '[.summary[] | select(.objects >= 35 and all(.holders[]; .type == "object"))] | length == 1' "$BATS_TEST_TMPDIR/known" >/dev/null
	go_and_wait
	"$MW" pins --json "$PID" >"$BATS_TEST_TMPDIR/unknown"
	read -r known pins bytes <<<"$(jq -r "$arenas" "$BATS_TEST_TMPDIR/known")"
	[ "$known" -ge 4 ]
	[ "$pins" -ge 30 ]
	read -r arenas_now pins_now bytes_now <<<"$(jq -r "$arenas" "$BATS_TEST_TMPDIR/unknown")"
	expect "$arenas_now" "$known" "arenas"
	near "$pins_now" "$pins" 10 "blocks"
	near "$bytes_now" "$bytes" 5 "bytes"
	jq -e '[.places[] | select(.kind == "pymalloc-arena") | .by[] | .type == "memory" and .path_text == null] | all' "$BATS_TEST_TMPDIR/unknown" >/dev/null
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who keeps what: refs, retained and leaks against what the process itself knows (graph_truth.py).

load lib

setup() { setup_common; }
teardown() { teardown_common; }

TRUTH=$BATS_TEST_DIRNAME/graph_truth.py
CHECK=$BATS_TEST_DIRNAME/check_graph.py

# Start the process that knows, by the given command line; $F is its folder.
start_truth() {
	F=$(mktemp -d "$BATS_TEST_TMPDIR/truth.XXXXXX")
	start_workload "$@" "$TRUTH" "$F"
}

end_truth() {
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
	exec 7>&-
}

addresses() {
	sed 's/^\([0-9a-f]*\) .*/0x\1/' "$F/ways"
	jq -r '.[][0]' "$F/referents.json" "$F/referrers.json" | sort -u
}

check_truth() { # TARGET
	# shellcheck disable=SC2046 # a list of words
	"$MW" refs --json "$1" $(addresses) >"$F/refs.jsonl"
	"$MW" leaks --json "$1" >"$F/leaks.json"
	[ "$1" != "$PID" ] || go_and_wait
	said collected >"$F/garbage"
	python3 "$CHECK" "$F"
}

# What app.rows retains, one of the two that retain most.
rows() { "$MW" retained --json --top 2 "$PID" | jq -r ".top[] | select(.path_text == \"app.rows\" and .length == 20000) | .$1"; }

near() { # GOT WANT PERCENT WHAT
	awk -v got="$1" -v want="$2" -v percent="$3" 'BEGIN { d = got - want; exit !(want > 0 && (d < 0 ? -d : d) * 100 <= want * percent) }' ||
		{ echo "$4: got $1, expected $2" >&2; return 1; }
}

@test "ways, referents, cycles and leaked blocks in every interpreter at hand" {
	count=0
	for python in $(interpreters); do
		start_truth "$python"
		check_truth "$PID" || { echo "with $python" >&2; return 1; }
		end_truth
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "what an object retains is what goes with it" {
	for python in $(interpreters3); do
		# Each object is a block, and the list has one for its items.
		start_truth "$python"
		objects=$(rows retained_count)
		go_and_wait
		near "$objects" "$(said freed)" 1 "blocks of $python"
		end_truth
		# All of them are the C library's.
		PYTHONMALLOC=malloc start_truth "$python"
		bytes=$(rows retained_bytes)
		go_and_wait
		near "$bytes" "$(said freed_bytes)" 1 "bytes of $python"
		end_truth
	done
}

@test "a core says the same as the process, and what is asked for is shown" {
	start_truth /usr/bin/python3
	"$MW" snapshot "$PID" -q -o "$BATS_TEST_TMPDIR/core" >/dev/null
	go_and_wait
	end_truth
	check_truth "$BATS_TEST_TMPDIR/core"
	core=$BATS_TEST_TMPDIR/core
	address=0x$(sed -n 's/^\([0-9a-f]*\) app.cache$/\1/p' "$F/ways")
	"$MW" retained "$core" | grep -E '^ +`app.rows`, list of 20.0k, retains [0-9.]+ MiB, [0-9]+ %$'
	"$MW" refs "$core" "$address" | grep -E '^ +way +app.cache$'
	[ "$("$MW" retained --json "$core" --top 3 | jq '.top | length')" = 3 ]
	[ "$("$MW" retained --json "$core" --min 1M | jq '[.top[] | select(.retained_bytes < 1048576)] | length')" = 0 ]
	"$MW" retained --json "$core" --root app.cache | jq -e '.top | length > 0 and all(.path_text | startswith("app.cache"))'
	"$MW" retained --json "$core" "$address" | jq -e '.path_text == "app.cache" and .retained_count > 4 and (.top | length) >= 2'
	# The chain of a hundred thousand is one entry, at its beginning.
	"$MW" retained --json "$core" | jq -e '[.top[] | select(.path_text | startswith("app.chain"))] | length == 1 and .[0].path_text == "app.chain"'
	"$MW" retained --json "$core" | jq -e '[.top[] | select(.type == "module")] == []'
}

# What COMMAND prints with one processor; an error when it prints other bytes with all of them.
on_any() { # COMMAND...
	taskset -c "$(taskset -cp $$ | sed 's/.*[ ,-]//')" "$MW" "$@" >"$BATS_TEST_TMPDIR/one"
	"$MW" "$@" >"$BATS_TEST_TMPDIR/all"
	cmp "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/all" || { echo "$*: not what one processor says" >&2; return 1; }
	cat "$BATS_TEST_TMPDIR/one"
}

@test "a heap that threads divide: the same to the byte with one processor and with more, and as the program says" {
	start_python /usr/bin/python3 "$BATS_TEST_DIRNAME/workloads/many_parts.py"
	wait_until 10 grep -q '^lists' "$BATS_TEST_TMPDIR/said"
	core=$BATS_TEST_TMPDIR/core
	"$MW" snapshot "$PID" -q -o "$core" >/dev/null
	on_any census --json "$core" >"$BATS_TEST_TMPDIR/census"
	for kind in Early Second Third Late; do
		expect "$(jq ".types[] | select(.type == \"$kind\") | .count" "$BATS_TEST_TMPDIR/census")" "$(said $kind)" "$kind"
	done
	[ "$(jq '.types[] | select(.type == "list") | .count' "$BATS_TEST_TMPDIR/census")" -ge "$(said lists)" ]
	# What lists own lies in other parts than they do, and is no object of its own.
	on_any objects --json --all "$core" Third >"$BATS_TEST_TMPDIR/third"
	[ "$(grep -o '"object"' "$BATS_TEST_TMPDIR/third" | wc -l)" = "$(said Third)" ]
	on_any ledger --json "$core" >"$BATS_TEST_TMPDIR/ledger"
	jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' "$BATS_TEST_TMPDIR/ledger"
	[ "$(jq '.entries[] | select(.owner == "python/live/__main__.Late") | .count' "$BATS_TEST_TMPDIR/ledger")" = "$(said Late)" ]
	[ "$(jq '.entries[] | select(.owner == "python/buffer/list") | .count' "$BATS_TEST_TMPDIR/ledger")" -ge "$(said lists)" ]
	on_any retained --json "$core" | jq -e '.objects > 500000'
	on_any leaks --json "$core" >/dev/null
	on_any refs --json "$core" "$(grep -o '0x[0-9a-f]*' "$BATS_TEST_TMPDIR/third" | head -n 1)" | jq -r .path_text | grep -E "kept\[|early_lists"
}

@test "a planted leak is what \`retained\` says first, in fifteen cores" {
	python3 "$BATS_TEST_DIRNAME/planted_leaks.py" "$MW" "$BATS_TEST_TMPDIR"
}

@test "types and objects that lie about themselves, a million links, and circles of any shape" {
	python3 "$BATS_TEST_DIRNAME/tampered.py" "$MW" "$BATS_TEST_TMPDIR"
}

@test "in a core that was cut short what is left of the ways is told" {
	start_python /usr/bin/python3 -c 'import time
kept = [{"number": i, "text": "row %d" % i} for i in range(4001)]
print("ready", flush=True)
time.sleep(600)'
	core=$BATS_TEST_TMPDIR/core
	"$MW" snapshot "$PID" -q -o "$core" >/dev/null
	missing=0 answers=0
	for percent in 95 85 75 60; do
		head -c $(($(stat -c %s "$core") * percent / 100)) "$core" >"$core.cut"
		# Nothing of Python may be left.
		if ! "$MW" retained --json "$core.cut" >"$BATS_TEST_TMPDIR/cut"; then
			jq -e '.error.code == "truncated"' "$BATS_TEST_TMPDIR/cut"
			continue
		fi
		# Whatever is left is reached in some way.
		jq -e '.reachable_objects > .objects * 0.95' "$BATS_TEST_TMPDIR/cut" >/dev/null
		answers=$((answers + 1))
		missing=$((missing + $(jq '[.top[].path_text | select(startswith("through a part that is missing: "))] | length' "$BATS_TEST_TMPDIR/cut")))
	done
	[ "$answers" -ge 1 ]
	[ "$missing" -gt 2 ]
}

@test "an address that is nothing's is an error" {
	start_python /usr/bin/python3 -c 'import time; print("ready", flush=True); time.sleep(600)'
	run "$MW" refs --json "$PID" 0x1000
	[ "$status" = 1 ]
	[ "$(jq -r .error.code <<<"$output")" = no-block ]
	run "$MW" retained --json "$PID" 0x1000
	[ "$status" = 1 ]
	run "$MW" refs "$PID"
	[ "$status" = 2 ]
	# Neither Python nor a heap.
	gcc -static -nostdlib -Wl,--no-gc-sections -o "$BATS_TEST_TMPDIR/bare" "$BATS_TEST_DIRNAME/workloads/bare.S"
	start_python "$BATS_TEST_TMPDIR/bare"
	run "$MW" leaks --json "$PID"
	[ "$status" = 1 ]
}

# How many leaked blocks there are of SMALL, LARGE and HUGE bytes (workloads/lost.c).
lost_of() { # TARGET [OPTIONS]
	"$MW" leaks --json "$@" | jq -r '.blocks.sizes as $s | [2048, 65536, 1048576] | map(. as $low | [$s[] | select(.low == $low) | .count][0]) | "\(.[0]) \(.[1]) \(.[2])"'
}

@test "blocks of C that nothing reaches, and none that anything holds, under each allocator" {
	core=$BATS_TEST_TMPDIR/lost
	for library in "" libjemalloc.so.2 libtcmalloc.so.4 libmimalloc.so.2; do
		RUN="env LD_PRELOAD=${library:+$LIBDIR/$library}" start_workload "$WORK/lost"
		wait_until 30 grep -q '^0 ' "/proc/$PID/syscall"
		want="$(said lost_small) $(said lost_large) $(said lost_huge)"
		expect "$(lost_of "$PID" --stop)" "$want" "$library stopped"
		gcore -o "$core" "$PID" >/dev/null 2>&1
		expect "$(lost_of "$core.$PID")" "$want" "core of $library"
		[ -n "$library" ] || mv "$core.$PID" "$core"
		rm -f "$core.$PID"
		end_truth
	done
	# Where they are, and what keeps the others.
	"$MW" retained "$core" | grep -E '`static variable in_bss\+616 in lost`, memory, retains 68.4 KiB'
	"$MW" retained --json "$core" --root "register of thread" | jq -e '.top[0].retained_bytes == 70016'
	"$MW" refs --json "$core" "$("$MW" leaks --json "$core" | jq -r '.blocks.sample[0].address')" | jq -e '.path_text == null and .referrers == []'
	in_data=$("$MW" retained --json "$core" | jq -r '[.top[] | select(.path_text == "static variable in_data+16 in lost")][0].address')
	"$MW" refs --json "$core" "$in_data" | jq -e '.retained_count == 7 and .referents[0].via == "word at 1016, maybe"'
}

@test "what lives only through log records, finished tasks, tracebacks and frames goes with them" {
	for python in $(interpreters3 | grep -E '^/usr/bin/|/versions/3\.(6|9|13)\.'); do
		PYTHONMALLOC=malloc start_workload "$python" "$BATS_TEST_DIRNAME/through_truth.py"
		"$MW" leaks --stop --json "$PID" | jq .through >"$BATS_TEST_TMPDIR/through.json"
		go_and_wait
		for each in records:app.handler.buffer tasks:app.tasks tracebacks:app.errors; do
			kind=${each%%:*}
			near "$(jq ".$kind.bytes" "$BATS_TEST_TMPDIR/through.json")" "$(said "$kind")" 3 "$kind of $python"
			jq -e --arg path "${each#*:}" ".$kind.holders[0].path_text == \$path" "$BATS_TEST_TMPDIR/through.json"
		done
		near "$(jq '[.frames.holders[] | select(.path_text | startswith("serve()")) | .bytes] | add' "$BATS_TEST_TMPDIR/through.json")" "$(said frames)" 3 "frames of $python"
		end_truth
	done
}

@test "objects of C++ by class, and what goes with them, in a stripped program" {
	g++ -O2 -s -std=c++17 -o "$BATS_TEST_TMPDIR/classes" "$BATS_TEST_DIRNAME/workloads/classes.cc"
	start_workload "$BATS_TEST_TMPDIR/classes"
	"$MW" retained --stop --json "$PID" >"$BATS_TEST_TMPDIR/retained.json"
	go_and_wait
	for each in orders:shop::Order'<int>':4001 customers:shop::Customer:307; do
		class=${each#*:} class=${class%:*}
		row=$(jq -c --arg class "$class" '.types[] | select(.type == $class)' "$BATS_TEST_TMPDIR/retained.json")
		expect "$(jq .count <<<"$row")" "${each##*:}" "$class"
		# A map's nodes and a vector's array aren't its elements'.
		near "$(jq .retained_bytes <<<"$row")" "$(said "${each%%:*}")" 10 "$class"
	done
	# The map is in a static variable, whose name is lost.
	[[ $(jq -r '.top[0].path_text' "$BATS_TEST_TMPDIR/retained.json") == "static variable in classes"* ]]
}

@test "an array of numpy refers to its objects" {
	cat >"$BATS_TEST_TMPDIR/arrays.py" <<-'EOF'
		import numpy, os, sys, types
		app = types.ModuleType("app")
		sys.modules["app"] = app
		words = [["word %d" % (i * 7 + k) for k in range(7)] for i in range(3001)]
		app.words = numpy.array(words, dtype=object)
		app.view = app.words[::2]
		del words
		print("word", hex(id(app.words[1501][3])))
		print("ready", os.getpid(), flush=True)
		sys.stdin.readline()
		before = sys.getallocatedblocks()
		del app.view, app.words
		print("freed", before - sys.getallocatedblocks())
		print("done", flush=True)
		sys.stdin.readline()
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/arrays.py"
	"$MW" refs --json "$PID" "$(said word)" | jq -e '.path_text == "app.words[10510]" or (.path_text | startswith("app.view"))'
	count=$("$MW" retained --json "$PID" --root app.words | jq '.top[0].retained_count')
	go_and_wait
	near "$count" "$(said freed)" 1 objects
}

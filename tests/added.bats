#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A leak of small objects beside churn of the same types at a hundred times the rate: type, holder and line, under the
# default budget. The truth is the program's text.

load lib

setup_file() {
	local python n=0
	export DIR=$BATS_FILE_TMPDIR
	cat >"$DIR/leaks.py" <<-'END'
		import sys, time
		SEEN, QUEUE, NAMES, IDS, PAGES, HEAD = [], [], {}, set(), {}, None
		def remember(i):
		    SEEN.append((i, "visitor %d" % i, {"page": i}))
		def put(i):
		    QUEUE.append([i])
		    QUEUE.append(str(i))
		def take():
		    QUEUE.pop()
		def name(i):
		    NAMES[i] = "n%d" % i
		def number(i):
		    IDS.add("id %d" % i)
		def page(i, pages=PAGES):
		    pages["p%d" % i] = [i]
		class Node(object):
		    def __init__(self, last):
		        self.last = last
		def link():
		    global HEAD
		    HEAD = Node(HEAD)
		def churn(i):
		    return [(j, "visitor %d" % j, {"page": j}) for j in range(i, i + 100)]
		sys.stdout.write("ready\n")
		sys.stdout.flush()
		i = 1000
		while True:
		    for _ in range(4):
		        i += 1
		        remember(i), put(i), take(), name(i), number(i), page(i), link(), Node(None), churn(i)
		    time.sleep(0.01)
	END
	: >"$DIR/pids"
	for python in $(some_interpreters); do
		"$python" "$DIR/leaks.py" </dev/null >"$DIR/said.$n" 2>&1 3>&- &
		echo "$! $python" >>"$DIR/pids"
		wait_until 60 grep -q '^ready' "$DIR/said.$n"
		n=$((n + 1))
	done
	[ "$n" -ge 1 ]
	# shellcheck disable=SC2046 # a list of PIDs
	"$MW" stat --json -i 1 $(awk '{print $1}' "$DIR/pids") -o "$DIR/out" 2>"$DIR/watch.err" 3>&- &
	echo $! >"$DIR/watch"
	wait_until 120 all_named || cat "$DIR/watch.err" >&2
	kill -INT "$(cat "$DIR/watch")"
	wait "$(cat "$DIR/watch")" || true
}

teardown_file() {
	# shellcheck disable=SC2046 # a list of PIDs
	kill -KILL $(awk '{print $1}' "$DIR/pids") 2>/dev/null || true
}

# The oldest, the newest, and Debian's.
some_interpreters() {
	local all
	all=$(interpreters | grep -v '^/usr/bin/python3' | sort -V)
	{
		echo "$all" | head -n 1
		echo "$all" | sed -n '$p'
		interpreters | grep -x /usr/bin/python3
	} | sed '/^$/d' | sort -u
}

latest() { tail -n "$(wc -l <"$DIR/pids")" "$DIR/out"; }
all_named() {
	latest | jq -e -s 'length > 0 and all(.[]; .growth.holders != null and all(.growth.holders[]; .path and .element or .path == "leaks.QUEUE")
		and any(.growth.holders[]; .type == "chain")
		and ([.growth.holders[] | select((.lines | map(.added) | add // 0) >= if .path == "leaks.QUEUE" then 28 else 2 end)] | length >= 5))'
}

each_program() { # JQ
	local pid name failed=0
	while read -r pid name; do
		latest | jq -e -s "map(select(.pid == $pid))[0].growth | $1" >/dev/null && continue
		echo "$name: $(latest | jq -c "select(.pid == $pid) | .growth")" >&2
		failed=1
	done <"$DIR/pids"
	[ "$failed" = 0 ]
}

@test "a leak of small objects is named by type, holder and line, whatever churns beside it" {
	each_program '[.types[] | select(.count > 0) | .type] | contains(["tuple", "dict"])'
	each_program '.holders[] | select(.path == "leaks.SEEN") | .lines | length == 1 and (.[0].label | startswith("leaks.py:4 remember <- leaks.py:"))'
	each_program '.holders[] | select(.path == "leaks.SEEN") | .lines[0] | .removed == 0 and .added == .samples'
}

@test "each of several containers gets its line, though a processor watches few at a time" {
	each_program '[.holders[] | {(.path): (.lines | map(.label | split(" ")[:2] | join(" ")) | unique)}] | add |
		.["leaks.NAMES"] == ["leaks.py:11 name"] and .["leaks.IDS"] == ["leaks.py:13 number"] and .["leaks.PAGES"] == ["leaks.py:15 page"]'
	each_program '[.holders[] | {(.path): .element}] | add | .["leaks.SEEN"] == "tuple" and .["leaks.NAMES"] == "str" and .["leaks.PAGES"] == "list"'
}

@test "instances that refer to one another are held by the first of them" {
	each_program '[.holders[] | select(.type == "chain")] | length == 1 and .[0].path == "leaks.HEAD" and .[0].element == "Node"'
}

@test "lines that take something out are told apart from those that add" {
	each_program '.holders[] | select(.path == "leaks.QUEUE") | .lines | map({(.label | split(" ")[0]): .}) | add |
		.["leaks.py:6"].added > 0 and .["leaks.py:6"].removed == 0 and .["leaks.py:7"].added > 0 and
		.["leaks.py:9"].added == 0 and .["leaks.py:9"].removed > 0'
	# As often as the program does either: twice and once a round, less a hit at each begin of a round of the watch.
	each_program '.holders[] | select(.path == "leaks.QUEUE") | .lines | (map(.added) | add) as $in | (map(.removed) | add) as $out |
		$in > 1.5 * $out and $in < 2.7 * $out'
}

@test "nobody else is accused" {
	each_program 'all(.holders[]; .path | IN("leaks.SEEN", "leaks.QUEUE", "leaks.NAMES", "leaks.IDS", "leaks.PAGES", "leaks.HEAD"))'
	latest | jq -e -s 'all(.[]; [.sites.suspects[]? | select(.label | test("churn"))] | length == 0)'
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What grows in Python's memory, from looks alone: by type, by owner, and which container holds it. The truth is the
# rates at which the programs themselves add to their containers.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	local p how name n=0
	export DIR=$BATS_FILE_TMPDIR
	: >"$DIR/pids"
	# Every interpreter, every allocator, one below a parent, one after an exec: all at once, watched by one program.
	while read -r name how p; do
		env PYTHONDONTWRITEBYTECODE=1 ${how:+$(allocator_of "$how")} "$p" "$BATS_TEST_DIRNAME/workloads/grows.py" "$(way_of "$how")" \
			</dev/null >"$DIR/said.$name" 2>&1 3>&- &
		echo "$name $!" >>"$DIR/pids"
		n=$((n + 1))
	done < <(programs)
	[ "$n" -ge 6 ]
	while read -r name _; do
		wait_until 60 grep -q '^ready' "$DIR/said.$name"
	done <"$DIR/pids"
	# shellcheck disable=SC2046 # a list of PIDs
	"$MW" stat --mode growth --follow --json -v -i 3 $(awk '{print $2}' "$DIR/pids") -o "$DIR/out" 2>"$DIR/watch.err" 3>&- &
	echo $! >"$DIR/watch"
	wait_until 60 all_looked || cat "$DIR/watch.err" >&2
	kill -INT "$(cat "$DIR/watch")"
	wait "$(cat "$DIR/watch")" || true
}

teardown_file() {
	local name pid
	while read -r name pid; do
		# shellcheck disable=SC2046 # a list of PIDs
		kill -KILL "$pid" $(sed -n 's/^ready //p' "$DIR/said.$name") 2>/dev/null || true
	done <"$DIR/pids"
}

# NAME HOW INTERPRETER; HOW is an allocator, a way or "-".
programs() {
	local p
	for p in $(interpreters); do
		echo "$(echo "$p" | tr / _) - $p"
	done
	echo "malloc malloc /usr/bin/python3"
	echo "debug pymalloc_debug /usr/bin/python3"
	echo "fork fork /usr/bin/python3"
	echo "exec exec /usr/bin/python3"
}
allocator_of() { case $1 in malloc | pymalloc_debug) echo "PYTHONMALLOC=$1" ;; esac; }
way_of() { case $1 in fork | exec) echo "$1" ;; esac; }

# The last report on the target with PID.
growth_of() { tail -n "$(wc -l <"$DIR/pids")" "$DIR/out" | jq -c "select(.pid == $1) | .growth"; }

# Two looks at each. A holder to which no module and no frame was found to lead, as its references changed, is traced back again.
all_looked() {
	tail -n "$(wc -l <"$DIR/pids")" "$DIR/out" |
		jq -e -s 'length > 5 and all(.growth.looks != null and .growth.looks >= 2 and all(.growth.holders[]; .path and (.path | test("static|stack") | not)))'
}

rate_of() { sed -n "s/^rates .*\b$2=\([0-9]*\).*/\1/p" "$DIR/said.$1"; } # NAME WHAT

# GOT is WANT a second, within a tenth, and the part of the time between the looks that these took (what is read at its end
# is younger) or that the program was late by.
near() { # NAME GROWTH GOT WANT WHAT
	local pid took late
	pid=$(awk -v name="$1" '$1 == name {print $2}' "$DIR/pids")
	[ "$1" != fork ] || pid=$(sed -n 's/^ready //p' "$DIR/said.$1")
	took=$(sed -n "s/^PID $pid: look .* took .*, \([0-9]*\) ms$/\1/p" "$DIR/watch.err" | awk '{sum += $1} END {print sum / 1000}')
	late=$(sed -n 's/^late //p' "$DIR/said.$1" | tail -n 1)
	awk -v got="$3" -v want="$4" -v part="$(jq -r "($took + ${late:-0}) / .seconds" <<<"$2")" \
		'BEGIN {exit !(got > (0.9 - part) * want && got < (1.1 + part) * want && got > want / 4)}' && return
	echo "$5: got $3/s, expected $4/s; looks took $took s; late by ${late:-0} s" >&2
	return 1
}

each_program() { # COMMAND
	local name pid failed=0
	while read -r name pid; do
		"$1" "$name" "$(growth_of "$pid")" || { echo "in $name: $(growth_of "$pid")" >&2; failed=1; }
	done <"$DIR/pids"
	return $failed
}

check_holders() { # NAME GROWTH
	local what type path
	while read -r what type path; do
		near "$1" "$2" "$(jq -r "first(.holders[] | select(.path == \"$path\" and (.type | test(\"$type\"))) | .length_per_second) // 0" <<<"$2")" \
			"$(rate_of "$1" "$what")" "$path ($type)" || return 1
	done <<-END
		LIST ^list$ grows.LIST
		DICT ^dict$ grows.DICT
		SET ^set$ grows.SET
		DEQUE deque$ grows.DEQUE
		ORDERED OrderedDict$ grows.ORDERED
		ITEMS ^list$ grows.Cache.ITEMS
	END
}
@test "containers that grow are named with their rate, on every interpreter and allocator" {
	each_program check_holders
}

check_locals() { # NAME GROWTH
	local what path
	while read -r what path; do
		near "$1" "$2" "$(jq -r "first(.holders[] | select(.path // \"\" | test(\"$path\")) | .length_per_second) // 0" <<<"$2")" \
			"$(rate_of "$1" "$what")" "$what" || return 1
	done <<-END
		seen ^grows.ADD.
		local ^grow.* local$
	END
}
@test "closures and a frame's variables are holders, too" {
	each_program check_locals
}

check_types() { # NAME GROWTH
	near "$1" "$2" "$(jq -r '[.types[] | select(.type == "Node" and .module == "__main__") | .count_per_second] | add // 0' <<<"$2")" \
		"$(rate_of "$1" Node)" Node || return 1
	# More than the instances' and less than a hundred times of what is held.
	jq -e '[.owners[] | select(.owner | startswith("python/live")) | .bytes_per_second][0] | . > 30000 and . < 3000000' <<<"$2" >/dev/null
}
@test "types grow as the program says, and so does Python's live memory" {
	each_program check_types
}

check_healthy() { # NAME GROWTH
	jq -e '[.holders[] | select(.path // "" | test("BOUNDED|EVICTED|CLEARED")) | select(.verdict == "suspect")] == []' <<<"$2" >/dev/null
}
@test "what is bounded, evicted or cleared is no suspect" {
	each_program check_healthy
}

@test "with --follow a child's holders say whose they are" {
	local child
	child=$(sed -n 's/^ready //p' "$DIR/said.fork")
	[ "$(awk '$1 == "fork" {print $2}' "$DIR/pids")" -ne "$child" ]
	growth_of "$(awk '$1 == "fork" {print $2}' "$DIR/pids")" | jq -e "[.holders[] | select(.path == \"grows.LIST\") | .pid] == [$child]"
}

@test "looks take less than a 20th of a processor" {
	# So say their own costs, from the first one to the last report.
	local ms span
	ms=$(sed -n 's/.*look [0-9]* took \([0-9]*\) ms of CPU.*/\1/p' "$DIR/watch.err" | awk '{sum += $1} END {print sum + 0}')
	span=$(jq -s '.[-1].total.interval' "$DIR/out")
	echo "$ms ms in $span s"
	# The first two looks at each come when they are due, whatever they cost.
	awk -v ms="$ms" -v span="$span" 'BEGIN {exit !(ms > 0 && ms < 2000 * 14 + 50 * span)}'
}

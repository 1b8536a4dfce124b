#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What looks at a large heap say of each block: the truth is the program's own count.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	"$WORK/fates" "$DIR/truth" 1024 >"$DIR/said" 3>&- &
	echo $! >"$DIR/pid"
	wait_until 60 grep -q '^ready' "$DIR/said"
	truth >"$DIR/before"
	date +%s.%N >"$DIR/times"
	"$MW" stat --json -i 1 "$(cat "$DIR/pid")" -o "$DIR/out" 2>"$DIR/watch.err" 3>&- &
	echo $! >"$DIR/watch"
	# Two rounds, so that blocks were looked at that had been kept for some time.
	wait_until 60 enough || cat "$DIR/watch.err" >&2
	kill -STOP "$(cat "$DIR/pid")"
	truth >"$DIR/after"
	date +%s.%N >>"$DIR/times"
	sleep 1.5
	kill -INT "$(cat "$DIR/watch")"
	wait "$(cat "$DIR/watch")" || true
}

teardown_file() {
	kill -KILL "$(cat "$DIR/pid")" "$(cat "$DIR/watch")" 2>/dev/null || true
}

truth() { od -An -t u8 -w24 -N 24 "$DIR/truth"; } # KEPT DROPPED FREED

last_of() { tail -n 1 "$DIR/out" | jq -c "$1"; }
enough() {
	last_of '.governor.enough and .governor.looks.count >= 3 and .governor.looks.whole_seconds != null and .total.interval > 14 and
		([.total.sites.top[] | select(.frames[0].function == "keep_it") | .kept.bytes] | add // 0) > 0' | grep -q true
}

# Bytes that it asked for since the watch began: COLUMN of the truth.
truly() { cat "$DIR/before" "$DIR/after" | awk -v c="$1" '{v[NR] = $c} END {print v[2] - v[1]}'; }

# WHAT of the sites in FUNCTION: bytes and error.
site() { last_of "[.total.sites.top[] | select(.frames[0].function == \"$1\") | .$2] | [(map(.bytes) | add // 0), (map(.error_bytes) | add // 0)] | join(\" \")" | tr -d '"'; }

# The part of the time between both truths before the watch began: a busy machine takes a second to put probes in.
unwatched() {
	last_of '.time - .total.interval' | cat "$DIR/times" - | awk '{t[NR] = $1} END {print (t[3] - t[1]) / (t[2] - t[1])}'
}

# The number is between LOW and HIGH, but for three errors, and what happened while the probes went in and out.
check_between() { # WHAT "BYTES ERROR" LOW HIGH
	local before
	before=$(unwatched)
	echo "$1: $2, truly $3 to $4, of which $before were not watched"
	awk -v s="$2" -v low="$3" -v high="$4" -v before="$before" \
		'BEGIN {split(s, v); e = 3 * v[2]; exit !(v[1] >= low * (0.99 - before) - e && v[1] <= high * 1.03 + e)}'
}

@test "what is kept was never freed" {
	expect "$(site keep_it freed | cut -d' ' -f1)" 0 "bytes called freed"
	check_between "kept" "$(site keep_it kept)" 0 "$(truly 1)"
	check_between "allocated" "$(site keep_it allocated)" "$(truly 1)" "$(truly 1)"
}

@test "freed is no more than was freed, and the three sum to what was allocated" {
	check_between "allocated" "$(site drop_it allocated)" "$(truly 2)" "$(truly 2)"
	check_between "freed" "$(site drop_it freed)" 0 "$(truly 3)"
	last_of '[.total.sites.top[] | select(.frames[0].function == "drop_it") | (.kept.calls + .freed.calls + .unknown.calls - .allocated.calls) | fabs] | max < 2' | grep -q true
}

@test "a look at a gigabyte takes less than half a second of CPU" {
	last_of .governor.looks
	last_of '.governor.looks | .cpu_seconds / .count < 0.5 and .note == null and .whole_seconds < 60' | grep -q true
}

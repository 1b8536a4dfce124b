# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Common ground of the bats files: a workload that obeys, a watch over it, and JSON questions.

BUILD=${BUILD:-${BASH_SOURCE[0]%/*}/../build}
MW=$BUILD/memwhere
WORK=${WORK:-$BUILD/tests/workloads}
# shellcheck disable=SC2034 # for the files of tests
LIBDIR=/usr/lib/x86_64-linux-gnu # where Debian has libraries

# What a program says comes a line at a time, whole: not half a line, nor two processes' mixed.
unset PYTHONUNBUFFERED

# Poll a condition (a command line) for at most SECONDS; fails loudly.
wait_until() {
	local seconds=$1 i
	shift
	for ((i = 0; i < seconds * 20; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	echo "not within $seconds s: $*" >&2
	return 1
}

# It runs FILE: between fork and exec a child is still its parent's program.
runs() { [ "/proc/$1/exe" -ef "$2" ]; } # PID FILE

# It waits in a system call for time to pass or for something to come: what it said of itself stays true.
# select, pause, nanosleep, pselect6, clock_nanosleep; poll, epoll_wait, ppoll, epoll_pwait.
sleeps() { grep -qE '^(23|34|35|270|230|7|232|271|281) ' "/proc/$1/syscall"; } # PID
wait_asleep() { wait_until 30 sleeps "$1"; }

# The same, but not on when process PID is gone.
wait_while() { # PID SECONDS COMMAND...
	local pid=$1 seconds=$2 i
	shift 2
	for ((i = 0; i < seconds * 20; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	# It may have been its last act.
	"$@" >/dev/null 2>&1 && return 0
	echo "not within $seconds s, or the process is gone: $*" >&2
	return 1
}

# Start a workload that speaks the protocol of counts.c; sets PID. $RUN may hold a wrapper.
start_workload() {
	rm -f "$BATS_TEST_TMPDIR/in"
	mkfifo "$BATS_TEST_TMPDIR/in"
	: >"$BATS_TEST_TMPDIR/said"
	# shellcheck disable=SC2086 # RUN is a list of words
	${RUN:-} "$@" <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/said" 2>"$BATS_TEST_TMPDIR/workload.err" 3>&- &
	PID=$!
	STARTED+=("$PID")
	exec 7>"$BATS_TEST_TMPDIR/in"
	wait_until 60 grep -q '^ready' "$BATS_TEST_TMPDIR/said"
	PID=$(said ready)
}

# Start a program that prints "ready" and goes on by itself; sets PID.
start_python() { # PYTHON SCRIPT [ARGUMENTS]
	: >"$BATS_TEST_TMPDIR/said"
	"$@" </dev/null >"$BATS_TEST_TMPDIR/said" 3>&- &
	PID=$!
	STARTED+=("$PID")
	wait_until 60 grep -q '^ready' "$BATS_TEST_TMPDIR/said"
}

# What the workload said of NAME.
said() { sed -n "s/^$1 //p" "$BATS_TEST_TMPDIR/said" | tail -n 1; }

go() { echo go >&7; }
go_and_wait() {
	local before
	before=$(grep -c "^${1:-done}" "$BATS_TEST_TMPDIR/said") || true
	go
	wait_until 60 said_more "${1:-done}" "$before"
}
said_more() { [ "$(grep -c "^$1" "$BATS_TEST_TMPDIR/said")" -gt "$2" ]; }

# Watch PID; returns when probes are in and the first report is written.
start_watch() {
	: >"$BATS_TEST_TMPDIR/out"
	"$MW" stat --json --mode exact -i 0.2 "$@" -o "$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/watch.err" 7>&- 3>&- &
	WATCH=$!
	STARTED+=("$WATCH")
	wait_for_report "$WATCH" || { cat "$BATS_TEST_TMPDIR/watch.err" >&2; return 1; }
}
wait_for_report() { # PID [FILE]: of a watch
	wait_while "$1" 60 test -s "${2:-$BATS_TEST_TMPDIR/out}"
}

stop_watch() {
	kill -INT "$WATCH"
	wait "$WATCH"
}

# A jq expression on the last report.
last() { tail -n 1 "$BATS_TEST_TMPDIR/out" | jq -r "$1"; }

expect() { # GOT WANT WHAT
	[ "$1" = "$2" ] && return
	[ ! -s "$BATS_TEST_TMPDIR/out" ] || tail -n 1 "$BATS_TEST_TMPDIR/out" >&2
	echo "$3: got $1, expected $2" >&2
	return 1
}

# Nothing may have been lost.
expect_no_loss() { expect "$(last '[.total.lost[]] | add')" 0 lost; }

# Count and bytes of the class that holds SIZE.
class_count() { last "[.total.sizes[] | select(.low <= $1 and $1 <= .high) | .count] | add // 0"; }

# Blocks of those whose addresses are in FILE that the core holds, by its program headers.
held_blocks() { # CORE FILE
	python3 - "$@" <<-'EOF'
	import bisect, os, struct, sys
	core = open(sys.argv[1], "rb")
	size = os.path.getsize(sys.argv[1])
	head = core.read(64)
	table, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
	core.seek(table)
	parts = [struct.unpack_from("<IIQQQQQQ", core.read(56)) for _ in range(count)]
	held = sorted((p[3], p[3] + min(p[5], size - p[2])) for p in parts if p[0] == 1 and p[2] < size)
	def is_held(addr):
	    i = bisect.bisect(held, (addr - 16, 1 << 63)) - 1
	    return i >= 0 and addr <= held[i][1]
	print(sum(is_held(int(addr, 16)) for addr in open(sys.argv[2])))
	EOF
}

# The Python interpreters at hand, of any version and of version 3.
interpreters() {
	local p
	for p in /usr/bin/python2.7 /usr/bin/python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python; do
		[ -x "$p" ] && echo "$p"
	done
	return 0
}
interpreters3() {
	local p
	for p in $(interpreters); do
		"$p" -c 'import sys; sys.exit(sys.version_info < (3, 6))' && echo "$p"
	done
	return 0
}

# Set a kernel parameter for this test. Others that want to wait until it has ended.
set_kernel() { # FILE VALUE
	[ -e "$BATS_TEST_TMPDIR/kernel" ] || { exec 8>"${TMPDIR:-/tmp}/memwhere-kernel-settings.lock" && flock 8; }
	[ -e "$BATS_TEST_TMPDIR/kernel.${1##*/}" ] || cat "$1" >"$BATS_TEST_TMPDIR/kernel.${1##*/}"
	echo "$1" >>"$BATS_TEST_TMPDIR/kernel"
	echo "$2" >"$1"
}
restore_settings() {
	local file
	[ -e "$BATS_TEST_TMPDIR/swap" ] && swapoff "$BATS_TEST_TMPDIR/swap"
	[ -e "$BATS_TEST_TMPDIR/kernel" ] || return 0
	while read -r file; do cat "$BATS_TEST_TMPDIR/kernel.${file##*/}" >"$file"; done <"$BATS_TEST_TMPDIR/kernel"
}

setup_common() {
	STARTED=()
	[ "${BATS_TEST_TRY_NUMBER:-1}" -eq 1 ] || echo "# once more: $BATS_TEST_DESCRIPTION" >&3
}

# What holds in 99 cases of 100 is tried once more where it did not: twice is no chance.
by_chance() { export BATS_TEST_RETRIES=1; }

teardown_common() {
	local pid
	exec 7>&-
	for pid in "${STARTED[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	return 0
}

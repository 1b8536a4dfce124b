#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# How a watch begins and ends: bad input, signals, a killed memwhere; nothing stays behind.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

# uprobes put a breakpoint (0xcc) into the code page; when they are out, the page is as in the file.
code_is_clean() { # PID FILE SYMBOL
	local start offset value
	value=$(nm -D "$2" | awk -v s="$3@@GLIBC_2.2.5" '$3 == s {print $1; exit}')
	start=$(awk -v f="$2" '$6 == f && $3 == "00000000" {split($1, a, "-"); print a[1]; exit}' "/proc/$1/maps")
	offset=$((16#$start + 16#$value))
	cmp -s <(dd if="/proc/$1/mem" bs=1 skip=$offset count=32 2>/dev/null | od -An -tx1) \
		<(dd if="$2" bs=1 skip=$((16#$value)) count=32 2>/dev/null | od -An -tx1)
}

libc_of() { awk '$6 ~ /libc\.so/ {print $6; exit}' "/proc/$1/maps"; }

expect_clean() {
	local libc
	libc=$(libc_of "$1")
	code_is_clean "$1" "$libc" malloc && code_is_clean "$1" "$libc" free
}

fails_with() { # STATUS PATTERN COMMAND...
	local want=$1 pattern=$2
	shift 2
	run "$@"
	[ "$status" -eq "$want" ] || { echo "status $status, expected $want: $output"; return 1; }
	[ "${#lines[@]}" -eq 1 ] || { echo "more than one line: $output"; return 1; }
	[[ $output =~ $pattern ]] || { echo "not '$pattern': $output"; return 1; }
}

@test "bad input: a clear line and status 1" {
	fails_with 1 "no such process" "$MW" stat 4194303
	fails_with 1 "no process has this name" "$MW" stat no-such-name-at-all
	fails_with 1 "kernel thread" "$MW" stat 2
	fails_with 1 "not a PID" "$MW" stat 12x
	fails_with 1 "not a PID" "$MW" stat 99999999999999999999
}

@test "a zombie" {
	sh -c 'sleep 0.01 & exec sleep 30' 3>&- &
	parent=$!
	STARTED+=("$parent")
	wait_until 30 pgrep --parent "$parent" --runstates Z
	zombie=$(pgrep --parent "$parent")
	fails_with 1 "zombie" "$MW" stat "$zombie"
}

@test "a 32-bit target" {
	cat >"$BATS_TEST_TMPDIR/s.S" <<-'EOF'
	.globl _start
	_start: mov $29, %eax
	int $0x80
	jmp _start
	EOF
	gcc -m32 -nostdlib -static -o "$BATS_TEST_TMPDIR/s32" "$BATS_TEST_TMPDIR/s.S"
	"$BATS_TEST_TMPDIR/s32" 3>&- &
	STARTED+=($!)
	wait_until 30 runs $! "$BATS_TEST_TMPDIR/s32"
	fails_with 1 "32-bit" "$MW" stat $!
}

@test "no allocator symbols: growth mode, and says so where another is asked for" {
	printf '.globl _start\n_start: mov $34, %%eax\nsyscall\njmp _start\n' >"$BATS_TEST_TMPDIR/s.S"
	gcc -nostdlib -static -s -o "$BATS_TEST_TMPDIR/s64" "$BATS_TEST_TMPDIR/s.S"
	"$BATS_TEST_TMPDIR/s64" 3>&- &
	STARTED+=($!)
	wait_until 30 runs $! "$BATS_TEST_TMPDIR/s64"
	fails_with 1 "no allocator that probes can reach .a static program without symbols." "$MW" stat --mode exact $!
	"$MW" stat --mode growth -n 1 -i 0.1 $!
	# Where no mode is asked for, that is the one.
	"$MW" stat -n 1 -i 0.1 $! | grep -q 'growth, '
}

@test "usage errors have status 2" {
	fails_with 2 "unknown option" "$MW" stat --no-such-option 1
	fails_with 2 "memwhere: --mode: 'fast' is none of" "$MW" stat --mode fast 1
	fails_with 2 "not a size" "$MW" stat --min-size 12Q 1
	fails_with 2 "above --max-size" "$MW" stat --min-size 2K --max-size 1K 1
	fails_with 2 "out of range" "$MW" stat --max-outstanding 0 1
	fails_with 2 "wants a value" "$MW" stat 1 --interval
	fails_with 2 "no command" "$MW" no-such-command
	fails_with 2 "which process" "$MW" stat
	fails_with 2 "named twice" "$MW" stat $$ $$
	for command in ledger malloc arenas census pools freelists; do
		fails_with 2 "give one PID, process name or core" "$MW" $command
	done
	fails_with 2 "and an address" "$MW" whatis $$
	fails_with 2 "not an address" "$MW" whatis $$ 12Q
	fails_with 2 "name of a type" "$MW" objects $$
	fails_with 2 "which type" "$MW" objects $$ ''
	fails_with 2 "not a size class" "$MW" pools $$ many
	fails_with 2 "multiple of 8" "$MW" pools $$ 7
	fails_with 2 "give one PID" "$MW" snapshot
	fails_with 2 "bash zsh fish" "$MW" completion tcsh
	fails_with 2 "no command" "$MW" help no-such-command
	fails_with 2 "can be stopped" "$MW" ledger --stop "$MW"
	run "$MW"
	[ "$status" -eq 2 ]
	[[ "$output" == "usage: memwhere PID"* ]]
}

# A command that prints a document about Python, with its arguments.
documents() {
	printf '%s\n' "ledger $1" "malloc $1" "arenas $1" "census $1" "pools $1" "objects $1 dict" "freelists $1" "whatis $1 0x1000"
}

@test "a full disk is noticed by every command, with JSON, too" {
	start_python /usr/bin/python3 -c 'import time; kept = [{} for i in range(10000)]; print("ready", flush=True); time.sleep(60)'
	documents "$PID" >"$BATS_TEST_TMPDIR/commands"
	cat >>"$BATS_TEST_TMPDIR/commands" <<-END
	stat -n 1 -i 0.1 $PID
	live --json -n 1 -i 0.1 $PID
	END
	while read -r words; do
		for json in "" --json; do
			# shellcheck disable=SC2086 # words
			for output in "" "-o /dev/full"; do
				set +e
				if [ -z "$output" ]; then
					"$MW" $words $json >/dev/full 2>"$BATS_TEST_TMPDIR/err"
				else
					"$MW" $words $json $output >/dev/null 2>"$BATS_TEST_TMPDIR/err"
				fi
				status=$?
				set -e
				[ $status -eq 1 ] || { echo "$words $json $output: status $status"; return 1; }
				[ "$(wc -l <"$BATS_TEST_TMPDIR/err")" -eq 1 ] || { echo "$words $json $output:"; cat "$BATS_TEST_TMPDIR/err"; return 1; }
			done
		done
	done <"$BATS_TEST_TMPDIR/commands"
	for words in "snapshot --json -o $BATS_TEST_TMPDIR/core $PID" "completion zsh" "help ledger" "ledger -h" --help --version \
		"ledger --json no-such-process"; do
		# shellcheck disable=SC2086 # words
		if "$MW" $words >/dev/full 2>"$BATS_TEST_TMPDIR/err"; then
			echo "$words: status 0"
			return 1
		fi
		[ -s "$BATS_TEST_TMPDIR/err" ]
	done
}

@test "a document whose reader has closed the pipe ends silently" {
	start_python /usr/bin/python3 -c 'import time; kept = [{} for i in range(10000)]; print("ready", flush=True); time.sleep(60)'
	documents "$PID" >"$BATS_TEST_TMPDIR/commands"
	while read -r words; do
		for json in "" --json; do
			# shellcheck disable=SC2086 # words
			{ "$MW" $words $json; echo $? >"$BATS_TEST_TMPDIR/status"; } 2>"$BATS_TEST_TMPDIR/err" | true
			wait_until 5 test -s "$BATS_TEST_TMPDIR/status"
			expect "$(cat "$BATS_TEST_TMPDIR/status")" 0 "$words $json"
			[ ! -s "$BATS_TEST_TMPDIR/err" ]
		done
	done <"$BATS_TEST_TMPDIR/commands"
}

@test "with --json an error is a document" {
	run "$MW" stat --json 4194303
	[ "$status" -eq 1 ]
	[ "$(jq -r .error.code <<<"$output")" = no-such-process ]
	[ "$(jq -r '.error.where' <<<"$output")" = "PID 4194303" ]
	run "$MW" stat --json --mode fast 1
	[ "$status" -eq 2 ]
	[ "$(jq -r .error.code <<<"$output")" = usage ]
}

@test "no privilege: names the missing capabilities" {
	"$WORK/pairs" 64 3>&- &
	STARTED+=($!)
	fails_with 1 "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE" \
		setpriv --bounding-set=-all --inh-caps=-all "$MW" stat $!
	fails_with 1 "missing: CAP_SYS_PTRACE" \
		setpriv --bounding-set=-sys_ptrace --inh-caps=-all "$MW" stat $!
}

@test "an ambiguous name lists its candidates, an unambiguous one will do" {
	cp "$WORK/pairs" "$BATS_TEST_TMPDIR/mw_twins"
	"$BATS_TEST_TMPDIR/mw_twins" 64 3>&- & one=$!
	STARTED+=($one)
	wait_until 30 runs $one "$BATS_TEST_TMPDIR/mw_twins"
	"$MW" stat -n 1 -i 0.1 mw_twins
	"$BATS_TEST_TMPDIR/mw_twins" 64 3>&- & two=$!
	STARTED+=($two)
	wait_until 30 runs $two "$BATS_TEST_TMPDIR/mw_twins"
	run "$MW" stat mw_twins
	[ "$status" -eq 1 ]
	grep -q "mw_twins: 2 processes have this name" <<<"$output"
	for one in $one $two; do
		grep -qE "^ +$one +$$ +[0-9.]+ [KM]iB  .*/mw_twins 64$" <<<"$output"
	done
	# Names may begin with a digit, those of cores, too.
	cd "$BATS_TEST_TMPDIR"
	cp mw_twins 7mw
	./7mw 64 3>&- &
	STARTED+=($!)
	wait_until 5 grep -q 7mw "/proc/$!/comm"
	"$MW" snapshot -q -o 7.core 7mw
	"$MW" ledger --json 7.core | jq -e '.residency == "recorded-rss"' >/dev/null
}

@test "output closed: silence, and the probes are out" {
	start_workload "$WORK/counts" sizes
	set +e
	"$MW" stat --mode exact -i 0.1 "$PID" 2>"$BATS_TEST_TMPDIR/err" 7>&- | head -n 1 >/dev/null
	status=${PIPESTATUS[0]}
	set -e
	[ "$status" -eq 0 ]
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	expect_clean "$PID"
}

@test "Ctrl-C, SIGTERM and kill -9 leave no probe and no harm" {
	start_workload "$WORK/counts" sizes
	for signal in INT TERM KILL; do
		start_watch "$PID"
		if expect_clean "$PID"; then return 1; fi
		kill -$signal "$WATCH"
		wait "$WATCH" || [ $signal = KILL ]
		wait_until 30 expect_clean "$PID"
	done
	[ -z "$(ls /sys/kernel/tracing/uprobe_events 2>/dev/null && cat /sys/kernel/tracing/uprobe_events)" ]
	go_and_wait
	[ "$(said alloc_calls)" -gt 0 ]
}

@test "attach and detach 50 times while it runs, its output is unharmed" {
	cat >"$BATS_TEST_TMPDIR/work.py" <<-'EOF'
	import json, os, sys
	data = {str(i): ["x" * (i * 37 % 5000), i, {"n": i / 7}] for i in range(97)}
	rounds = 0
	print("begins", flush=True)
	while not os.path.exists(sys.argv[1]):
	    assert json.loads(json.dumps(data)) == data
	    rounds += 1
	print("rounds", rounds > 0)
	EOF
	python3 "$BATS_TEST_TMPDIR/work.py" "$BATS_TEST_TMPDIR/stop" >"$BATS_TEST_TMPDIR/py" 2>&1 3>&- &
	python=$!
	"$WORK/pairs" 100 3>&- &
	pairs=$!
	STARTED+=($pairs $python)
	wait_until 30 runs $pairs "$WORK/pairs"
	wait_until 30 test -s "$BATS_TEST_TMPDIR/py"
	for ((i = 0; i < 50; i++)); do
		"$MW" stat --mode exact -n 1 -i 0.02 --json "$pairs" "$python" >>"$BATS_TEST_TMPDIR/out"
	done
	expect_clean "$pairs"
	expect_clean "$python"
	touch "$BATS_TEST_TMPDIR/stop"
	wait $python
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/py")" = "rounds True" ]
	kill -0 "$pairs"
	[ "$(jq -s "[.[].lost[]] | add" "$BATS_TEST_TMPDIR/out")" -eq 0 ] ||
		{ jq -c "[.name,.lost]" "$BATS_TEST_TMPDIR/out" | sort | uniq -c; return 1; }
	[ "$(jq -s "[.[] | select(.pid == $pairs)] | length" "$BATS_TEST_TMPDIR/out")" -eq 50 ]
	# Each free of the loop follows its malloc: at most one block is between them at either end.
	[ "$(jq -s "[.[] | select(.pid == $pairs) | .total.alloc.calls - .total.free.calls | fabs] | max" "$BATS_TEST_TMPDIR/out")" -le 1 ]
}

@test "a target that ends while probes are put in" {
	for i in 1 2 3 4 5 6 7 8; do
		"$WORK/pairs" 64 3>&- &
		pid=$!
		(sleep "0.0$i" && kill -KILL $pid) 3>&- &
		run "$MW" stat --mode exact -n 3 -i 0.1 $pid
		[ "$status" -le 1 ]
		wait
	done
}

@test "--help of every command, on a screen of 80 columns, and completion is valid bash" {
	[ "$("$MW" -h | wc -l)" -le 23 ] && [ "$("$MW" --help | wc -L)" -le 80 ]
	for command in $("$MW" --help | awk '/^  [a-z]/ {print $1}'); do
		"$MW" "$command" --help | grep -q "^usage: memwhere $command"
		"$MW" "$command" -h | grep -q -- '--json'
		[ "$("$MW" "$command" -h | wc -l)" -le 23 ]
		[ "$("$MW" "$command" --help | wc -L)" -le 80 ]
	done
	"$MW" completion bash | bash -n
	"$MW" --version | grep -q '^memwhere [0-9]'
}

@test "text output: no escape codes unless asked, NO_COLOR obeyed" {
	"$WORK/pairs" 64 3>&- &
	STARTED+=($!)
	wait_until 30 runs $! "$WORK/pairs"
	run "$MW" stat --mode exact -n 1 -i 0.1 $!
	[[ $output != *$'\033'* ]]
	run "$MW" stat --mode exact -n 1 -i 0.1 --color always $!
	[[ $output == *$'\033[1m'* ]]
	run env NO_COLOR=1 "$MW" stat --mode exact -n 1 -i 0.1 --color auto $!
	[[ $output != *$'\033'* ]]
}

@test "a hostile process name can't reach the terminal" {
	cp "$WORK/pairs" "$BATS_TEST_TMPDIR/$(printf 'a\033[31mb')"
	"$BATS_TEST_TMPDIR/$(printf 'a\033[31mb')" 64 3>&- &
	STARTED+=($!)
	wait_until 30 runs $! "$BATS_TEST_TMPDIR/$(printf 'a\033[31mb')"
	run "$MW" stat --mode exact -n 1 -i 0.1 -v $!
	[ "$status" -eq 0 ]
	[[ $output == *'a?[31mb'* ]]
	[[ $output != *$'\033'* ]]
}

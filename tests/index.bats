#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The graph kept next to a core.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

# Two cores of one process, the second of which has more, and an address in it.
make_cores() {
	start_workload /usr/bin/python3 -c 'import os, sys
kept = {i: [str(i), (i, float(i))] for i in range(2000)}
print("ready", os.getpid(), flush=True)
sys.stdin.readline()
more = [{i: str(i)} for i in range(3000)]
print("done", hex(id(kept)), flush=True)
sys.stdin.readline()'
	CORE=$BATS_TEST_TMPDIR/core
	"$MW" snapshot "$PID" -q -o "$CORE.before" >/dev/null
	echo >&7
	wait_until 30 grep -q '^done' "$BATS_TEST_TMPDIR/said"
	ADDRESS=$(said done)
	"$MW" snapshot "$PID" -q -o "$CORE" >/dev/null
}

# The answers to all that use an index, as JSON, into FILE.
ask() { # FILE [OPTIONS]
	local file=$1
	shift
	{
		"$MW" refs --json "$@" "$CORE" "$ADDRESS"
		"$MW" retained --json "$@" "$CORE"
		"$MW" retained --json "$@" "$CORE" "$ADDRESS"
		"$MW" leaks --json "$@" "$CORE"
		"$MW" pins --json "$@" "$CORE"
		"$MW" why --json "$@" "$CORE"
		"$MW" diff --json "$@" "$CORE.before" "$CORE"
	} >"$BATS_TEST_TMPDIR/$file" 2>"$BATS_TEST_TMPDIR/words"
}

# The index is not used, for the reason that PATTERN matches, and made again when asked for.
is_refused() { # PATTERN
	"$MW" retained --json "$CORE" 2>"$BATS_TEST_TMPDIR/words" | cmp - "$BATS_TEST_TMPDIR/plain"
	grep -E "^memwhere: warning: $CORE.mwindex is not used: .*$1.*; --index makes it again$" "$BATS_TEST_TMPDIR/words"
	"$MW" retained --json "$CORE" --index 2>"$BATS_TEST_TMPDIR/words" | cmp - "$BATS_TEST_TMPDIR/plain"
	grep -E "is not used: .*$1.*; it is made again$" "$BATS_TEST_TMPDIR/words"
	"$MW" retained --json "$CORE" 2>&1 | cmp - "$BATS_TEST_TMPDIR/plain"
}

@test "an index gives the answers that the core gives, to every command" {
	make_cores
	ask plain
	ask made --index
	[ -s "$CORE.mwindex" ]
	[ -s "$CORE.before.mwindex" ]
	cmp "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/made"
	ask used
	[ ! -s "$BATS_TEST_TMPDIR/words" ]
	cmp "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/used"
	# Nothing else is left, and it is as secret as the core.
	[ "$(cd "$BATS_TEST_TMPDIR" && echo core*)" = "core core.before core.before.mwindex core.mwindex" ]
	[ "$(stat -c %a "$CORE.mwindex")" = "$(stat -c %a "$CORE")" ]
	# It is used: without the memory that the census reads the answer is the same.
	"$MW" refs --json "$CORE" "$ADDRESS" >"$BATS_TEST_TMPDIR/refs"
	strace -qq -e trace=pread64 -o "$BATS_TEST_TMPDIR/reads" "$MW" refs --json "$CORE" "$ADDRESS" | cmp - "$BATS_TEST_TMPDIR/refs"
	read_bytes=$(awk '{s += $NF} END {print s}' "$BATS_TEST_TMPDIR/reads")
	[ "$read_bytes" -lt $(($(stat -c %s "$CORE") / 2)) ]
	# A process has none.
	run "$MW" retained --index "$PID"
	[ "$status" = 2 ]
	grep -q "only a core has an index" <<<"$output"
}

@test "an index that is stale, foreign, cut, damaged or of another build is never used" {
	make_cores
	"$MW" retained --json "$CORE" >"$BATS_TEST_TMPDIR/plain"
	"$MW" retained --json "$CORE" --index 2>&1 | cmp - "$BATS_TEST_TMPDIR/plain"
	"$MW" retained "$CORE.before" --index >/dev/null
	cp "$CORE.before.mwindex" "$CORE.mwindex"
	is_refused "another file, or of this one before it changed"
	touch "$CORE"
	is_refused "another file, or of this one before it changed"
	truncate -s -1 "$CORE.mwindex"
	is_refused "cut short"
	# A bit in the middle, which is in the graph's rows, and one of the version.
	python3 - "$CORE.mwindex" <<-'EOF'
		import os, sys
		f = open(sys.argv[1], "r+b")
		at = os.path.getsize(sys.argv[1]) // 2
		f.seek(at); byte = f.read(1)[0]; f.seek(at); f.write(bytes([byte ^ 16]))
	EOF
	is_refused damaged
	printf 9 | dd of="$CORE.mwindex" bs=1 seek=40 conv=notrunc status=none
	is_refused "another build"
	: >"$CORE.mwindex"
	is_refused "no index"
}

@test "where an index can't be written, or is interrupted, the answer is given and nothing is left" {
	make_cores
	"$MW" retained "$CORE" >"$BATS_TEST_TMPDIR/plain"
	# A folder in which nothing can be made.
	exec 8<"$CORE"
	"$MW" retained "/proc/$$/fd/8" --index >"$BATS_TEST_TMPDIR/answer" 2>"$BATS_TEST_TMPDIR/words"
	exec 8<&-
	tail -n +2 "$BATS_TEST_TMPDIR/plain" | cmp - <(tail -n +2 "$BATS_TEST_TMPDIR/answer")
	grep -qE "^memwhere: warning: there is no index: .*fd/8.mwindex: can't write it" "$BATS_TEST_TMPDIR/words"
	# No room.
	(
		ulimit -f 64
		trap '' XFSZ
		"$MW" retained "$CORE" --index 2>"$BATS_TEST_TMPDIR/words" | cmp - "$BATS_TEST_TMPDIR/plain"
	)
	grep -q "there is no index: .*can't write it: File too large" "$BATS_TEST_TMPDIR/words"
	[ ! -e "$CORE.mwindex" ]
	# Killed in the middle, first without an index and then with one, which stays.
	for kept in no yes; do
		run bash -c "ulimit -f 64; exec '$MW' retained '$CORE' --index"
		[ "$status" = 153 ] # SIGXFSZ
		[ "$(cd "$BATS_TEST_TMPDIR" && ls -d core.mwindex* 2>/dev/null)" = "$([ $kept = no ] || echo core.mwindex)" ]
		[ $kept = no ] || break
		"$MW" retained "$CORE" --index | cmp - "$BATS_TEST_TMPDIR/plain"
		touch "$CORE" # so that it wants to be made again
	done
}

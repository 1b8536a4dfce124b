#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run the unit tests and the bats files (or only those of the kind named: unit, bats [FILE ...]): each with its
# number and the time since the beginning, its failures as they come and all of them once more at the end. The last
# line adds up: N passed, N failed, N skipped.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
export BUILD
kind=${1:-all}
[ $# -eq 0 ] || shift
passed=0 failed=0 skipped=0
out=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$out" "$failures"' EXIT

units=
[ "$kind" = bats ] || units=$(echo tests/unit/test_*.c)
if [ "$kind" = unit ]; then
	set --
elif [ $# -eq 0 ]; then
	set -- tests/*.bats
fi
# shellcheck disable=SC2086 # a list of words
total=$(($(echo $units | wc -w) + $#)) number=0 begin=$(date +%s)

announce() { # NAME
	number=$((number + 1))
	seconds=$(($(date +%s) - begin))
	printf '# %2d of %d, %2d:%02d  %s\n' $number $total $((seconds / 60)) $((seconds % 60)) "$1"
}

# What stands for a failure that no test reported.
complain() { # TEXT
	echo "not ok $1"
	echo "not ok $1" >>"$failures"
}

for source in $units; do
	name=$(basename "$source" .c)
	announce "$name"
	"$BUILD/tests/unit/$name" >"$out" 2>&1
	status=$?
	grep -v -E '^(ok |[0-9]+ passed)' "$out"
	p=$(grep -c '^ok ' "$out")
	f=$(grep -c '^not ok ' "$out")
	# A test's reasons are said before its result.
	awk -v name="$name" '/^not ok / {sub("not ok", "not ok " name ":"); print; printf "%s", why}
		/^(not )?ok / {why = ""; next} {why = why $0 "\n"}' "$out" >>"$failures"
	# A crash or a sanitizer report before the closing line is a failure, too.
	[ $status -eq 0 ] || [ "$f" -gt 0 ] || { complain "$name ended with status $status"; f=1; }
	grep -q '^[0-9]* passed' "$out" || { complain "$name did not finish"; f=$((f + 1)); }
	passed=$((passed + p)) failed=$((failed + f))
done

for file; do
	announce "$file"
	timeout -k 10 600 bats --tap "$file" >"$out" 2>&1
	status=$?
	grep -v '^ok ' "$out" | grep -v '^1\.\.'
	grep '^ok .*# skip' "$out"
	s=$(grep -c '^ok .*# skip' "$out")
	p=$(($(grep -c '^ok ' "$out") - s))
	f=$(grep -c '^not ok ' "$out")
	# A long report says what is wrong at its end.
	awk -v name="$(basename "$file")" 'function tell() {for (i = n > 16 ? n - 15 : 1; i <= n; i++) print "  " why[i]; n = 0}
		/^(not )?ok / {tell(); on = 0} /^not ok / {on = 1; sub("not ok", "not ok " name); print; next}
		on {sub("^# ?", ""); why[++n] = substr($0, 1, 300)} END {tell()}' "$out" >>"$failures"
	plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | head -n 1)
	# Tests that were planned but never reported (a time-out, a crash) have failed.
	missing=$((${plan:-1} - p - s - f))
	[ "$missing" -le 0 ] || { complain "$file: $missing tests did not finish (status $status)"; f=$((f + missing)); }
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

if [ -s "$failures" ]; then
	echo "# what failed, and why:"
	cat "$failures"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

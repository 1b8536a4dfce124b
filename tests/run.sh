#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run the unit tests and the bats files (or only those of the kind named: unit, bats), add up what
# they say and end with one line: N passed, N failed, N skipped.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
export BUILD
kind=${1:-all}
passed=0 failed=0 skipped=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

if [ "$kind" = all ] || [ "$kind" = unit ]; then
	for source in tests/unit/test_*.c; do
		name=$(basename "$source" .c)
		echo "# $name"
		"$BUILD/tests/unit/$name" >"$out" 2>&1
		status=$?
		grep -v -E '^(ok |[0-9]+ passed)' "$out"
		p=$(grep -c '^ok ' "$out")
		f=$(grep -c '^not ok ' "$out")
		# A crash or a sanitizer report before the closing line is a failure of its own.
		[ $status -eq 0 ] || [ "$f" -gt 0 ] || { echo "not ok $name ended with status $status"; f=1; }
		grep -q '^[0-9]* passed' "$out" || { echo "not ok $name did not finish"; f=$((f + 1)); }
		passed=$((passed + p)) failed=$((failed + f))
	done
fi

if [ "$kind" = all ] || [ "$kind" = bats ]; then
	shift $(($# > 0 ? 1 : 0))
	[ $# -gt 0 ] || set -- tests/*.bats
	for file in "$@"; do
		echo "# $file"
		timeout -k 10 600 bats --tap "$file" >"$out" 2>&1
		status=$?
		grep -v '^ok ' "$out" | grep -v '^1\.\.'
		grep '^ok .*# skip' "$out"
		s=$(grep -c '^ok .*# skip' "$out")
		p=$(($(grep -c '^ok ' "$out") - s))
		f=$(grep -c '^not ok ' "$out")
		plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | head -n 1)
		# Tests that were planned but never reported (a time-out, a crash) have failed.
		missing=$((${plan:-1} - p - s - f))
		[ "$missing" -le 0 ] || { echo "not ok $file: $missing tests did not finish (status $status)"; f=$((f + missing)); }
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	done
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run the unit tests and the bats files (or only those of the kind named: unit, bats [FILE ...]), one on each
# processor: each with the time since the beginning when it has ended and its failures, and all of them once more at the
# end. The last line adds up: N passed, N failed, N skipped.
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
export BUILD
MOST=900 # seconds: no file takes that long

# Run FILE; what it said, and with which status it ended, is left in the folder $RAN.
run_one() { # FILE
	name=$(basename "$1" .c)
	case $1 in
	*.c) "$BUILD/tests/unit/$name" ;;
	*) timeout -k 10 "$MOST" bats --tap "$1" ;;
	esac >"$RAN/$name" 2>&1
	echo $? >"$RAN/$name.status"
	number=$(find "$RAN" -name '*.status' | wc -l)
	seconds=$(($(date +%s) - BEGIN))
	said=$(grep -v -E '^(ok [^#]*$|1\.\.|[0-9]+ passed)' "$RAN/$name")
	printf '# %2d of %d, %2d:%02d  %s\n%s' "$number" "$TOTAL" $((seconds / 60)) $((seconds % 60)) "$1" "${said:+$said
}"
}

# What stands for a failure that no test reported.
complain() { # TEXT
	echo "not ok $1" | tee -a "$RAN/failures"
	f=$((f + 1))
}

sum_unit() { # FILE
	p=$(grep -c '^ok ' "$1") f=$(grep -c '^not ok ' "$1") s=0
	# A test's reasons are said before its result.
	awk -v name="$name" '/^not ok / {sub("not ok", "not ok " name ":"); print; printf "%s", why}
		/^(not )?ok / {why = ""; next} {why = why $0 "\n"}' "$1" >>"$RAN/failures"
	# A crash or a sanitizer report before the closing line is a failure, too.
	[ "$status" -eq 0 ] || [ "$f" -gt 0 ] || complain "$name ended with status $status"
	grep -q '^[0-9]* passed' "$1" || complain "$name did not finish"
}

sum_bats() { # FILE
	s=$(grep -c '^ok .*# skip' "$1") f=$(grep -c '^not ok ' "$1")
	p=$(($(grep -c '^ok ' "$1") - s))
	# A long report says what is wrong at its end.
	awk -v name="$name" 'function tell() {for (i = n > 16 ? n - 15 : 1; i <= n; i++) print "  " why[i]; n = 0}
		/^(not )?ok / {tell(); on = 0} /^not ok / {on = 1; sub("not ok", "not ok " name); print; next}
		on {sub("^# ?", ""); why[++n] = substr($0, 1, 300)} END {tell()}' "$1" >>"$RAN/failures"
	plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$1" | head -n 1)
	# Tests that were planned but never reported (a time-out, a crash) have failed.
	missing=$((${plan:-1} - p - s - f))
	[ "$missing" -le 0 ] || { complain "$name: $missing tests did not finish (status $status)"; f=$((f + missing - 1)); }
}

if [ "${1:-}" = one ]; then
	run_one "$2"
	exit 0
fi

kind=${1:-all}
[ $# -eq 0 ] || shift
if [ "$kind" = unit ]; then
	set --
elif [ $# -eq 0 ]; then
	set -- tests/*.bats
fi
[ "$kind" = bats ] || set -- tests/unit/test_*.c "$@"

RAN=$(mktemp -d) TOTAL=$# BEGIN=$(date +%s)
export RAN TOTAL BEGIN
trap 'rm -rf "$RAN"' EXIT
: >"$RAN/failures"
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh tests/run.sh one {}

passed=0 failed=0 skipped=0
for file; do
	name=$(basename "$file" .c)
	status=$(cat "$RAN/$name.status")
	case $file in
	*.c) sum_unit "$RAN/$name" ;;
	*) sum_bats "$RAN/$name" ;;
	esac
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

if [ -s "$RAN/failures" ]; then
	echo "# what failed, and why:"
	cat "$RAN/failures"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Sites of interpreters that Debian's stable release does not have: run by matrix.sh, which makes the chroots.

load ../lib

setup() { setup_common; }
teardown() { teardown_common; }

list_pythons() { # ROOT
	if [ "$1" = / ]; then
		interpreters
	elif cd "$1" 2>/dev/null; then
		find usr/bin -name 'python3.[1-9][0-9]' 2>/dev/null
	fi
}

# Interpreters that keep who awaits a task: ROOT and PYTHON a line; those of the matrix's chroots, too.
interpreters_with_awaiters() {
	local root p
	for root in / "${MW_CACHE:-/var/tmp/memwhere-matrix}"/*; do
		for p in $(list_pythons "$root"); do
			chroot "$root" "/${p#/}" -c 'import sys; sys.exit(sys.version_info < (3, 14))' 2>/dev/null &&
				echo "$root /${p#/}"
		done
	done
	return 0
}

@test "asyncio: after a task's own stack those of the tasks that await it" {
	interpreters_with_awaiters >"$BATS_TEST_TMPDIR/pythons"
	[ -s "$BATS_TEST_TMPDIR/pythons" ]
	while read -r root python; do
		folder=$(mktemp -d "${root%/}/tmp/awaiters.XXXXXX")
		cp "$BATS_TEST_DIRNAME/../awaiter_truth.py" "$folder"
		inside=/${folder#"${root%/}/"}
		start_python chroot "$root" "$python" "$inside/awaiter_truth.py" "$inside/truth"
		"$MW" stat "$PID" --mode exact --sites all --min-size 70000 -i 2 -n 1 --json --by bytes -t 1000 \
			>"$BATS_TEST_TMPDIR/report"
		kill "$PID"
		mv "$folder/truth" "$BATS_TEST_TMPDIR/truth"
		rm -rf "$folder"
		python3 "$BATS_TEST_DIRNAME/../check_awaiters.py" "$BATS_TEST_TMPDIR/truth" "$BATS_TEST_TMPDIR/report" || {
			echo "$root $python" >&2
			return 1
		}
	done <"$BATS_TEST_TMPDIR/pythons"
}

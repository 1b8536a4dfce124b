#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Where probes for Python's small objects go, against what objdump says of the same files.

load lib

# The files with an interpreter: those at hand, and those of other releases where the matrix has been set up.
files() {
	for python in $(interpreters) "${MATRIX_DIR:-/var/tmp/memwhere-matrix}"/*/usr/bin/python[23].[0-9]*; do
		[ -x "$python" ] || continue
		case $python in *-config) continue ;; esac
		library=$(ldd "$python" 2>/dev/null | sed -n 's/.*libpython[^ ]*\.so[^ ]* => \(\/[^ ]*\).*/\1/p')
		readlink -f "${library:-$python}"
	done | sort -u
}

@test "every call of the function that takes a new pool has its place, in every build at hand" {
	count=0
	for file in $(files); do
		objdump -d --no-show-raw-insn "$file" >"$BATS_TEST_TMPDIR/code"
		IFS=$'\t' read -r _ allocs frees pools slow calls reached all ms < <("$BUILD/tests/unit/pymalloc_places" "$file")
		echo "$file: $allocs allocations, $frees frees, $pools new pools; $slow is called $calls times, $reached with places; $ms ms"
		[ "$allocs" -ge 1 ] && [ "$frees" -ge 1 ] && [ "$all" = 1 ] && [ "$ms" -lt 1500 ]
		if [ "$slow" = 0 ]; then # to 3.8: no function of its own
			[ "$pools" -ge 1 ]
		else
			truth=$(grep -cE "	(call|jmp) +$slow( |$)" "$BATS_TEST_TMPDIR/code")
			[ "$calls" = "$truth" ] && [ "$reached" = "$truth" ] && [ "$truth" -ge 2 ]
			symbol=$(nm "$file" 2>/dev/null | sed -n 's/^0*\([0-9a-f]*\) t allocate_from_new_pool$/\1/p')
			[ -z "$symbol" ] || [ "$slow" = "$symbol" ]
		fi
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Names and lines of code objects against what the interpreter itself says (python_lines.py).

load lib

@test "name, file and the line of every byte of bytecode, in every interpreter at hand" {
	count=0
	for python in $(interpreters); do
		"$python" "$BATS_TEST_DIRNAME/python_lines.py" "$BUILD/tests/unit/code_lines"
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix_python.sh RELEASE ROOT PYTHON...: Debian's own interpreters, stripped as they come, in the
# chroot ROOT (or /, for one of this machine): what memwhere says of each, live and of its core, against what the process itself knows.
# Says "ok ..." or "not ok ..." a check.
set -u
release=$1 root=$2
shift 2
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
MW=$BUILD/memwhere
place=${MW_TRUTH_FOLDER:-}
mkdir -p "$root$place"
cp tests/python_truth.py "$root$place/"

# shellcheck disable=SC2046 # a list of words
ask() { # TARGET
	"$MW" census --json "$1" >"$folder/census.json" &&
		"$MW" arenas --json "$1" >"$folder/arenas.json" &&
		"$MW" whatis --json "$1" $(jq -r '.sizes[][1]' "$folder/truth.json") >"$folder/whatis.json" &&
		python3 tests/check_python.py "$folder" >"$folder/result" 2>&1 &&
		"$MW" ledger --json "$1" | jq -e '.unknown_bytes * 100 < .resident_bytes
			and ([.entries[].resident_bytes] | add) == .resident_bytes' >/dev/null
}

look() { # NAME TARGET
	if ask "$2"; then
		echo "ok $1: $(cat "$folder/result")"
	else
		cat "$folder/result"
		echo "not ok $1"
	fi
}

wait_for() { # WORD
	for _ in $(seq 200); do
		grep -q "^$1" "$folder/said" 2>/dev/null && return
		sleep 0.1
	done
}

for python; do
	at=$place/truth-$(basename "$python")
	folder=$root$at
	rm -rf "$folder"
	mkdir "$folder"
	mkfifo "$folder/in"
	chroot "$root" "$python" "$place/python_truth.py" "$at" <"$folder/in" >"$folder/said" 2>&1 &
	job=$!
	exec 8>"$folder/in"
	wait_for ready
	pid=$(sed -n 's/^ready //p' "$folder/said")
	"$MW" census --json "$pid" >"$folder/before.json"
	echo go >&8
	wait_for "done"
	sleep 0.2
	look "$release $python live" "$pid"
	"$MW" snapshot -q "$pid" -o "$folder/core"
	look "$release $python core" "$folder/core"
	exec 8>&-
	kill "$pid"
	wait "$job" 2>/dev/null
	rm -rf "$folder"
done

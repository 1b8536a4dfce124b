#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Snapshots and cores where the files are not, where much is reserved, and where they are damaged.

load lib

setup() {
	setup_common
	EMPTY=$BATS_TEST_TMPDIR/empty
	mkdir "$EMPTY"
}
teardown() {
	teardown_common
	restore_settings
}

# A program that says how many objects of a class it has; 10,007 of them, some of them apart.
start_counted() { # PYTHON
	cat >"$BATS_TEST_TMPDIR/counted.py" <<-'END'
		import gc, os, sys, time
		class Counted(object):
		    pass
		kept = [Counted() for _ in range(10007)]
		reserve = [{} for _ in range(3)]
		for k in gc.get_objects():
		    pass
		count = sum(1 for o in gc.get_objects() if type(o) is Counted)
		with open(sys.argv[1], "w") as f:
		    f.write(str(count))
		print("ready %d" % os.getpid())
		sys.stdout.flush()
		while True:
		    time.sleep(1000)
	END
	start_python "$1" "$BATS_TEST_TMPDIR/counted.py" "$BATS_TEST_TMPDIR/count"
	wait_asleep "$PID"
}

# What analysis says, without what names the target or how it was found.
said_of() { # DOCUMENT [OPTION...] TARGET
	"$MW" "$1" --json "${@:2}" | jq -S 'del(.target, .coverage, .evidence, .changed_while_read)'
}

start_sparse() {
	"$WORK/sparse" "$@" >"$BATS_TEST_TMPDIR/said" 3>&- &
	STARTED+=($!)
	wait_until 30 grep -q '^ready' "$BATS_TEST_TMPDIR/said"
	PID=$(said ready)
	wait_asleep "$PID"
}

@test "a snapshot without any of its files says what the process does" {
	local python document
	for python in /usr/bin/python3 "$HOME"/.pyenv/versions/3.13*/bin/python "$HOME"/.pyenv/versions/2.7*/bin/python; do
		[ -x "$python" ] || continue
		start_counted "$python"
		rm -f "$BATS_TEST_TMPDIR/s"
		"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
		for document in census arenas malloc; do
			said_of "$document" "$PID" >"$BATS_TEST_TMPDIR/live"
			said_of "$document" --sysroot "$EMPTY" "$BATS_TEST_TMPDIR/s" >"$BATS_TEST_TMPDIR/alone"
			# A stripped interpreter's code says where one number is, and code is not in a snapshot.
			diff <(grep -vE "allocated_blocks|raw_blocks" "$BATS_TEST_TMPDIR/live") <(grep -vE "allocated_blocks|raw_blocks" "$BATS_TEST_TMPDIR/alone")
		done
		expect "$("$MW" census --json --sysroot "$EMPTY" "$BATS_TEST_TMPDIR/s" |
			jq '[.types[] | select(.type == "Counted") | .count] | add')" "$(<"$BATS_TEST_TMPDIR/count")" "objects"
		kill "$PID"
	done
}

@test "a core that leaves types to a missing file: an error that names it" {
	local core filter
	cd "$BATS_TEST_TMPDIR"
	set_kernel /proc/sys/kernel/core_pattern core
	ulimit -c unlimited
	for filter in 0x1 0x33; do
		start_counted /usr/bin/python3
		echo "$filter" >"/proc/$PID/coredump_filter"
		said_of census "$PID" >live
		kill -ABRT "$PID"
		wait "$PID" || true
		core=core.$filter
		mv "$(find . -name 'core*' ! -name 'core.0x*' | head -1)" "$core"
		run "$MW" census --sysroot "$EMPTY" "$core"
		expect "$status" 1 status
		[[ "$output" == *"/usr/bin/python3"*"build id"*"--exe"*"--sysroot"* ]]
		# GDB reads zeros where the file is missing.
		run gdb --batch -nx -ex "set sysroot $EMPTY" -ex "core $core" \
			-ex "source $BATS_TEST_DIRNAME/../gdb-scripts/memwhere-gdb.py" -ex mw-census
		[[ "$output" == *"/usr/bin/python3"*"build id"*"--exe"*"--sysroot"* ]]
		expect "$("$MW" census --json --sysroot "$EMPTY" "$core" | jq -r .error.code)" no-file code
		"$MW" malloc --sysroot "$EMPTY" "$core" | grep -q '^sum'
		"$MW" ledger --sysroot "$EMPTY" "$core" | grep -q "objects are not known"
		diff live <(said_of census "$core")
		expect "$(said_of census --sysroot "$EMPTY" --exe /usr/bin/python3 "$core" | jq .objects)" "$(jq .objects live)" "objects with --exe"
		run "$MW" census --sysroot "$EMPTY" --exe "$MW" "$core"
		expect "$status" 1 "status with another file"
	done
}

@test "a snapshot of a sparse giant is as large as what is resident" {
	local resident
	start_sparse
	resident=$(awk '/^Rss:/ { sum += $2 } END { print sum * 1024 }' "/proc/$PID/smaps")
	"$MW" snapshot --json "$PID" -o "$BATS_TEST_TMPDIR/s" >"$BATS_TEST_TMPDIR/json"
	jq -e '.pause_seconds < 1' "$BATS_TEST_TMPDIR/json"
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/s")" -lt $((resident + (24 << 20))) ]
	timeout 20 "$MW" snapshot -q -z "$PID" -o "$BATS_TEST_TMPDIR/s.zst"
	expect "$("$MW" ledger --json "$BATS_TEST_TMPDIR/s.zst" | jq .resident_bytes)" "$resident" "resident bytes"
	# Every segment is whole in the file, or not there.
	expect "$(readelf -lW "$BATS_TEST_TMPDIR/s" | awk '$1 == "LOAD" && $5 != $6 && $5 !~ /^0x0+$/' | wc -l)" 0 "partial segments"
}

@test "the ledger of a process does not make it larger" {
	local before
	start_counted /usr/bin/python3
	before=$(grep ^VmRSS "/proc/$PID/status")
	"$MW" ledger "$PID" >"$BATS_TEST_TMPDIR/out"
	"$MW" census "$PID" >"$BATS_TEST_TMPDIR/out"
	expect "$(grep ^VmRSS "/proc/$PID/status")" "$before" "resident size"
}

@test "mappings have the same owners in a process and its snapshot" {
	local target
	start_sparse
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	for target in "$PID" "$BATS_TEST_TMPDIR/s"; do
		"$MW" ledger --json "$target" >"$BATS_TEST_TMPDIR/ledger"
		jq -e '([.unknown[].resident_bytes] | add) == .unknown_bytes' "$BATS_TEST_TMPDIR/ledger"
		# Besides a page or two of the C library's own.
		expect "$(jq -c '[.unknown[] | [.mapping, (.resident_bytes / 1048576 | floor)]][:2]' "$BATS_TEST_TMPDIR/ledger")" \
			'[["anonymous rw-p",37],["anonymous ---p",8]]' "unknown of $target"
		expect "$(jq '.entries[] | select(.owner | startswith("shared/memwhere")) | .resident_bytes' "$BATS_TEST_TMPDIR/ledger")" \
			$((3 << 20)) "shared memory of $target"
		"$MW" ledger -v "$target" | grep -q 'anonymous ---p$'
	done
}

@test "gcore's zeros are apart, and unlinked shared memory is shared" {
	cat >"$BATS_TEST_TMPDIR/reserve.py" <<-'END'
		import mmap, os, time
		reserve = mmap.mmap(-1, 200 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
		reserve[:5 << 20] = b"x" * (5 << 20)
		fd = os.memfd_create("unlinked")
		os.truncate(fd, 3 << 20)
		shared = mmap.mmap(fd, 3 << 20)
		shared[:] = b"x" * (3 << 20)
		anonymous = mmap.mmap(-1, 50 << 20)
		anonymous[7 << 20:9 << 20] = b"x" * (2 << 20)
		print("ready %d" % os.getpid(), flush=True)
		time.sleep(1000)
	END
	start_python /usr/bin/python3 "$BATS_TEST_TMPDIR/reserve.py"
	gcore -o "$BATS_TEST_TMPDIR/gcore" "$PID" >/dev/null 2>&1
	"$MW" ledger --json "$BATS_TEST_TMPDIR/gcore.$PID" >"$BATS_TEST_TMPDIR/ledger"
	jq -e ".zero_bytes >= $((195 << 20)) and .resident_bytes < $((100 << 20))" "$BATS_TEST_TMPDIR/ledger"
	jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' "$BATS_TEST_TMPDIR/ledger"
	# Of each part no more is resident than there is, by whole pages.
	jq -e 'all(.entries[], .unknown[]; .resident_bytes <= .bytes) and all(.unknown[]; .resident_bytes % 4096 == 0)' "$BATS_TEST_TMPDIR/ledger"
	expect "$(jq '.entries[] | select(.owner == "shared/zero") | .resident_bytes' "$BATS_TEST_TMPDIR/ledger")" $((2 << 20)) "shared anonymous"
	expect "$(jq '.entries[] | select(.owner == "shared/memfd:unlinked") | .resident_bytes' "$BATS_TEST_TMPDIR/ledger")" $((3 << 20)) shared
}

@test "huge pages of hugetlbfs are beside the sum, live and in cores" {
	local target
	local try
	# Memory that is in pieces is put together first.
	for try in 1 2 3 4 5; do
		set_kernel /proc/sys/vm/nr_hugepages 4
		[ "$(</proc/sys/vm/nr_hugepages)" = 4 ] && break
		echo 3 >/proc/sys/vm/drop_caches
		echo 1 >/proc/sys/vm/compact_memory
		sleep "$try"
	done
	[ "$(</proc/sys/vm/nr_hugepages)" = 4 ] || skip "no four huge pages are free"
	start_sparse huge
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	cd "$BATS_TEST_TMPDIR"
	set_kernel /proc/sys/kernel/core_pattern core
	ulimit -c unlimited
	for target in "$PID" s; do
		"$MW" ledger --json "$target" >ledger
		expect "$(jq .hugetlb_bytes ledger)" $((8 << 20)) "huge pages of $target"
		jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' ledger
	done
}

@test "a snapshot cut at every 64 KiB or with bits flipped: an answer or an error" {
	local size at i
	start_counted /usr/bin/python3
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	cp "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/cut"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/s")
	for ((at = size - size % 65536; at >= 0; at -= 65536)); do
		truncate -s "$at" "$BATS_TEST_TMPDIR/cut"
		run timeout 20 "$MW" census --sysroot "$EMPTY" "$BATS_TEST_TMPDIR/cut"
		[ "$status" -le 1 ]
		[ "$status" = 1 ] || [[ "$output" != *"     0 B         0           sum"* ]]
	done
	for ((i = 1; i <= 40; i++)); do
		cp "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/cut"
		python3 -c 'import random, sys
random.seed(int(sys.argv[2]))
with open(sys.argv[1], "r+b") as f:
    for _ in range(20):
        at = random.randrange(200000 if random.random() < .7 else int(sys.argv[3]))
        f.seek(at); b = f.read(1); f.seek(at); f.write(bytes([b[0] ^ 1 << random.randrange(8)]))' \
			"$BATS_TEST_TMPDIR/cut" "$i" "$size"
		run timeout 20 "$MW" ledger --sysroot "$EMPTY" "$BATS_TEST_TMPDIR/cut"
		[ "$status" -le 1 ]
	done
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ledger, malloc, whatis and snapshot against what glibc and the kernel say.

bats_require_minimum_version 1.5.0
load lib

setup() { setup_common; }
teardown() {
	teardown_common
	restore_settings
}

# The workload takes 50 MB more.
grow() {
	local before
	before=$(grep -c '^done' "$BATS_TEST_TMPDIR/said") || true
	echo grow >&7
	wait_until 30 said_more "done" "$before"
}

# A bad TARGET: status 1 and one line that has the words.
refused() { # WORDS TARGET
	run "$MW" ledger "$2"
	[ "$status" = 1 ]
	[ "${#lines[@]}" = 1 ]
	[[ "$output" == *"$1"* ]]
}

truth() { # TARGET [OPTION...]: malloc on TARGET equals what the workload wrote
	"$MW" malloc --json "$@" >"$BATS_TEST_TMPDIR/malloc.json"
	python3 "$BATS_TEST_DIRNAME/heap_truth.py" "$BATS_TEST_TMPDIR/malloc.json" "$BATS_TEST_TMPDIR/truth" "${FOREIGN:-0}"
}

ledger_sums() { # TARGET: the entries sum to the resident size, which is printed
	"$MW" ledger --json "$1" >"$BATS_TEST_TMPDIR/ledger.json"
	jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' "$BATS_TEST_TMPDIR/ledger.json" >/dev/null
	jq .resident_bytes "$BATS_TEST_TMPDIR/ledger.json"
}

rss() { awk '/^Rss:/ { sum += $2 } END { print sum * 1024 }' "/proc/$1/smaps"; }
# What is said of PID is what the kernel says. Between the two looks it may take a page of a file back: once in five they agree.
ledger_is_rss() {
	for _ in 1 2 3 4 5; do
		[ "$(ledger_sums "$PID")" != "$(rss "$PID")" ] || return 0
	done
	return 1
}

@test "malloc equals malloc_info and mallinfo2: one thread, live" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth"
	truth "$PID"
}

@test "malloc equals malloc_info and mallinfo2: several arenas, live, stopped, gcore and snapshot" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 5 7919
	truth "$PID"
	truth "$PID" --stop
	gcore -o "$BATS_TEST_TMPDIR/core" "$PID" >/dev/null 2>&1
	truth "$BATS_TEST_TMPDIR/core.$PID"
	"$MW" snapshot "$PID" -o "$BATS_TEST_TMPDIR/snapshot"
	truth "$BATS_TEST_TMPDIR/snapshot"
}

@test "the bins' lists have what the walk finds free" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 5 7919
	"$MW" malloc --json "$PID" | jq -e '
		([.arenas[].bins.count] | add) == ([.bins[].count] | add)
		and ([.arenas[].bins.bytes] | add) == ([.bins[].bytes] | add)
		and ([.arenas[].bins.count] | add) > 1000 and .problem_count == 0' >/dev/null
}

@test "a damaged link of a bin is reported with its address, and the rest is still there" {
	cat >"$BATS_TEST_TMPDIR/damage.c" <<-'EOF'
	#include <malloc.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <unistd.h>
	int main(void)
	{
		void **blocks[8], *between[8];
		for (int i = 0; i < 8; i++) { blocks[i] = malloc(2000); between[i] = malloc(2000); }
		for (int i = 0; i < 8; i++) free(blocks[i]);
		/* What is said is made before the damage, since saying it would allocate. */
		char text[64];
		int n = snprintf(text, sizeof(text), "chunk %p\nready %d\n", (char *)blocks[3] - 16, getpid());
		blocks[3][1] = (void *)0x4141414141414140; /* bk of the fourth */
		write(1, text, n);
		pause();
		return between[0] != 0;
	}
	EOF
	gcc -O0 -w -o "$BATS_TEST_TMPDIR/damage" "$BATS_TEST_TMPDIR/damage.c"
	start_workload "$BATS_TEST_TMPDIR/damage"
	"$MW" malloc --json "$PID" >"$BATS_TEST_TMPDIR/malloc.json"
	jq -e --arg chunk "$(said chunk)" '.problems[0].address == $chunk' "$BATS_TEST_TMPDIR/malloc.json" >/dev/null
	jq -e '.arenas[0].bins.count >= 8' "$BATS_TEST_TMPDIR/malloc.json" >/dev/null
}

@test "malloc with changed mallopt: thresholds are read and fixed" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 2 5003 mallopt
	truth "$PID"
	[ "$(jq -c '[.settings.mmap_threshold, .settings.trim_threshold, .settings.dynamic]' "$BATS_TEST_TMPDIR/malloc.json")" = '[70001,500009,false]' ]
}

@test "a core that the kernel wrote" {
	cd "$BATS_TEST_TMPDIR"
	set_kernel /proc/sys/kernel/core_pattern core
	ulimit -c unlimited
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 3 7919
	kill -ABRT "$PID"
	wait "$PID" || true
	truth "$(ls core*)"
	ledger_sums "$(ls core*)"
}

@test "compressed cores say the same" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 2 7919
	"$MW" snapshot "$PID" -o "$BATS_TEST_TMPDIR/s"
	zstd -q "$BATS_TEST_TMPDIR/s" -o "$BATS_TEST_TMPDIR/s.zst"
	gzip -1 <"$BATS_TEST_TMPDIR/s" >"$BATS_TEST_TMPDIR/s.gz"
	lz4 -q "$BATS_TEST_TMPDIR/s" "$BATS_TEST_TMPDIR/s.lz4"
	for s in s.zst s.gz s.lz4; do truth "$BATS_TEST_TMPDIR/$s"; done
	"$MW" snapshot "$PID" --zstd -o "$BATS_TEST_TMPDIR/own.zst"
	truth "$BATS_TEST_TMPDIR/own.zst"
}

@test "a compressed core that fills the last buffer is whole" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 1009
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	truncate -s %1M "$BATS_TEST_TMPDIR/s"
	for tool in gzip zstd lz4; do
		$tool -q -1 <"$BATS_TEST_TMPDIR/s" >"$BATS_TEST_TMPDIR/packed"
		run "$MW" malloc "$BATS_TEST_TMPDIR/packed"
		[ "$status" = 0 ]
		[[ "$output" != *"ends early"* ]]
	done
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s2"
	gzip -1 <"$BATS_TEST_TMPDIR/s2" | head -c 9001 >"$BATS_TEST_TMPDIR/packed"
	run "$MW" malloc "$BATS_TEST_TMPDIR/packed"
	[[ "$output" == *"ends early"* ]]
}

@test "the ledger sums to Rss and knows 99 percent of a C program" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 4 20011
	ledger_is_rss
	jq -e '.unknown_bytes * 100 < .resident_bytes' "$BATS_TEST_TMPDIR/ledger.json"
}

@test "process and snapshot give the same tree" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 4 20011
	"$MW" snapshot "$PID" -o "$BATS_TEST_TMPDIR/s"
	ledger_sums "$PID"
	jq -S '.entries | sort_by(.owner)' "$BATS_TEST_TMPDIR/ledger.json" >"$BATS_TEST_TMPDIR/a"
	ledger_sums "$BATS_TEST_TMPDIR/s"
	jq -S '.entries | sort_by(.owner)' "$BATS_TEST_TMPDIR/ledger.json" >"$BATS_TEST_TMPDIR/b"
	diff "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
}

@test "a snapshot opens in gdb, with its stack" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 2 1009
	"$MW" snapshot "$PID" -o "$BATS_TEST_TMPDIR/s"
	gdb -batch -ex bt "$WORK/heap" "$BATS_TEST_TMPDIR/s" 2>/dev/null | grep -q ' main '
}

@test "snapshot waits for a size" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 1009
	"$MW" snapshot "$PID" --at-rss 55M -o "$BATS_TEST_TMPDIR/s" 3>&- 7>&- &
	STARTED+=($!)
	wait_asleep $!
	sleep 0.5
	[ ! -e "$BATS_TEST_TMPDIR/s" ]
	grow
	wait_until 30 test -e "$BATS_TEST_TMPDIR/s"
	[ "$(ledger_sums "$BATS_TEST_TMPDIR/s")" -ge $((55 << 20)) ]
}

@test "snapshot waits for a rate of growth" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 1009
	"$MW" snapshot "$PID" --at-growth 40M/s -o "$BATS_TEST_TMPDIR/s" 3>&- 7>&- &
	STARTED+=($!)
	wait_asleep $!
	sleep 1.5
	[ ! -e "$BATS_TEST_TMPDIR/s" ]
	# One step may fall into two of the intervals that the rate is taken of.
	for i in 1 2 3; do
		[ -e "$BATS_TEST_TMPDIR/s" ] || grow
	done
	wait_until 30 test -e "$BATS_TEST_TMPDIR/s"
	[ "$(ledger_sums "$BATS_TEST_TMPDIR/s")" -ge $((40 << 20)) ]
}

@test "whatis: a chunk, a stack, a file, nothing" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 1009
	heap=$(awk '/\[heap\]/ { print "0x" substr($1, 1, index($1, "-") - 1) }' "/proc/$PID/maps")
	stack=$(awk '/\[stack\]/ { print "0x" substr($1, 1, index($1, "-") - 1) }' "/proc/$PID/maps")
	libc=$(awk '/libc.so.6/ { print "0x" substr($1, 1, index($1, "-") - 1); exit }' "/proc/$PID/maps")
	"$MW" whatis --json "$PID" "$((heap + 0x20))" "$stack" "$libc" 4096 >"$BATS_TEST_TMPDIR/w"
	[ "$(jq -s -c '[.[].owner]' "$BATS_TEST_TMPDIR/w")" = '["glibc/overhead","stack","file/libc.so.6","unmapped"]' ]
}

@test "a target survives kill -9 of a memwhere that holds it" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 3 100003
	for delay in 0.01 0.02 0.05; do
		"$MW" ledger --stop "$PID" >/dev/null 2>&1 3>&- 7>&- &
		sleep $delay
		kill -KILL $! || true
		wait $! || true
	done
	wait_until 30 sh -c "! grep -q '^State:.*tracing' /proc/$PID/task/*/status"
	grow
}

@test "bad files: one line and status 1" {
	cd "$BATS_TEST_TMPDIR"
	: >empty
	echo text >text
	printf '\177ELF' >magic
	cp /bin/true program
	for f in empty text magic program /dev/null; do
		run "$MW" ledger "./${f#/dev/}"
		[ "$f" = /dev/null ] && run "$MW" ledger /dev/null
		[ "$status" = 1 ]
		[ "${#lines[@]}" = 1 ]
	done
	run "$MW" ledger --json ./empty
	[ "$(jq -r .error.code <<<"$output")" = empty ]
	# A compressed one whose first block is not whole is not empty.
	seq 100000 >plain
	for tool in gzip zstd; do
		"$tool" -c plain | head -c 40 >packed
		run --separate-stderr "$MW" ledger --json ./packed
		expect "$(jq -r .error.code <<<"$output")" truncated "code of $tool's"
	done
}

@test "malloc equals malloc_info under MALLOC_CHECK_, where two libraries have a main_arena" {
	RUN="env LD_PRELOAD=$LIBDIR/libc_malloc_debug.so.0 MALLOC_CHECK_=3" start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 3 7919
	# mallinfo2 is still the C library's own, which has nothing.
	sed -i '/^[a-z]* [0-9]*$/d' "$BATS_TEST_TMPDIR/truth"
	truth "$PID"
	expect "$(jq -r .version "$BATS_TEST_TMPDIR/malloc.json")" "$(ldd --version | sed -n '1s/.* //p')" version
	[ "$(jq '[.arenas[].live.count] | add' "$BATS_TEST_TMPDIR/malloc.json")" -gt 15000 ]
	[ "$(ledger_sums "$PID")" -gt 20000000 ]
	jq -e '.unknown_bytes < .resident_bytes * 0.03' "$BATS_TEST_TMPDIR/ledger.json" >/dev/null
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/snapshot"
	truth "$BATS_TEST_TMPDIR/snapshot"
}

@test "census under MALLOC_CHECK_ has each planted object" {
	cat >"$BATS_TEST_TMPDIR/planted.py" <<-'EOF'
	import os, time
	class Planted(object): pass
	kept = [Planted() for i in range(3001)]
	large = [bytes([i % 256]) * 700 for i in range(1009)]
	print("ready %d" % os.getpid(), flush=True)
	time.sleep(1000)
	EOF
	for allocator in pymalloc malloc; do
		RUN="env LD_PRELOAD=$LIBDIR/libc_malloc_debug.so.0 MALLOC_CHECK_=3 PYTHONMALLOC=$allocator" \
			start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/planted.py"
		"$MW" census --json "$PID" | jq -e '
			def n(t): [.types[] | select(.type == t) | .count] | add;
			n("Planted") == 3001 and n("bytes") >= 1009 and .problem_count == 0' >/dev/null
		kill "$PID"
	done
}

@test "a core cut within an arena: what lies before the cut is walked, and heaps whose arena is lost" {
	cat >"$BATS_TEST_TMPDIR/blocks.c" <<-'EOF'
	#include <pthread.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	static char buffer[1 << 20];
	static FILE *said;
	static pthread_barrier_t built;
	static void take(size_t size)
	{
		char *p = malloc(size);

		memset(p, 1, size < 100 ? size : 100);
		fprintf(said, "%p\n", p);
	}
	static void fill(void)
	{
		for (int i = 0; i < 5003; i++)
			take(100 + i % 7 * 16);
		for (int i = 0; i < 701; i++) /* more than one heap of a thread holds */
			take(100003);
	}
	static void *thread(void *arg)
	{
		fill();
		pthread_barrier_wait(&built);
		pause();
		return arg;
	}
	int main(int argc, char **argv)
	{
		pthread_t id;

		said = fopen(argv[argc - 1], "w");
		setvbuf(said, buffer, _IOFBF, sizeof(buffer));
		pthread_barrier_init(&built, NULL, 2);
		fill();
		pthread_create(&id, NULL, thread, NULL);
		pthread_barrier_wait(&built);
		fclose(said);
		printf("ready %d\n", getpid());
		fflush(stdout);
		pause();
		return 0;
	}
	EOF
	for how in -static -no-pie; do
		gcc -O1 -pthread "$how" -o "$BATS_TEST_TMPDIR/blocks" "$BATS_TEST_TMPDIR/blocks.c"
		start_workload "$BATS_TEST_TMPDIR/blocks" "$BATS_TEST_TMPDIR/addresses"
		expect "$(wc -l <"$BATS_TEST_TMPDIR/addresses")" 11408 "blocks of the program"
		"$MW" snapshot -q -f "$PID" -o "$BATS_TEST_TMPDIR/cut"
		size=$(stat -c %s "$BATS_TEST_TMPDIR/cut")
		for part in 100 90 80 70 60 50 40 30 20; do
			truncate -s $((size * part / 100)) "$BATS_TEST_TMPDIR/cut"
			held=$(held_blocks "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR/addresses")
			[ "$held" -gt 1000 ]
			"$MW" malloc --json "$BATS_TEST_TMPDIR/cut" >"$BATS_TEST_TMPDIR/doc"
			# The C library has a few blocks of its own.
			jq -e --argjson held "$held" '([.arenas[].live.count] | add) as $live | $live >= $held and $live < $held + 20' "$BATS_TEST_TMPDIR/doc" >/dev/null ||
				{ jq -c . "$BATS_TEST_TMPDIR/doc" >&2; echo "$how, $part %: not $held blocks" >&2; return 1; }
			jq -e 'all(.problems[]; .message | test("bin|list|add up|not possible") | not)' "$BATS_TEST_TMPDIR/doc" >/dev/null
		done
		kill -KILL "$PID"
		wait "$PID" 2>/dev/null || true
	done
}

@test "a core cut anywhere: coverage or an error, never a crash" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 1 1009
	"$MW" snapshot "$PID" -o "$BATS_TEST_TMPDIR/s"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/s")
	for at in 1 63 64 65 200 1000 4096 9001 $((size / 97)) $((size / 7)) $((size / 3)) $((size / 2)) $((size - 4099)) $((size - 1)); do
		head -c "$at" "$BATS_TEST_TMPDIR/s" >"$BATS_TEST_TMPDIR/cut"
		run timeout 20 "$MW" ledger --json "$BATS_TEST_TMPDIR/cut"
		[ "$status" -le 1 ]
	done
	jq -e '.coverage.present_bytes < .coverage.promised_bytes' <<<"${lines[-1]}"
}

@test "cores that claim all addresses are read as fast as what they hold" {
	cat >"$BATS_TEST_TMPDIR/keeps.py" <<-'EOF'
	import os, time
	kept = [[i, str(i), {i: i}, (i, float(i)), {i}] for i in range(500)]
	print("ready", os.getpid(), flush=True)
	time.sleep(1000)
	EOF
	for library in "" "$LIBDIR/libjemalloc.so.2" "$LIBDIR/libtcmalloc.so.4" "$LIBDIR/libmimalloc.so.2"; do
		RUN="env LD_PRELOAD=$library" start_workload python3 -S -E "$BATS_TEST_TMPDIR/keeps.py"
		gcore -o "$BATS_TEST_TMPDIR/core" "$PID" >/dev/null 2>&1
		kill "$PID"
		size=$(stat -c %s "$BATS_TEST_TMPDIR/core.$PID")
		# Without the C library's data heaps are searched for.
		for part in 10 97 100; do
			head -c $((size * part / 100)) "$BATS_TEST_TMPDIR/core.$PID" >"$BATS_TEST_TMPDIR/cut"
			python3 "$BATS_TEST_DIRNAME/wide_core.py" "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR/wide"
			for command in ledger leaks why; do
				run timeout 30 "$MW" "$command" -j "$BATS_TEST_TMPDIR/wide"
				[ "$status" -le 1 ]
			done
		done
	done
}

@test "a snapshot that lost the C library's data: heaps with holes are read to their ends" {
	cat >"$BATS_TEST_TMPDIR/holes.c" <<-'EOF'
	#include <malloc.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <unistd.h>
	enum { BLOCKS = 40009 };
	static char *blocks[BLOCKS];
	int main(void)
	{
		for (int i = 0; i < BLOCKS; i++)
			memset(blocks[i] = malloc(300), 1, 300);
		for (int i = BLOCKS / 4; i < BLOCKS / 2; i++)
			free(blocks[i]);
		malloc_trim(0);
		printf("ready %d\n", getpid());
		fflush(stdout);
		pause();
	}
	EOF
	gcc -O0 -w -o "$BATS_TEST_TMPDIR/holes" "$BATS_TEST_TMPDIR/holes.c"
	start_workload "$BATS_TEST_TMPDIR/holes"
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	truncate -s "$(($(stat -c %s "$BATS_TEST_TMPDIR/s") * 97 / 100))" "$BATS_TEST_TMPDIR/s"
	"$MW" malloc --json "$BATS_TEST_TMPDIR/s" | jq -e '.arenas[0].live.count | . > 30000 and . < 30100' >/dev/null
	"$MW" ledger --json "$BATS_TEST_TMPDIR/s" | jq -e '.unknown_bytes < .resident_bytes * 0.03' >/dev/null
}

# The workload's heap of the kind HOW: live and as a snapshot malloc is right and the ledger sums.
odd_heap() { # THREADS HOW
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" "$1" 7919 "$2"
	truth "$PID"
	ledger_is_rss
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	truth "$BATS_TEST_TMPDIR/s"
	ledger_sums "$BATS_TEST_TMPDIR/s"
}

bytes_of() { jq "[.entries[] | select(.owner == \"$1\") | .bytes] | add // 0" "$BATS_TEST_TMPDIR/ledger.json"; }

@test "somebody else calls sbrk between malloc's calls" { FOREIGN=70000 odd_heap 2 foreign; }

@test "brk fails: the main arena goes on in mappings" { odd_heap 2 nobrk; }

@test "huge pages, transparent ones" {
	odd_heap 0 huge
	[ "$(bytes_of anon/unknown)" -ge $((8 << 20)) ]
}

@test "huge pages of hugetlbfs" {
	set_kernel /proc/sys/vm/nr_hugepages 4
	odd_heap 0 hugetlb
	[ "$(bytes_of hugetlb)" = $((8 << 20)) ]
}

@test "over 65535 mappings: the core's header can't count them (PN_XNUM)" {
	set_kernel /proc/sys/vm/max_map_count 200000
	odd_heap 0 many
	[ "$(readelf -hW "$BATS_TEST_TMPDIR/s" 2>/dev/null | sed -n 's/.*program headers: *65535 (\(.*\))/\1/p')" -gt 70000 ]
}

@test "a heap in swap" {
	fallocate -l 128M "$BATS_TEST_TMPDIR/swap"
	chmod 600 "$BATS_TEST_TMPDIR/swap"
	mkswap -q "$BATS_TEST_TMPDIR/swap"
	swapon "$BATS_TEST_TMPDIR/swap"
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 7919 swap
	wait_until 30 awk '/^VmSwap:/ && $2 > 100 { found = 1 } END { exit !found }' "/proc/$PID/status"
	truth "$PID"
	ledger_is_rss
	kill "$PID"
}

@test "a process that can't be looked at: one line says which kind" {
	refused "no such process" 4194305
	refused "kernel thread" 2
	sh -c 'sleep 0 & exec sleep 60' 3>&- &
	STARTED+=($!)
	wait_until 30 pgrep -P $!
	wait_until 30 grep -q '^State:.*zombie' "/proc/$(pgrep -P $!)/status"
	refused zombie "$(pgrep -P $!)"
}

@test "a stopped process is looked at and stays stopped" {
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 2 1009
	kill -STOP "$PID"
	truth "$PID"
	truth "$PID" --stop
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	truth "$BATS_TEST_TMPDIR/s"
	wait_until 30 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	kill -CONT "$PID"
}

@test "a 32-bit process, and cores of 32 bits and of other processors" {
	echo 'void _start(void) { for (;;) __asm__ volatile("int $0x80" : : "a"(29)); }' >"$BATS_TEST_TMPDIR/p.c"
	gcc -m32 -nostdlib -static -ffreestanding -fno-pie -no-pie -o "$BATS_TEST_TMPDIR/p" "$BATS_TEST_TMPDIR/p.c"
	"$BATS_TEST_TMPDIR/p" 3>&- &
	STARTED+=($!)
	wait_until 30 grep -q '/p$' "/proc/$!/maps"
	refused 32-bit $!
	start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 0 1009
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/s"
	printf '\267' | dd of="$BATS_TEST_TMPDIR/s" bs=1 seek=18 conv=notrunc status=none
	refused aarch64 "$BATS_TEST_TMPDIR/s"
	printf '\001' | dd of="$BATS_TEST_TMPDIR/s" bs=1 seek=4 conv=notrunc status=none
	refused 32-bit "$BATS_TEST_TMPDIR/s"
}

@test "a process that ends while it is looked at" {
	for delay in 0.005 0.01 0.02 0.04; do
		start_workload "$WORK/heap" "$BATS_TEST_TMPDIR/truth" 3 20011
		(
			sleep $delay
			kill -KILL "$PID"
		) 3>&- 7>&- &
		run timeout 20 "$MW" ledger --json "$PID"
		[ "$status" -le 1 ]
		jq -e 'has("entries") or has("error")' <<<"${lines[-1]}"
	done
}

@test "symbols: of the file, of its debug file by name and checksum" {
	cat >"$BATS_TEST_TMPDIR/named.c" <<-'EOF'
	#include <stdio.h>
	#include <unistd.h>
	static int hidden_table[100] = {1};
	__attribute__((noinline)) static int hidden_function(int i) { return hidden_table[i]; }
	int main(void)
	{
		printf("ready %d\ntable %p\ncode %p\n", getpid(), (void *)(hidden_table + 3), (void *)hidden_function);
		fflush(stdout);
		return pause() + hidden_function(getpid() % 100);
	}
	EOF
	cd "$BATS_TEST_TMPDIR"
	gcc -g -O1 -o named named.c
	look() {
		start_workload "$BATS_TEST_TMPDIR/named"
		wait_until 30 grep -q ^code "$BATS_TEST_TMPDIR/said"
		"$MW" whatis --json "$PID" "$(said table)" "$(said code)" | jq -r '.symbol | "\(.name)+\(.offset)"' >names
		kill "$PID"
		wait "$PID" || true # until then the file is busy
	}
	look
	[ "$(tr '\n' ' ' <names)" = "hidden_table+12 hidden_function+0 " ]
	objcopy --only-keep-debug named named.debug
	strip named
	look
	[ "$(tr '\n' ' ' <names)" = "null+null null+null " ]
	objcopy --add-gnu-debuglink=named.debug named
	mkdir .debug
	mv named.debug .debug/
	look
	[ "$(tr '\n' ' ' <names)" = "hidden_table+12 hidden_function+0 " ]
	# Another file of that name is not taken.
	echo >>.debug/named.debug
	look
	[ "$(tr '\n' ' ' <names)" = "null+null null+null " ]
}

@test "a process whose heap grows while it is read" {
	start_python /usr/bin/python3 -c 'import time
kept = []
while True:
    kept.append(bytearray(3000)); time.sleep(0.0002)
    if len(kept) == 1000: print("ready", flush=True)'
	for i in 1 2 3 4 5; do
		"$MW" ledger --json "$PID" | jq -e '.unknown_bytes < 0.03 * .resident_bytes' >/dev/null
	done
}

#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Other allocators than glibc's in libc.so: preloaded, linked in, static, loaded later.

load lib


setup() { setup_common; }
teardown() {
	teardown_common
	[ ! -d "$BATS_TEST_TMPDIR/private" ] || umount -l "$BATS_TEST_TMPDIR/private"
}

# The same workload, whatever allocates: sizes must be exact.
check_sizes() {
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(last .total.alloc.calls)" "$(said alloc_calls)" calls
	expect "$(last .total.alloc.bytes)" "$(said alloc_bytes)" bytes
	expect "$(last .total.free.calls)" "$(said free_calls)" frees
	expect "$(last .outstanding.count)" "$(said outstanding_count)" outstanding
	expect "$(last .outstanding.bytes)" "$(said outstanding_bytes)" "outstanding bytes"
	expect "$(class_count 4000)" "$(said size_4000)" "size 4000"
}

# Which allocator did -v say it found?
check_kind() {
	"$MW" stat --mode exact -v -n 1 -i 0.1 "$PID" >/dev/null 2>"$BATS_TEST_TMPDIR/evidence" 7>&-
	grep -q "^allocator $1" "$BATS_TEST_TMPDIR/evidence" || { cat "$BATS_TEST_TMPDIR/evidence" >&2; return 1; }
}

build() { # NAME COMPILER FLAGS...
	local out="$BATS_TEST_TMPDIR/$1" compiler=$2
	shift 2
	"$compiler" -O1 -std=gnu11 -D_GNU_SOURCE -fno-builtin -w -o "$out" "$BATS_TEST_DIRNAME/workloads/counts.c" "$@" -lpthread
	echo "$out"
}

@test "jemalloc, preloaded" {
	RUN="env LD_PRELOAD=$LIBDIR/libjemalloc.so.2" start_workload "$WORK/counts" sizes
	check_kind jemalloc
	check_sizes
}

@test "jemalloc, linked" {
	start_workload "$(build j gcc -ljemalloc)" sizes
	check_kind jemalloc
	check_sizes
}

@test "jemalloc, static in the program" {
	start_workload "$(build js gcc "$LIBDIR/libjemalloc.a" -lstdc++ -lm -ldl)" sizes
	check_kind jemalloc
	check_sizes
}

@test "tcmalloc, preloaded" {
	RUN="env LD_PRELOAD=$LIBDIR/libtcmalloc.so.4" start_workload "$WORK/counts" sizes
	check_kind tcmalloc
	check_sizes
}

@test "tcmalloc, linked" {
	start_workload "$(build t gcc -ltcmalloc_minimal)" sizes
	check_kind tcmalloc
	check_sizes
}

@test "mimalloc, preloaded" {
	RUN="env LD_PRELOAD=$LIBDIR/libmimalloc.so.2.0" start_workload "$WORK/counts" sizes
	check_kind mimalloc
	check_sizes
}

@test "mimalloc, linked" {
	start_workload "$(build m gcc -Wl,--no-as-needed -lmimalloc)" sizes
	check_kind mimalloc
	check_sizes
}

@test "glibc, static" {
	start_workload "$(build s gcc -static)" sizes
	check_kind glibc
	check_sizes
	expect "$(last .total.placement.other.calls)" 0 "blocks whose place is not known"
	expect "$(last .mmap_threshold)" 131072 "mmap threshold"
}

@test "musl, dynamic" {
	start_workload "$(build d musl-gcc)" sizes
	check_kind musl
	check_sizes
}

@test "musl, static" {
	start_workload "$(build ms musl-gcc -static)" sizes
	check_sizes
}

@test "musl counts each function once, too" {
	start_workload "$(build d musl-gcc)" threads 11
	start_watch "$PID"
	go_and_wait
	stop_watch
	expect_no_loss
	expect "$(last '[.total.sizes[] | select(.low == 49 or .low == 65) | .count] | add')" "$(said thread_mallocs)" mallocs
}

@test "functions of jemalloc, tcmalloc and mimalloc nest as they like, each call counts once" {
	for lib in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2.0; do
		RUN="env LD_PRELOAD=$LIBDIR/$lib" start_workload "$WORK/counts" functions 1
		start_watch "$PID"
		go_and_wait
		stop_watch
		for f in malloc calloc posix_memalign; do
			expect "$(last ".total.functions.$f")" "$(said $f)" "$lib: $f"
		done
		expect "$(last .total.free.null)" "$(said free_null)" "$lib: free(NULL)"
		expect "$(last .outstanding.count)" 0 "$lib: outstanding"
		expect "$(last .total.free.unknown)" 0 "$lib: frees of unknown blocks"
		go
	done
}

@test "C++: operator new and delete of tcmalloc count, glibc's only through malloc" {
	cat >"$BATS_TEST_TMPDIR/c.cc" <<-'EOF'
	#include <cstdio>
	#include <unistd.h>
	#include <new>
	struct big { char bytes[3001]; };
	int main() {
		char c[3]; printf("ready %d\n", getpid()); fflush(stdout); read(0, c, 3);
		for (int i = 0; i < 401; i++) { big *volatile p = new big; delete p; }
		for (int i = 0; i < 409; i++) { char *volatile p = new char[6007]; delete[] p; }
		for (int i = 0; i < 419; i++) { char *volatile p = new (std::nothrow) char[9011]; delete[] p; }
		printf("done 1\n"); fflush(stdout); read(0, c, 3);
	}
	EOF
	g++ -O1 -w -fno-builtin -o "$BATS_TEST_TMPDIR/c" "$BATS_TEST_TMPDIR/c.cc"
	for lib in "" "$LIBDIR/libtcmalloc.so.4" "$LIBDIR/libmimalloc.so.2.0" "$LIBDIR/libjemalloc.so.2"; do
		RUN="env LD_PRELOAD=$lib" start_workload "$BATS_TEST_TMPDIR/c"
		start_watch "$PID"
		go_and_wait
		stop_watch
		expect_no_loss
		expect "$(class_count 3001)" 401 "$lib: new"
		expect "$(class_count 6007)" 409 "$lib: new[]"
		expect "$(class_count 9011)" 419 "$lib: new (nothrow)"
		expect "$(last '.total.free.calls >= 1229')" true "$lib: deletes"
		expect "$(last '.total.alloc.calls - .total.free.calls == .outstanding.count')" true "$lib: each delete counts once"
		go
	done
}

@test "an allocator that is loaded later with dlopen is picked up" {
	cat >"$BATS_TEST_TMPDIR/plugin.c" <<-'EOF'
	#include <stddef.h>
	static char heap[1 << 26];
	static size_t used;
	void *malloc(size_t size) { void *p = heap + used; used += (size + 15) & ~15UL; return p; }
	void free(void *p) { used = p ? (size_t)((char *)p - heap) : used; }
	EOF
	gcc -O1 -fno-builtin -fPIC -shared -Wl,-Bsymbolic -o "$BATS_TEST_TMPDIR/plugin.so" "$BATS_TEST_TMPDIR/plugin.c"
	start_workload "$WORK/counts" dlopen "$BATS_TEST_TMPDIR/plugin.so"
	start_watch "$PID"
	go_and_wait loaded
	wait_until 30 grep -q '"kind":"allocator"' "$BATS_TEST_TMPDIR/out"
	go_and_wait theirs
	stop_watch
	expect "$(class_count 77777)" 521 "calls into it"
}

@test "a library that was replaced on disk is still the one that is probed" {
	cp "$LIBDIR/libjemalloc.so.2" "$BATS_TEST_TMPDIR/libj.so"
	RUN="env LD_PRELOAD=$BATS_TEST_TMPDIR/libj.so" start_workload "$WORK/counts" sizes
	rm "$BATS_TEST_TMPDIR/libj.so"
	cp /bin/true "$BATS_TEST_TMPDIR/libj.so"
	check_kind jemalloc
	check_sizes
}

@test "a target in a mount namespace of its own" {
	# The root of a chroot is no mount and can't be made private, so a mount that can be is below it.
	local private=$BATS_TEST_TMPDIR/private
	mkdir "$private"
	mount -t tmpfs --make-private none "$private"
	mkdir "$private/hidden"
	cat >"$BATS_TEST_TMPDIR/run" <<-EOF
		#!/bin/sh
		mount -t tmpfs none "$private/hidden" &&
			cp $LIBDIR/libjemalloc.so.2 "$private/hidden/" &&
			LD_PRELOAD=$private/hidden/libjemalloc.so.2 exec $WORK/counts sizes
	EOF
	start_workload unshare -m --propagation unchanged sh "$BATS_TEST_TMPDIR/run"
	[ ! -e "$private/hidden/libjemalloc.so.2" ]
	check_kind jemalloc
	check_sizes
}

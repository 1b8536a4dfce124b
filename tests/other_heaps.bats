#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Heaps of other allocators than glibc's, against what the allocators say of themselves.

bats_require_minimum_version 1.5.0
load lib


setup() { setup_common; }
teardown() { teardown_common; }

# Three threads fill and thin out a heap of the library; $DOC gets what memwhere says of it.
measure() { # LIBRARY
	RUN="env LD_PRELOAD=$LIBDIR/$1" start_workload "$WORK/slabs" 30011 3
	wait_asleep "$PID"
	DOC=$BATS_TEST_TMPDIR/doc
	"$MW" malloc --stop -j "$PID" 7>&- | jq -s '[.[]|select(.allocator!="glibc")][0]' >"$DOC"
}
sum() { jq "[.arenas[]|$1]|add" "$DOC"; }
# The library itself allocates a little between its two answers.
near() { # IS MEANT SLACK NAME
	local off=$(($1 - $2))
	[ "${off#-}" -le "$3" ] || { echo "$4: $1, not $2" >&2; return 1; }
}
unknown_below_3() {
	"$MW" ledger --stop -j "$1" 7>&- | jq -e '.unknown_bytes / .resident_bytes < 0.03' >/dev/null
}

@test "jemalloc: live, cached and dirty bytes are mallctl's" {
	measure libjemalloc.so.2
	jq -e '.allocator=="jemalloc" and .problems==[]' "$DOC" >/dev/null
	near "$(sum .in_use_bytes)" "$(said allocated)" 120000 allocated
	near "$(sum .caches.bytes)" "$(said cached)" 20000 caches
	near "$(sum .dirty.bytes)" "$(said dirty)" 65536 dirty
	near "$(sum .retained.bytes)" "$(said retained)" 65536 retained
	near "$(sum .live.count)" "$(said live)" 40 blocks
	[ "$(jq .tcaches "$DOC")" -eq 4 ]
	"$MW" whatis "$PID" "$(said block)" 7>&- | grep -q '^0x[0-9a-f]*: jemalloc/live'
	unknown_below_3 "$PID"
}

@test "tcmalloc: allocated, cached and free bytes are MallocExtension's" {
	measure libtcmalloc_minimal.so.4
	jq -e '.allocator=="tcmalloc" and .problems==[]' "$DOC" >/dev/null
	near "$(sum .live.bytes)" "$(said allocated)" 20000 allocated
	near "$(sum .caches.bytes)" "$(($(said thread_caches) + $(said transfer)))" 20000 caches
	near "$(sum .pages.bytes)" "$(said pages)" 65536 pages
	near "$(sum .live.count)" "$(said live)" 40 blocks
	"$MW" whatis "$PID" "$(said block)" 7>&- | grep -q '^0x[0-9a-f]*: tcmalloc/live'
	unknown_below_3 "$PID"
}

@test "mimalloc: live blocks are the program's" {
	measure libmimalloc.so.2.0
	jq -e '.allocator=="mimalloc" and .problems==[]' "$DOC" >/dev/null
	near "$(sum .live.count)" "$(said live)" 40 blocks
	near "$(sum .live.bytes)" "$(($(said usable) + 8 * 30011))" 65536 bytes
	"$MW" whatis "$PID" "$(said block)" 7>&- | grep -q '^0x[0-9a-f]*: mimalloc/live'
	unknown_below_3 "$PID"
}

@test "mimalloc: segments of which only the beginning is committed" {
	RUN="env LD_PRELOAD=$LIBDIR/libmimalloc.so.2.0" start_workload "$WORK/slabs" 300 2
	wait_asleep "$PID"
	"$MW" malloc --stop -j "$PID" 7>&- >"$BATS_TEST_TMPDIR/doc"
	DOC=$BATS_TEST_TMPDIR/doc
	near "$(sum .live.count)" "$(said live)" 40 blocks
	unknown_below_3 "$PID"
}

@test "a core that lost its end: what is left says whose it is, and no other allocator is named" {
	by_chance # in one run of some 50 the end has what more than 3 % hang on; why is not known
	local library core=$BATS_TEST_TMPDIR/core part name named
	for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2.0; do
		RUN="env LD_PRELOAD=$LIBDIR/$library" start_workload "$WORK/slabs" 10007 3
		wait_asleep "$PID"
		gcore -o "$core" "$PID" >/dev/null 2>&1 7>&-
		name=${library#lib} name=${name%%[._]*}
		for part in 995 950 600; do
			head -c $(($(stat -c %s "$core.$PID") * part / 1000)) "$core.$PID" >"$core.cut"
			"$MW" ledger -j "$core.cut" >"$BATS_TEST_TMPDIR/ledger"
			named=$(jq -r --arg name "$name" '.entries[].owner|select(test("^(\($name)|anon|file|stack|tls|zero|vdso)")|not)' \
				"$BATS_TEST_TMPDIR/ledger")
			[ -z "$named" ] || { echo "$library, $part of 1000: $named" >&2; return 1; }
			[ "$part" -eq 600 ] && continue
			jq -e '.unknown_bytes / .resident_bytes < 0.03' "$BATS_TEST_TMPDIR/ledger" >/dev/null || {
				echo "# $library, $part of 1000: $(jq -c '[.resident_bytes, .unknown[:4], .evidence]' "$BATS_TEST_TMPDIR/ledger")" >&3
				return 1
			}
			"$MW" malloc -j "$core.cut" >"$BATS_TEST_TMPDIR/doc"
			DOC=$BATS_TEST_TMPDIR/doc
			# Objects in caches that are lost with the threads' storage look live.
			[ "$(sum .live.count)" -ge $(($(said live) - 40)) ]
			[ "$(($(sum .live.count) + $(sum '.caches.count // 0')))" -le $(($(said live) + 3500)) ]
		done
		rm -f "$core".*
		kill "$(said ready)"
	done
}

@test "an allocator in the middle of its start: an error, or no more than is there" {
	cat >"$BATS_TEST_TMPDIR/starts.c" <<-'EOF'
	#include <stdlib.h>
	#include <unistd.h>
	void *volatile kept[1009];
	int main(void)
	{
		for (int i = 0; i < 1009; i++)
			kept[i] = malloc(1 + i);
		_exit(0);
	}
	EOF
	gcc -O1 -o "$BATS_TEST_TMPDIR/starts" "$BATS_TEST_TMPDIR/starts.c"
	# It stops whenever the allocator may have asked the kernel for memory, the last time when all is there.
	cat >"$BATS_TEST_TMPDIR/starts.py" <<-EOF
	import gdb, json, subprocess
	def ask(command):
	    run = subprocess.run(["$MW", command, "--json", str(gdb.selected_inferior().pid)], capture_output=True, text=True, timeout=60)
	    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]
	def look(count, last=False):
	    code, heaps = ask("malloc")
	    live = 0
	    if code:
	        assert code == 1 and not last and heaps[0]["error"]["code"], (count, code, heaps)
	    else:
	        live = sum(arena["live"]["count"] for heap in heaps for arena in heap["arenas"])
	        size = sum(arena["system_bytes"] for heap in heaps for arena in heap["arenas"])
	        assert size >= live and live < 1009 + 200 and (live >= 1009 or not last), (count, live, size)
	    code, ledger = ask("ledger")
	    entries = ledger[0]["entries"]
	    assert code == 0 and sum(entry["resident_bytes"] for entry in entries) == ledger[0]["resident_bytes"], count
	    heaps = {entry["owner"].split("/")[0] for entry in entries} & {"glibc", "jemalloc", "tcmalloc", "mimalloc"}
	    assert not heaps - {""}, (count, heaps)
	    return live
	gdb.execute("starti", to_string=True)
	gdb.execute("catch syscall mmap munmap mprotect brk exit_group", to_string=True)
	seen = [look(0)]
	for count in range(1, 1000):
	    gdb.execute("continue", to_string=True)
	    if int(gdb.parse_and_eval("\$orig_rax")) == 231: # exit_group
	        seen.append(look(count, True))
	        break
	    if count % 2:
	        seen.append(look(count))
	print("looks", len(seen), "first", seen[0], "last", seen[-1])
	gdb.execute("kill")
	EOF
	for name in glibc jemalloc tcmalloc mimalloc; do
		library=$(case $name in jemalloc) echo "$LIBDIR/libjemalloc.so.2" ;; tcmalloc) echo "$LIBDIR/libtcmalloc_minimal.so.4" ;; mimalloc) echo "$LIBDIR/libmimalloc.so.2" ;; esac)
		sed "s/{\"\"}/{\"$name\"}/" "$BATS_TEST_TMPDIR/starts.py" >"$BATS_TEST_TMPDIR/of.py"
		gdb -q -batch -ex 'set confirm off' -ex 'set startup-with-shell off' \
			${library:+-ex "set environment LD_PRELOAD $library"} \
			-x "$BATS_TEST_TMPDIR/of.py" "$BATS_TEST_TMPDIR/starts" >"$BATS_TEST_TMPDIR/gdb" 2>&1
		grep -E "^looks ([1-9][0-9]+) first 0 last 1[0-9]{3}$" "$BATS_TEST_TMPDIR/gdb" || { tail -n 20 "$BATS_TEST_TMPDIR/gdb" >&2; return 1; }
	done
}

@test "a library whose heap can't be read is named" {
	cp "$WORK/slabs" "$BATS_TEST_TMPDIR/slabs-of-jemalloc"
	start_workload "$BATS_TEST_TMPDIR/slabs-of-jemalloc" 30011 3
	"$MW" ledger -j "$PID" 7>&- | jq -e '.evidence|any(startswith("jemalloc is loaded, but"))' >/dev/null
}

resident_of() { jq --arg owner "$1" '[.entries[]|select(.owner==$owner).resident_bytes]|add // 0' "$BATS_TEST_TMPDIR/ledger"; }
named() { # OWNER BYTES: of PID's memory at least as many have the name
	"$MW" ledger --stop -j "$PID" 7>&- >"$BATS_TEST_TMPDIR/ledger"
	[ "$(resident_of "$1")" -ge "$2" ] || { jq -c '.entries[]|[.owner,.resident_bytes]' "$BATS_TEST_TMPDIR/ledger" >&2; return 1; }
}

@test "musl's heap, dynamic and static: named with its size, and an error where it is to be walked" {
	for static in "" -static; do
		musl-gcc -O1 $static -o "$BATS_TEST_TMPDIR/slabs" "$BATS_TEST_DIRNAME/workloads/slabs.c"
		start_workload "$BATS_TEST_TMPDIR/slabs" 10007 3
		named musl/heap "$(said requested)"
		unknown_below_3 "$PID"
		run -1 --separate-stderr "$MW" malloc "$PID" 7>&-
		[[ $stderr == *"musl/heap, "*" is recognised and not walked" ]]
	done
}

@test "heaps of Ruby, PHP, V8, HotSpot and Go have their names" {
	start_python ruby -e 'kept = (0...300007).map { |i| "a text that is too long to be in its object #{i}" }
		GC.start; GC.disable; size = GC::INTERNAL_CONSTANTS[:HEAP_PAGE_SIZE]
		puts "pages #{GC.stat(:heap_allocated_pages) * size}", "ready"; STDOUT.flush; sleep'
	named ruby/heap "$(($(said pages) * 99 / 100))"
	start_python ruby -e 'kept = (0...50007).map { |i| { i: i } }; puts "ready"; STDOUT.flush; sleep'
	unknown_below_3 "$PID" # small hashes are short-lived at first
	start_python php -r '$kept = []; for ($i = 0; $i < 100003; $i++) $kept[] = ["i" => $i, "text" => "row $i"];
		echo "size ", memory_get_usage(true), "\nready\n"; sleep(600);'
	named php/heap "$(($(said size) * 9 / 10))"
	[ "$(jq '.entries[]|select(.owner=="php/heap").bytes' "$BATS_TEST_TMPDIR/ledger")" -eq "$(said size)" ]
	unknown_below_3 "$PID"
	start_python node -e 'const kept = []; for (let i = 0; i < 300007; i++) kept.push({ i, text: "row " + i });
		gc(); console.log("heap " + process.memoryUsage().heapUsed); console.log("ready"); setInterval(() => kept.length, 60000)' --expose-gc
	named v8/heap "$(($(said heap) * 9 / 10))"
	start_python java "$BATS_TEST_DIRNAME/workloads/Grow.java"
	named jvm/heap 1000000
	named jvm/code 1000000
	fzf --filter zzzz < <(exec 3>&- 7>&-; seq 1 3000000; exec sleep 600) >/dev/null 3>&- &
	STARTED+=($!)
	PID=$!
	wait_until 30 named go/heap 50000000
}

# No package of Debian's has it: the program lays out its structures, and says what is in them.
@test "Google's tcmalloc: each block is what it was made" {
	start_python "$WORK/google_heap"
	DOC=$BATS_TEST_TMPDIR/doc
	"$MW" malloc --stop -j "$PID" | jq -s '.[]|select(.allocator=="tcmalloc")' >"$DOC"
	jq -e '(.version|endswith("(Google'"'"'s)")) and .problems==[] and .tcaches==3' "$DOC"
	[ "$(sum .live.count)" -eq "$(said live)" ]
	[ "$(sum .live.bytes)" -eq "$(said live_bytes)" ]
	[ "$(sum .caches.bytes)" -eq "$(said cached)" ]
	[ "$(sum .bins.bytes)" -eq "$(said listed)" ]
	[ "$(sum .pages.bytes)" -eq "$(said free)" ]
	"$MW" whatis "$PID" "$(said block)" | grep -q '16 bytes, live; the address is 0 bytes into it'
	"$MW" ledger --stop -j "$PID" | jq -e 'all(.entries[]; .owner!="tcmalloc/heap" or .resident_bytes==0)'
}

@test "Google's tcmalloc of an unknown version is named, not taken for gperftools' or another version" {
	start_python "$WORK/google_heap" moved
	"$MW" ledger -j "$PID" >"$BATS_TEST_TMPDIR/ledger"
	jq -e '(.evidence|any(startswith("Google'"'"'s tcmalloc is loaded, but"))) and
		([.entries[]|select(.owner|startswith("tcmalloc"))|.owner]==["tcmalloc/heap"]) and
		(.entries[]|select(.owner=="tcmalloc/heap")|.resident_bytes>700000)' "$BATS_TEST_TMPDIR/ledger"
}

@test "Python's objects in each allocator are Python's" {
	for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libtcmalloc_minimal_debug.so.4 libmimalloc.so.2.0; do
		PYTHONMALLOC=malloc LD_PRELOAD=$LIBDIR/$library start_python /usr/bin/python3 \
			"$BATS_TEST_DIRNAME/workloads/kept.py"
		"$MW" census --stop -j "$PID" 7>&- >"$BATS_TEST_TMPDIR/census"
		[ "$(jq '.types[]|select(.qualname=="Kept").count' "$BATS_TEST_TMPDIR/census")" -eq 10007 ]
		unknown_below_3 "$PID"
	done
}

@test "why: dirty pages that jemalloc keeps are the first cause, with how they go" {
	MALLOC_CONF=dirty_decay_ms:-1 measure libjemalloc.so.2
	"$MW" why -j --for 1 "$PID" 7>&- >"$BATS_TEST_TMPDIR/why"
	jq -e --argjson dirty "$(said dirty)" '.causes[0]|.cause=="allocator-cache" and
		(.remedy.text|contains("dirty_decay_ms")) and
		(.remedy.bytes/$dirty|.>0.75 and .<1.25)' "$BATS_TEST_TMPDIR/why"
}

@test "two allocators in one process: both are read, and all of it adds up" {
	local prefix=$BATS_TEST_TMPDIR/prefixed name names
	names="malloc free calloc realloc memalign aligned_alloc posix_memalign valloc pvalloc malloc_usable_size"
	for name in $names mallctl mallocx rallocx xallocx sallocx dallocx sdallocx nallocx; do
		echo "$name _rjem_$name"
	done >"$prefix.names"
	objcopy --redefine-syms="$prefix.names" $LIBDIR/libjemalloc_pic.a "$prefix.a"
	echo '{ global: _rjem_*; local: *; };' >"$prefix.map"
	gcc -s -shared -o "$prefix.so" -Wl,--whole-archive "$prefix.a" -Wl,--no-whole-archive \
		-Wl,--version-script="$prefix.map" -lpthread -ldl -lm -lstdc++
	GLIBC_TUNABLES=glibc.rtld.optional_static_tls=20000 start_python /usr/bin/python3 \
		"$BATS_TEST_DIRNAME/workloads/two_allocators.py" "$prefix.so"
	"$MW" malloc --stop -j "$PID" | jq -s '[.[]|select(.allocator=="jemalloc")][0]' >"$BATS_TEST_TMPDIR/doc"
	DOC=$BATS_TEST_TMPDIR/doc
	[ "$(sum .live.count)" -eq "$(said live)" ]
	# Beyond the objects it counts the tables of three or four threads' caches.
	near "$(sum .in_use_bytes)" "$(said allocated)" 120000 allocated
	"$MW" ledger --stop -j "$PID" >"$BATS_TEST_TMPDIR/ledger"
	jq -e '(.entries|map(.resident_bytes)|add)==.resident_bytes and
		(.entries|any(.owner=="jemalloc/live")) and (.entries|any(.owner=="glibc/live"))' \
		"$BATS_TEST_TMPDIR/ledger"
	unknown_below_3 "$PID"
}

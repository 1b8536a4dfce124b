#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Sites: stacks against what programs know of themselves, samples against exact counts, suspects.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

# stack_truth.py goes COUNT times more through all of its stacks.
wait_for_rounds() {
	local until
	until=$(($(said round) + $1))
	rounds() { [ "$(said round)" -ge "$until" ]; }
	wait_while "$WATCH" 60 rounds
}

@test "Python stacks, frame by frame, in every interpreter at hand" {
	count=0
	for python in $(interpreters); do
		rm -f "$BATS_TEST_TMPDIR/truth"
		start_python "$python" "$BATS_TEST_DIRNAME/stack_truth.py" "$BATS_TEST_TMPDIR/truth"
		start_watch "$PID" --sites all --min-size 70000 -i 0.5 --by bytes -t 1000
		wait_for_rounds 20
		stop_watch
		kill "$PID"
		python3 "$BATS_TEST_DIRNAME/check_stacks.py" "$BATS_TEST_TMPDIR/truth" "$BATS_TEST_TMPDIR/out" || {
			echo "$python" >&2
			return 1
		}
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "code that is gone is called freed, never by another function's name" {
	start_python python3 "$BATS_TEST_DIRNAME/workloads/freed_code.py"
	"$MW" stat "$PID" --mode exact --sites all --min-size 70000 -i 1.5 -n 1 --json --by bytes -t 1000 \
		>"$BATS_TEST_TMPDIR/out"
	# Names and lines that don't belong together would be a lie; and the two kinds must be there at all.
	last '.sites.top[].frames[] | select(.kind == "python" and (.function | test("^g[0-9]+$"))) |
		"\(.function[1:]) \(.line)"' | awk '$2 != $1 % 97 + 1 {print "wrong:", $0; bad = 1} END {exit bad}'
	[ "$(last '[.sites.top[].frames[] | select(.function == "freed code")] | length')" -gt 0 ]
}

@test "the same ranking by samples, by the leaf of all, by all stacks" {
	start_python python3 "$BATS_TEST_DIRNAME/stack_truth.py" "$BATS_TEST_TMPDIR/truth"
	for sites in sampled leaf all; do
		"$MW" stat "$PID" --mode exact --sites $sites --sample 64K -i 3 -n 1 --json --by bytes -t 200 \
			--min-size 70000 >"$BATS_TEST_TMPDIR/out"
		# Bytes by innermost line, as a share of all; the largest three.
		last '[.sites.top[] | {at: "\(.frames[0].file):\(.frames[0].line)", n: .alloc.bytes}] |
			(map(.n) | add) as $all | group_by(.at) |
			map({at: .[0].at, share: ((map(.n) | add) / $all)}) | sort_by(-.share)' >"$BATS_TEST_TMPDIR/$sites"
	done
	# Two lines allocate twice in a round, all others once: those are the first in all three.
	for sites in sampled leaf all; do
		jq -c '[.[0:2][].at] | sort' "$BATS_TEST_TMPDIR/$sites"
	done | sort -u | wc -l | grep -qx 1
	jq -e --slurpfile all "$BATS_TEST_TMPDIR/all" '($all[0][0].share - .[0].share) | fabs < 0.03' \
		"$BATS_TEST_TMPDIR/leaf"
	jq -e --slurpfile all "$BATS_TEST_TMPDIR/all" '($all[0][0].share - .[0].share) | fabs < 0.06' \
		"$BATS_TEST_TMPDIR/sampled"
}

@test "samples estimate what is outstanding, within the error that they state, in 93 of 100 looks" {
	by_chance # one look is like the next: 100 of 112 in one run, 102 to 108 of 110 in others
	start_workload python3 "$BATS_TEST_DIRNAME/workloads/rounds.py" 7
	"$MW" stat "$PID" --mode exact --sample 64K -i 0.2 -n 115 --json -t 1000 -o "$BATS_TEST_TMPDIR/out" 3>&- &
	watch=$!
	STARTED+=("$watch")
	wait_for_report "$watch"
	go
	wait "$watch"
	# Each look sees other blocks. Of errors that are as stated, two standard deviations hold 95.4 of 100.
	jq -s '[.[] | select(.outstanding.bytes > 1000000) |
		{truth: .outstanding.bytes, guess: ([.sites.top[].outstanding.bytes] | add),
		 error: ([.sites.top[].outstanding.error_bytes | . * .] | add | sqrt)} |
		((.truth - .guess) | fabs) <= 2 * .error] | {looks: length, within: (map(select(.)) | length)}' \
		"$BATS_TEST_TMPDIR/out" >"$BATS_TEST_TMPDIR/share"
	cat "$BATS_TEST_TMPDIR/share"
	# 93 of 100 are asked for; 90 leave room for chance at a hundred looks.
	jq -e '.looks >= 90 and .within >= 0.9 * .looks' "$BATS_TEST_TMPDIR/share"
}

# leak.py of each seed in SEEDS, watched with OPTIONS, all at once, for so many REPORTS, and on until somebody is
# accused: how soon that is depends on what else the machine does. The last report of each is in out.SEED.
watch_leaks() { # SEEDS REPORTS OPTION...
	local seed seeds=$1 reports=$2 watches=()
	shift 2
	for seed in $seeds; do
		start_workload python3 "$BATS_TEST_DIRNAME/workloads/leak.py" "$seed"
		"$MW" stat "$PID" -i 0.5 --json -t 20 "$@" -o "$BATS_TEST_TMPDIR/out.$seed" 3>&- &
		STARTED+=("$!")
		watches+=("$!")
		wait_for_report $! "$BATS_TEST_TMPDIR/out.$seed"
		go
		exec 7>&-
	done
	for seed in $seeds; do wait_while "${watches[0]}" 240 accuses "$seed" "$reports"; done
	kill -INT "${watches[@]}"
	wait "${watches[@]}"
}
accuses() { # SEED REPORTS
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out.$1")" -ge "$2" ] &&
		tail -n 1 "$BATS_TEST_TMPDIR/out.$1" | jq -e '.sites.suspects | length > 0'
}

# Nobody else at any time.
only_suspect_is_the_leak() { # SEED
	jq -c '[.sites.suspects[].label]' "$BATS_TEST_TMPDIR/out.$1" | sort -u | tee /dev/stderr |
		jq -s -e 'add | length == 1 and (.[0] | test("leak.py:[0-9]+ load_user"))'
}

@test "a planted leak is the first and only suspect" {
	watch_leaks "1 2 3" 40 --mode exact --sample 32K
	for seed in 1 2 3; do only_suspect_is_the_leak "$seed"; done
}

@test "a suspect has its layer and the container that its line adds to" {
	cat >"$BATS_TEST_TMPDIR/keeps.py" <<-'END'
		import time
		KEPT = []
		def keep():
		    KEPT.append(bytearray(3000))
		print("ready", flush=True)
		while True:
		    keep()
		    time.sleep(0.003)
	END
	start_python python3 "$BATS_TEST_TMPDIR/keeps.py"
	"$MW" stat "$PID" -i 1 --json -o "$BATS_TEST_TMPDIR/out.keeps" 3>&- &
	wait_while $! 240 has_holder keeps
	kill -INT $!
	wait $!
	tail -n 1 "$BATS_TEST_TMPDIR/out.keeps" | jq -e '.sites.suspects[0] | (.label | startswith("keeps.py:4 keep ")) and
		.holder.path == "keeps.KEPT" and .holder.type == "list" and .holder.length > 1000 and (.layer == "malloc" or .layer == "python")'
}
has_holder() { [ -s "$BATS_TEST_TMPDIR/out.$1" ] && tail -n 1 "$BATS_TEST_TMPDIR/out.$1" | jq -e '.sites.suspects[0].holder'; }

# Both modes at once: what is waited for is looks at the heap, seven of them.
@test "buffers that grow by realloc are named, and by how much, in exact mode and within a budget" {
	by_chance
	local watches=() pairs
	for pairs in 200 300000; do
		start_workload "$WORK/swells" "$pairs"
		"$MW" stat "$PID" -i 0.5 --json -o "$BATS_TEST_TMPDIR/out.$pairs" 3>&- &
		STARTED+=("$!")
		watches+=("$!")
		exec 7>&-
	done
	for pairs in 200 300000; do wait_while "${watches[0]}" 240 accuses "$pairs" 1; done
	kill -INT "${watches[@]}"
	wait "${watches[@]}"
	for pairs in 200 300000; do
		tail -n 1 "$BATS_TEST_TMPDIR/out.$pairs" | jq -c '.mode, .sites.suspects'
		tail -n 1 "$BATS_TEST_TMPDIR/out.$pairs" | jq -e '.mode == (if $pairs == 200 then "exact" else "windows" end) and
			(.sites.suspects | length == 1 and (.[0] | (.label | startswith("swells.c swell:")) and
			.bytes_per_second > 150000 and .bytes_per_second < 250000))' --argjson pairs "$pairs"
	done
}

@test "within a budget, too: blocks of windows are followed between them" {
	by_chance
	watch_leaks "4 5" 110
	for seed in 4 5; do
		expect "$(tail -n 1 "$BATS_TEST_TMPDIR/out.$seed" | jq -r .mode)" windows mode
		only_suspect_is_the_leak "$seed"
	done
}

@test "growth mode names the lines that made the kernel give memory" {
	start_workload python3 "$BATS_TEST_DIRNAME/workloads/leak.py" 3
	"$MW" stat "$PID" --max-overhead 0 -i 1 -n 6 --json -t 50 -o "$BATS_TEST_TMPDIR/out" 3>&- &
	watch=$!
	STARTED+=("$watch")
	wait_for_report "$watch"
	go
	wait "$watch"
	expect "$(last .mode)" growth mode
	expect "$(last .alloc.calls)" 0 "calls without probes"
	# What sites have grown by is what the kernel's counters say, of brk and private mappings.
	last '([.total.sites.top[].growth.bytes] | add) / (.total.brk.grown_bytes + .total.mmap.bytes) | . > 0.99 and . < 1.01' |
		grep -qx true
	last '[.total.sites.top[] | select(.frames[0].file | test("leak.py"))] | length > 0' | grep -qx true
}

@test "native frames of programs without frame pointers" {
	cat >"$BATS_TEST_TMPDIR/a.c" <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <unistd.h>
		__attribute__((noinline)) void *third(int n) { char pad[200]; pad[n % 200] = 1; void *p = malloc(70001 + pad[n % 200]); __asm__ volatile("" :: "r"(p), "r"(pad) : "memory"); return p; }
		__attribute__((noinline)) void *second(int n) { void *p = third(n + 1); __asm__ volatile("" ::: "memory"); return p; }
		__attribute__((noinline)) void *first(int n) { if (n) { void *p = first(n - 1); __asm__ volatile("" ::: "memory"); return p; } void *p = second(n); __asm__ volatile("" ::: "memory"); return p; }
		int main(void) { printf("ready\n"); fflush(stdout); for (;;) { free(first(5)); usleep(1000); } }
	EOF
	gcc -O2 -fomit-frame-pointer -o "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/a.c"
	start_python "$BATS_TEST_TMPDIR/a"
	"$MW" stat "$PID" --mode exact --sites all -i 1 -n 1 --json --by bytes >"$BATS_TEST_TMPDIR/out"
	expect "$(last '.sites.top[0].frames | map(.function) | .[0:9] | join(" ")')" \
		"third second first first first first first first main" frames
	kill "$PID"
	cat >"$BATS_TEST_TMPDIR/b.cc" <<-'EOF'
		#include <cstdio>
		#include <unistd.h>
		namespace shop { template <class T> struct Cart { __attribute__((noinline)) T *add(int n) { T *p = new T[n]; __asm__ volatile("" :: "r"(p) : "memory"); return p; } }; }
		int main() { shop::Cart<long> c; printf("ready\n"); fflush(stdout); for (;;) { delete[] c.add(9001); usleep(1000); } }
	EOF
	g++ -O2 -fomit-frame-pointer -o "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/b.cc"
	start_python "$BATS_TEST_TMPDIR/b"
	"$MW" stat "$PID" --mode exact --sites all -i 1 -n 1 --json --by bytes >"$BATS_TEST_TMPDIR/out"
	last '.sites.top[0].frames[0:3] | map(.function) | join(" ")' | grep -F 'operator new shop::Cart<long>::add main'
	kill "$PID"
	cat >"$BATS_TEST_TMPDIR/r.rs" <<-'EOF'
		use std::io::Write;
		mod shop {
		    pub struct Cart<T> { pub items: Vec<T> }
		    impl<T> Cart<T> { #[inline(never)] pub fn add(&mut self, n: usize) -> usize { self.items = Vec::with_capacity(n); self.items.capacity() } }
		}
		#[inline(never)]
		fn order(n: usize) -> usize { let mut c = shop::Cart::<u64> { items: Vec::new() }; c.add(n) + 1 }
		fn main() {
		    println!("ready"); std::io::stdout().flush().unwrap();
		    let n = std::env::args().count() + 9000;
		    loop { if order(n) == 0 { return; } std::thread::sleep(std::time::Duration::from_millis(1)); }
		}
	EOF
	rustc -C opt-level=2 -C force-frame-pointers=no -o "$BATS_TEST_TMPDIR/r" "$BATS_TEST_TMPDIR/r.rs"
	start_python "$BATS_TEST_TMPDIR/r"
	"$MW" stat "$PID" --mode exact --sites all -i 1 -n 1 --json --by bytes >"$BATS_TEST_TMPDIR/out"
	# Whether type arguments are in the name is up to the compiler's way of mangling.
	last '.sites.top[0].frames[0:3] | map(.function) | join(" ")' | grep -xE '<?r::shop::Cart(<.*>)?>?::add r::order r::main'
}

@test "frames of an extension module stand between those of Python that called it and that it calls" {
	mkdir "$BATS_TEST_TMPDIR/ext"
	cat >"$BATS_TEST_TMPDIR/ext/ext.c" <<-'EOF'
		#include <Python.h>
		__attribute__((noinline)) static PyObject *ext_inner(PyObject *f) { PyObject *r = PyObject_CallObject(f, NULL); __asm__ volatile("" ::: "memory"); return r; }
		static PyObject *ext_call(PyObject *self, PyObject *f) { PyObject *r = ext_inner(f); (void)self; __asm__ volatile("" ::: "memory"); return r; }
		static PyMethodDef methods[] = {{"call", ext_call, METH_O, NULL}, {NULL, NULL, 0, NULL}};
		static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "ext", NULL, -1, methods, NULL, NULL, NULL, NULL};
		PyMODINIT_FUNC PyInit_ext(void) { return PyModule_Create(&def); }
	EOF
	# shellcheck disable=SC2046 # flags are words
	gcc -O2 -fomit-frame-pointer -shared -fPIC $(python3-config --includes) -o "$BATS_TEST_TMPDIR/ext/ext.so" "$BATS_TEST_TMPDIR/ext/ext.c"
	cat >"$BATS_TEST_TMPDIR/e.py" <<-'EOF'
		import sys, time
		sys.path.insert(0, sys.argv[1])
		import ext
		def inner(): return len(bytearray(70001))
		def outer(): return ext.call(inner)
		print("ready"); sys.stdout.flush()
		while True: outer(); time.sleep(0.001)
	EOF
	start_python /usr/bin/python3 "$BATS_TEST_TMPDIR/e.py" "$BATS_TEST_TMPDIR/ext"
	"$MW" stat "$PID" --mode exact --sites all --min-size 70000 -i 1 -n 1 --json --by bytes >"$BATS_TEST_TMPDIR/out"
	expect "$(last '.sites.top[0].frames | map(.function) | .[0:5] | join(" ")')" \
		"inner ext_inner ext_call outer <module>" frames
}

@test "children of a prefork server have sites, too" {
	cat >"$BATS_TEST_TMPDIR/fork.py" <<-'EOF'
		import os, sys, time
		def worker():
		    while True: len(bytearray(70001)); time.sleep(0.001)
		print("ready", os.getpid()); sys.stdout.flush()
		sys.stdin.readline()
		for i in range(3):
		    if not os.fork(): worker()
		for i in range(3): os.wait()
	EOF
	start_workload python3 "$BATS_TEST_TMPDIR/fork.py"
	start_watch "$PID" --follow --sites all --min-size 70000 --by bytes
	go
	at_work() { [ "$(last '.total.alloc.calls > 1000')" = true ]; }
	wait_while "$WATCH" 60 at_work
	stop_watch
	pkill -P "$PID"
	expect "$(last '.sites.top[0].frames[0] | "\(.function) \(.line)"')" "worker 3" "the children's line"
}

# The kernel's own clock of another process is as old as the last tick: some 20 of 500 are right by it.
@test "the CPU time that a budget is a share of is exact at any moment" {
	run "$BUILD/tests/cpu_clock"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${output%% *}" -ge 450 ]
}

@test "a budget: windows, scaled to the truth, and what it costs is said" {
	"$WORK/rated" "$BATS_TEST_TMPDIR/truth" 20000 &
	PID=$!
	STARTED+=("$PID")
	sleep 0.5
	"$MW" stat "$PID" -i 5 --json -o "$BATS_TEST_TMPDIR/out" 3>&- &
	WATCH=$!
	STARTED+=("$WATCH")
	# On a busy machine a window costs more, so they are fewer.
	some_windows() { [ "$(last '.governor.windows >= 3 and .governor.enough')" = true ]; }
	wait_while "$WATCH" 180 some_windows || { last .governor; return 1; } >&2
	stop_watch
	expect "$(last .mode)" windows mode
	expect "$(last .outstanding)" null "outstanding"
	# Of 10 blocks 4 have 24 bytes, 3 have 100, 2 have 700, 1 has 5000: shares, which no machine's noise moves.
	last '[.total.sizes[] | {l: .low, n: .count}] | (map(.n) | add) as $all | map(.n / $all) |
		[.[0] / 0.4, .[1] / 0.3, .[2] / 0.2, .[3] / 0.1] | all(. > 0.97 and . < 1.03)' | grep -qx true
	last '.governor.cost_percent > 0 and .governor.cost_percent < 3' | grep -qx true
	last '.governor.standing_percent > 0 and .governor.standing_percent < .governor.cost_percent' | grep -qx true
	jq -se 'all(.[].governor; .enough == (.error != null) and .system_calls_seen == 1)' "$BATS_TEST_TMPDIR/out"
	kill "$PID"
	# A program that hardly allocates affords all probes, at Python's small objects, too.
	start_python python3 -c 'text = "a" * 200000
print("ready", flush=True)
while True:
	bytearray(100000)
	for c in text: pass'
	"$MW" stat "$PID" -i 2 --json -o "$BATS_TEST_TMPDIR/out" 3>&- &
	WATCH=$!
	STARTED+=("$WATCH")
	probes_stay() { [ "$(last .governor.always)" = true ]; }
	wait_while "$WATCH" 60 probes_stay
	stop_watch
	# All is exact, unless the two layers' probes were tried one after the other: then what it was not is said.
	last '.mode == "exact" or .governor.coverage > 0.9' | grep -qx true
}

# Two system calls for each byte: to see them all would take several times the budget.
@test "a program that makes system calls all the time is within the budget, too, and what went unseen is said" {
	dd if=/dev/zero of=/dev/null bs=1 2>/dev/null &
	PID=$!
	STARTED+=("$PID")
	"$MW" stat "$PID" -i 1 -n 15 --json -o "$BATS_TEST_TMPDIR/out" 3>&-
	jq -c '.governor | [.cost_percent, .standing_percent, .system_calls_seen]' "$BATS_TEST_TMPDIR/out" | sed -n "1p;10p;15p"
	jq -se '.[9].governor.cost_percent < 3 and .[14].governor.cost_percent < 2.5' "$BATS_TEST_TMPDIR/out"
	last '.governor.system_calls_seen > 0.01 and .governor.system_calls_seen < 0.9' | grep -qx true
	"$MW" stat "$PID" -i 2 -n 1 2>&1 | grep "system calls, which are many, were seen in .* brk, mmap and their lines are of that"
}

@test "bad values of the options for sites and budgets" {
	for bad in "--max-overhead x" "--max-overhead -1" "--max-overhead 101" "--max-overhead nan" "--sample 0" "--sites some" \
		"--by name" "--top 0" "--top 1001" "--sample 5G"; do
		# shellcheck disable=SC2086 # words
		run "$MW" stat $bad 1
		[ "$status" -eq 2 ] || { echo "$bad: $status $output" >&2; return 1; }
	done
}

@test "a target that samples its own allocations (otel_memory), without a probe on malloc" {
	cat >"$BATS_TEST_TMPDIR/o.c" <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/sdt.h>
		#include <unistd.h>
		__attribute__((noinline)) void *sampled(unsigned long size, unsigned long weight) { void *p = malloc(size); DTRACE_PROBE3(otel_memory, alloc, p, size, weight); return p; }
		__attribute__((noinline)) void release(void *p) { DTRACE_PROBE1(otel_memory, free, p); free(p); }
		int main(void)
		{
			printf("ready %d\n", getpid()); fflush(stdout); getchar();
			for (int i = 0; i < 997; i++) { void *p = sampled(1000, 524288); if (i % 2) release(p); }
			sleep(600);
		}
	EOF
	gcc -O2 -o "$BATS_TEST_TMPDIR/o" "$BATS_TEST_TMPDIR/o.c"
	start_workload "$BATS_TEST_TMPDIR/o"
	start_watch "$PID" --mode growth --by outstanding
	go
	wait_asleep "$PID"
	stop_watch
	expect "$(last '.total.probes["otel_memory:alloc"].hits')" 997 "samples"
	expect "$(last '.total.probes["otel_memory:alloc"].bytes')" 997000 "their bytes"
	expect "$(last '.total.probes["otel_memory:free"].hits')" 498 "frees"
	expect "$(last '.sites.top[0].frames[0:2] | map(.function) | join(" ")')" "sampled main" site
	expect "$(last '.sites.top[0].outstanding.bytes')" $((499 * 524288)) "what their weights say"
	expect "$(last .alloc.calls)" 0 "calls of malloc that were probed"
}

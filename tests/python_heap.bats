#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Python's heap against what the process itself knows (python_truth.py, check_python.py).

load lib

setup() { setup_common; }
teardown() {
	teardown_common
	restore_settings
}

TRUTH=$BATS_TEST_DIRNAME/python_truth.py
CHECK=$BATS_TEST_DIRNAME/check_python.py

# Start the process that knows what it holds; $F is its folder. It sleeps when this returns.
start_truth() {
	F=$(mktemp -d "$BATS_TEST_TMPDIR/truth.XXXXXX")
	start_workload "$@" "$TRUTH" "$F"
	"$MW" census --json "$PID" >"$F/before.json"
	go_and_wait
	wait_asleep "$PID"
}

end_truth() {
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
	exec 7>&-
}

addresses() { jq -r '.sizes[][1]' "$F/truth.json"; }

# What memwhere says of TARGET (a PID or a core) against the truth.
check_truth() {
	"$MW" census --json "$1" >"$F/census.json"
	"$MW" arenas --json "$1" >"$F/arenas.json"
	# shellcheck disable=SC2046 # a list of words
	"$MW" whatis --json "$1" $(addresses) >"$F/whatis.json"
	python3 "$CHECK" "$F"
}

@test "objects, sizes, free lists and blocks in every interpreter at hand, as they are" {
	count=0
	for python in $(interpreters); do
		start_truth "$python"
		check_truth "$PID"
		end_truth
		count=$((count + 1))
	done
	[ "$count" -ge 1 ]
}

@test "the same with PYTHONMALLOC=malloc, debug and malloc_debug" {
	for python in $(interpreters3); do
		for allocator in malloc debug malloc_debug; do
			PYTHONMALLOC=$allocator start_truth "$python"
			check_truth "$PID"
			end_truth
		done
	done
}

@test "cores say the same as the process: snapshot, gcore, compressed" {
	start_truth python3
	"$MW" snapshot "$PID" -o "$F/snapshot"
	"$MW" snapshot -z "$PID" -o "$F/snapshot.zst"
	gcore -o "$F/gcore" "$PID" >/dev/null 2>&1
	end_truth
	for core in "$F/snapshot" "$F/snapshot.zst" "$F/gcore."*; do
		check_truth "$core"
	done
}

@test "the ledger of a Python program sums to RSS, and less than 1 % is unknown" {
	for python in $(interpreters); do
		start_truth "$python"
		"$MW" ledger --stop --json "$PID" >"$F/ledger.json"
		rss=$(awk '/^Rss:/ {n += $2} END {print n * 1024}' "/proc/$PID/smaps")
		end_truth
		jq -e --argjson rss "$rss" '
			([.entries[].resident_bytes] | add) == .resident_bytes
			and (.resident_bytes - $rss | fabs) <= 262144
			and .unknown_bytes < .resident_bytes / 100
			and ([.entries[] | select(.owner | startswith("python/live/"))] | length) > 30
			and ([.entries[] | select(.owner == "python/free-block" or .owner == "python/gc-head"
				or .owner == "python/arena-overhead")] | length) == 3
		' "$F/ledger.json" >/dev/null || { jq '{resident_bytes, unknown_bytes}' "$F/ledger.json"; return 1; }
	done
}

@test "the parts of the arenas sum to the arenas" {
	start_truth python3
	"$MW" snapshot "$PID" -o "$F/core"
	end_truth
	"$MW" arenas --json "$F/core" >"$F/arenas.json"
	jq -e '
		.arena_bytes == ([.arena_list[].bytes] | add)
		and .used_blocks == ([.classes[].used] | add)
		and .used_bytes == ([.classes[] | .used * .size] | add)
		and .pools.used + .pools.full == ([.classes[].pools] | add)
		and ([.arena_list[] | .used_pools + .full_pools + .free_pools + .unused_pools] | add)
			== .pools.used + .pools.full + .pools.free + .pools.unused
	' "$F/arenas.json" >/dev/null
}

@test "numpy and Django: their data has an owner, less than 2 % is unknown" {
	cat >"$BATS_TEST_TMPDIR/app.py" <<-'EOF'
	import os, sys, time
	import numpy
	kept = [numpy.zeros(100003) for i in range(37)] + [numpy.ones((101, 103), "f4") for i in range(41)]
	import django
	from django.conf import settings
	settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
	    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
	django.setup()
	from django.contrib.auth.models import User
	from django.core.management import call_command
	call_command("migrate", verbosity=0)
	users = [User(username="u%d" % i) for i in range(613)]
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/app.py"
	"$MW" census --json --stop "$PID" >"$BATS_TEST_TMPDIR/census.json"
	"$MW" ledger --json --stop "$PID" >"$BATS_TEST_TMPDIR/ledger.json"
	jq -e '[.types[] | select(.type == "User" and .module == "django.contrib.auth.models")][0].count == 613' \
		"$BATS_TEST_TMPDIR/census.json" >/dev/null
	jq -e '[.types[] | select(.type == "ndarray")][0] | .count >= 78
		and .bytes >= 37 * 800024 + 41 * 41612 and .bytes < 37 * 800024 + 41 * 41612 + 400000' \
		"$BATS_TEST_TMPDIR/census.json" >/dev/null
	# calloc'ed zeros that nobody wrote are not in memory: that is why only the ones count.
	jq -e '.unknown_bytes < .resident_bytes / 50
		and ([.entries[] | select(.owner == "python/buffer/numpy.ndarray")][0].bytes >= 37 * 800024)' \
		"$BATS_TEST_TMPDIR/ledger.json" >/dev/null
}

@test "a program that embeds Python, and four sub-interpreters" {
	cat >"$BATS_TEST_TMPDIR/embed.c" <<-'EOF'
	#include <Python.h>
	#include <unistd.h>
	int main(void)
	{
		PyThreadState *first;
		Py_Initialize();
		PyRun_SimpleString("class Mine: pass\nkept = [Mine() for i in range(1013)]\n");
		first = PyThreadState_Get();
		for (int i = 0; i < 4; i++) {
			Py_NewInterpreter();
			PyRun_SimpleString("class Mine: pass\nkept = [Mine() for i in range(101)]\n");
		}
		PyThreadState_Swap(first);
		printf("ready %d\n", getpid());
		fflush(stdout);
		pause();
		return 0;
	}
	EOF
	# shellcheck disable=SC2046 # lists of words
	gcc -o "$BATS_TEST_TMPDIR/embed" "$BATS_TEST_TMPDIR/embed.c" $(/usr/bin/python3-config --cflags --ldflags --embed)
	start_workload "$BATS_TEST_TMPDIR/embed"
	"$MW" arenas --json "$PID" | jq -e '(.interpreters | length) == 5' >/dev/null
	# Each interpreter has a class of its own.
	"$MW" census --json "$PID" | jq -e '[.types[] | select(.type == "Mine") | .count] | sort == [101, 101, 101, 101, 1013]' >/dev/null
}

# What census says of the first N % of CORE: objects, users, strings, large bytes and the allocator.
cut_census() { # CORE PER_MILLE OPTION...
	cp "$1" "$BATS_TEST_TMPDIR/cut"
	truncate -s $(($(stat -c %s "$1") * $2 / 1000)) "$BATS_TEST_TMPDIR/cut"
	"$MW" census --json "${@:3}" "$BATS_TEST_TMPDIR/cut" 2>/dev/null | jq -c '
		def n(t): [.types[] | select(.type == t) | .count] | add // 0;
		[.objects, ([.types[] | select(.type == "User" or (.type | startswith("type at"))) | .count] | max), n("str"), n("bytes"), .coverage.present_bytes < .coverage.promised_bytes, .allocator]'
}

write_users() { # a program with 20011 objects of a class, in users.py
	cat >"$BATS_TEST_TMPDIR/users.py" <<-'EOF'
	import os, sys, threading, time
	class User:
	    def __init__(self, i):
	        self.name, self.tags, self.photo = "user%d" % i, [i], b"x" * (700 + i % 2)
	users = [User(i) for i in range(20011)]
	lists = [[i] for i in range(60013)] # in a list of one, length and items look like an object's head
	kept = []
	def work():
	    kept.append([bytearray(1000) for i in range(1009)])
	    time.sleep(1000)
	for i in range(2):
	    threading.Thread(target=work, daemon=True).start()
	while len(kept) < 2:
	    time.sleep(0.01)
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
}

@test "a core that was cut short: what it holds is counted, without names, main_arena and a whole arena" {
	write_users
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/users.py"
	gcore -o "$BATS_TEST_TMPDIR/core" "$PID" >/dev/null 2>&1
	core=$(echo "$BATS_TEST_TMPDIR"/core.*)
	cut_census "$core" 1000 | jq -e '.[1] == 20011 and .[2] > 20011 and .[3] > 20011' >/dev/null
	cut_census "$core" 995 | jq -e '.[0] > 90000 and .[1] > 17000 and .[2] > 20011 and .[3] >= 20011
		and .[4] and .[5] == "pymalloc"' >/dev/null
	# The large ones are in brk's heap, which comes first.
	cut_census "$core" 950 | jq -e '.[0] > 20011 and .[3] >= 20011 and .[4]' >/dev/null
	cut_census "$core" 600 | jq -e '.[0] > 20000 and .[3] >= 20011 and .[4] and .[5] != "malloc"' >/dev/null
	"$MW" malloc --json "$BATS_TEST_TMPDIR/cut" | jq -e '
		([.arenas[] | .live.count] | add) > 20011 + 1009 and (.arenas | length) >= 2' >/dev/null
	"$MW" ledger --json "$BATS_TEST_TMPDIR/cut" | jq -e '.unknown_bytes < .resident_bytes / 10' >/dev/null
	zstd -q "$core" -o "$core.zst"
	cut_census "$core.zst" 900 | jq -e '.[0] > 20000 and .[3] >= 20011 and .[4]' >/dev/null
}

@test "a core cut within pymalloc's arenas, wherever: objects that it holds are counted" {
	cat >"$BATS_TEST_TMPDIR/floats.py" <<-'EOF'
	import os, sys, time
	kept = [(float(i), str(i) * 9) for i in range(20011)]
	with open(sys.argv[1], "w") as out:
	    out.writelines("%x\n" % id(number) for number, text in kept)
	print("ready %d" % os.getpid(), flush=True)
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/floats.py" "$BATS_TEST_TMPDIR/addresses"
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/core"
	tried=0
	for ((at = $(stat -c %s "$BATS_TEST_TMPDIR/core"); at > 0; at -= 65536 * 3)); do
		truncate -s "$at" "$BATS_TEST_TMPDIR/core"
		held=$(held_blocks "$BATS_TEST_TMPDIR/core" "$BATS_TEST_TMPDIR/addresses")
		[ "$held" -gt 500 ] || break
		"$MW" census --json "$BATS_TEST_TMPDIR/core" >"$BATS_TEST_TMPDIR/doc" 2>"$BATS_TEST_TMPDIR/err"
		# Of a page that is there the pool's header may be lost; the library has some hundred of its own.
		jq -e --argjson held "$held" '[.types[] | select(.type == "float") | .count + .parked] | add // 0
			| . >= $held * 0.9 - 400 and . <= $held + 800' "$BATS_TEST_TMPDIR/doc" >/dev/null ||
			{ jq -c '.types |= .[:9]' "$BATS_TEST_TMPDIR/doc" >&2; echo "first $at bytes: not $held floats" >&2; return 1; }
		tried=$((tried + 1))
	done
	[ "$tried" -gt 10 ]
}

@test "gc.garbage has its length, also where that is damaged: none that cannot be" {
	cat >"$BATS_TEST_TMPDIR/garbage.py" <<-'EOF'
	import ctypes, gc, os, sys, time
	class Kept(object):
	    pass
	gc.disable()
	gc.garbage.extend([Kept() for i in range(7)])
	for word in sys.argv[1:]: # the list's: size, items, allocated
	    offset, value = map(int, word.split("="))
	    ctypes.c_int64.from_address(id(gc.garbage) + offset).value = value
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
	for python in $(interpreters); do
		want=7
		case $python in */2.7.*|*python2*|*/3.6.*) want=null ;; esac
		# As it is; longer than what is allocated; negative; longer than the block; not to be believed; without items.
		for words in "" "16=1099511627776" "16=-1" "16=500 32=600" "16=1099511627776 32=2199023255552" "24=65536"; do
			# shellcheck disable=SC2086 # a list of words
			start_workload "$python" "$BATS_TEST_TMPDIR/garbage.py" $words
			"$MW" snapshot -q -f "$PID" -o "$BATS_TEST_TMPDIR/core"
			kill -KILL "$PID"
			wait "$PID" 2>/dev/null || true
			"$MW" census --json "$BATS_TEST_TMPDIR/core" >"$BATS_TEST_TMPDIR/doc"
			expect "$(jq .gc.garbage "$BATS_TEST_TMPDIR/doc")" "$want" "gc.garbage of $python, $words"
			expect "$(jq '[.problems[] | select(.message == "length of gc.garbage is not possible")] | length' "$BATS_TEST_TMPDIR/doc")" \
				"$([ "$want" = 0 ] && echo 1 || echo 0)" "problems of $python, $words"
			expect "$(jq '[.types[] | select(.type == "Kept")][0].count' "$BATS_TEST_TMPDIR/doc")" 7 "objects of $python, $words"
			[ "$want" = null ] || want=0
		done
	done
}

@test "a cut core of a position-independent interpreter, whose data is lost: its heap tells" {
	write_users
	for python in $(interpreters3); do
		readelf -h "$(readlink -f "$python")" | grep -q 'Type:.*DYN' && break
	done
	start_workload "$python" "$BATS_TEST_TMPDIR/users.py"
	gcore -o "$BATS_TEST_TMPDIR/core" "$PID" >/dev/null 2>&1
	core=$(echo "$BATS_TEST_TMPDIR"/core.*)
	file=$(awk '$6 ~ "libpython3.*[.]so" {print $6; exit}' "/proc/$PID/maps")
	cut_census "$core" 995 | jq -e '.[0] > 90000 and .[1] == 20011 and .[2] > 20011 and .[3] >= 20011
		and .[4] and .[5] == "pymalloc"' >/dev/null
	cut_census "$core" 950 --exe "${file:-$python}" | jq -e '.[1] > 1000 and .[2] > 1000
		and .[3] >= 20011 and .[4] and .[5] == "pymalloc"' >/dev/null
	cut_census "$core" 950 | jq -e '.[1] >= 20011' >/dev/null
	cut_census "$core" 600 --exe "${file:-$python}" | jq -e '.[3] >= 20011 and .[5] == "unknown"' >/dev/null
	"$MW" census "$BATS_TEST_TMPDIR/cut" | grep -q 'its state is lost'
}

@test "what extension modules hold in malloc's chunks is their types': pixels, a database, a document" {
	cat >"$BATS_TEST_TMPDIR/holds.py" <<-'EOF'
	import os, sqlite3, sys, time
	db = sqlite3.connect(":memory:")
	db.execute("create table t(a, b)")
	db.executemany("insert into t values(?, ?)", ((i, "x" * 100) for i in range(20011)))
	pages = db.execute("pragma page_count").fetchone()[0] * db.execute("pragma page_size").fetchone()[0]
	from PIL import Image
	image = Image.new("RGB", (2003, 1009), 7) # 4 bytes a pixel
	print("database", pages)
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/holds.py"
	wait_asleep "$PID"
	"$MW" census --json "$PID" | jq -e --argjson pages "$(said database)" '
		def held(f): [.types[] | select(f) | .held_bytes] | add;
		held(.type == "ImagingCore") >= 2003 * 1009 * 4 and held(.type == "ImagingCore") < 2003 * 1009 * 4.1
		and held(.module == "sqlite3") >= $pages and held(.module == "sqlite3") < $pages * 1.2 + 200000
		and .held_bytes == ([.types[].held_bytes] | add)' >/dev/null
	"$MW" ledger --json "$PID" | jq -e '([.entries[].resident_bytes] | add) == .resident_bytes
		and ([.entries[] | select(.owner == "python/held/ImagingCore")][0].bytes >= 2003 * 1009 * 4)' >/dev/null
	end_truth
	cat >"$BATS_TEST_TMPDIR/document.py" <<-'EOF'
	import os, sys, time
	from lxml import etree
	document = etree.fromstring("<a>" + "<b c='d'>text</b>" * 20011 + "</a>")
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/document.py"
	wait_asleep "$PID"
	# A node has 120 bytes, an attribute 96: element, its text, attribute, the text of that.
	"$MW" census --json "$PID" | jq -e '[.types[] | select(.module == "lxml.etree") | .held_bytes] | add >= 20011 * 456' >/dev/null
}

@test "malloc: live blocks by size, the largest with their owners; whatis of a buffer names its object" {
	cat >"$BATS_TEST_TMPDIR/large.py" <<-'EOF'
	import os, sys, time
	import numpy
	array, text = numpy.ones(5000011), bytearray(3000017)
	small = [bytearray(7000 + i) for i in range(1013)]
	print("array 0x%x" % id(array), "data 0x%x" % array.ctypes.data, "text 0x%x" % id(text), sep="\n")
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/large.py"
	wait_asleep "$PID"
	"$MW" malloc --json "$PID" >"$BATS_TEST_TMPDIR/malloc"
	jq -e --arg array "$(said array)" --arg data "$(said data)" --arg text "$(said text)" '
		([.live_sizes[].count] | add) == ([.arenas[].live.count] | add) + .mmapped.count
		and ([.live_sizes[].bytes] | add) == ([.arenas[].live.bytes] | add) + .mmapped.bytes
		and ([.live_sizes[] | select(.low == 4096)][0].python >= 1013)
		and .biggest[0].address == $data and .biggest[0].object == $array and .biggest[0].type == "numpy.ndarray"
		and .biggest[1].object == $text and .problem_count == 0' "$BATS_TEST_TMPDIR/malloc" >/dev/null
	"$MW" whatis --json "$PID" "$(said data)" | jq -e --arg array "$(said array)" '.python.owner == $array' >/dev/null
	[ "$("$MW" objects "$PID" bytearray | wc -l)" -eq 102 ]
	[ "$("$MW" objects --all "$PID" bytearray | grep -c ^0x)" -ge 1014 ]
}

@test "an interpreter that was finalised: says so, and counts what it left" {
	cat >"$BATS_TEST_TMPDIR/finalized.c" <<-'EOF'
	#include <Python.h>
	#include <unistd.h>
	extern Py_ssize_t _Py_GetAllocatedBlocks(void);
	int main(void)
	{
		Py_Initialize();
		PyRun_SimpleString("x = [object() for _ in range(50000)]");
		for (int i = 0; i < 1013; i++)
			PyBytes_FromString("nobody gives this back");
		Py_Finalize();
		printf("left %zd\nready %d\n", _Py_GetAllocatedBlocks(), getpid());
		fflush(stdout);
		pause();
	}
	EOF
	# shellcheck disable=SC2046 # lists of words
	gcc -o "$BATS_TEST_TMPDIR/finalized" "$BATS_TEST_TMPDIR/finalized.c" $(/usr/bin/python3-config --cflags --ldflags --embed)
	start_workload "$BATS_TEST_TMPDIR/finalized"
	left=$(said left)
	run "$MW" census "$PID"
	[[ $output == *"it was finalised, this is what it left"* ]]
	"$MW" census --json "$PID" | jq -e --argjson left "$left" '
		.finalized and .objects >= 1013 and .objects <= $left and .problem_count == 0
		and ([.types[] | select(.type == "bytes")][0].count >= 1013)' >/dev/null
	"$MW" arenas --json "$PID" | jq -e --argjson left "$left" '.allocated_blocks == $left' >/dev/null
}

@test "sub-interpreters with pools of their own (3.12 and later)" {
	for python in $(interpreters3); do
		"$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || continue
		cat >"$BATS_TEST_TMPDIR/subs.py" <<-'EOF'
		import os, sys, time
		try:
		    import _interpreters as interpreters
		except ImportError:
		    import _xxsubinterpreters as interpreters
		code = "class Mine: pass\nimport builtins\nbuiltins.kept = [Mine() for i in range(101)]"
		subs = [interpreters.create() for i in range(4)]
		for each in subs:
		    interpreters.run_string(each, code)
		sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
		time.sleep(1000)
		EOF
		start_workload "$python" "$BATS_TEST_TMPDIR/subs.py"
		"$MW" arenas --json "$PID" | jq -e '(.interpreters | length) == 5 and ([.arena_list[].interpreter] | unique) == [0, 1, 2, 3, 4]' >/dev/null
		"$MW" census --json "$PID" | jq -e '[.types[] | select(.type == "Mine") | .count] == [101, 101, 101, 101]' >/dev/null
		end_truth
	done
}

@test "no interpreter: says so, and what was looked for" {
	start_workload "$WORK/counts" classes
	for command in arenas census; do
		run "$MW" "$command" "$PID"
		[ "$status" -eq 1 ]
		[[ $output == *"no CPython interpreter found"*"version text"* ]]
		run "$MW" "$command" --json "$PID"
		[ "$(jq -r .error.code <<<"$output")" = no-python ]
	done
	"$MW" ledger --json "$PID" | jq -e '.resident_bytes > 0' >/dev/null
}

@test "a process that crashed at a random moment: what it held is in its core" {
	cat >"$BATS_TEST_TMPDIR/crash.py" <<-'EOF'
	import os, resource, sys
	resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
	class Mine: pass
	mine = [Mine() for i in range(1013)]
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	while True:  # in the allocator and the collector most of the time
	    kept = [{"k%d" % i: [i] * (i % 50)} for i in range(5000)]
	    for each in kept: each["me"] = each
	    del kept[::2]
	EOF
	set_kernel /proc/sys/kernel/core_pattern core
	cd "$BATS_TEST_TMPDIR"
	for i in 1 2 3 4 5; do
		rm -f core core.*
		start_workload /usr/bin/python3 crash.py
		sleep "0.$((RANDOM % 400 + 100))"
		kill -SEGV "$PID"
		wait "$PID" 2>/dev/null || true
		exec 7>&-
		core=$(ls core*)
		timeout 20 "$MW" census --json "$core" >census.json
		jq -e '[.types[] | select(.type == "Mine") | .count] == [1013]' census.json >/dev/null
		timeout 20 "$MW" arenas --json "$core" |
			jq -e '.used_blocks == ([.classes[].used] | add) and .used_blocks > 5000' >/dev/null
		timeout 20 "$MW" ledger --json "$core" |
			jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' >/dev/null
	done
}

@test "an interpreter that is finalising: what still lives is counted" {
	cat >"$BATS_TEST_TMPDIR/last.py" <<-'EOF'
	import builtins, ctypes, os, sys
	libc = ctypes.CDLL(None)
	class Mine: pass
	class Last:
	    def __init__(self):
	        self.write, self.pause = libc.write, libc.pause
	        self.kept = [Mine() for i in range(1013)]
	    def __del__(self):
	        self.write(1, b"done 1\n", 7)
	        while True: self.pause()
	builtins.last = Last()
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	EOF
	for python in $(interpreters3); do
		start_workload "$python" "$BATS_TEST_TMPDIR/last.py"
		wait_until 30 grep -q '^done' "$BATS_TEST_TMPDIR/said"
		"$MW" census --json "$PID" | jq -e '[.types[] | select(.type == "Mine") | .count] == [1013]' >/dev/null
		"$MW" arenas --json "$PID" | jq -e '.used_blocks == ([.classes[].used] | add)' >/dev/null
		end_truth
	done
}

@test "a core of another program: says so" {
	start_workload "$WORK/counts" classes
	gcore -o "$BATS_TEST_TMPDIR/other" "$PID" >/dev/null 2>&1
	for command in arenas census; do
		run "$MW" "$command" "$BATS_TEST_TMPDIR/other.$PID"
		[ "$status" -eq 1 ]
		[[ $output == *"no CPython interpreter found"* ]]
	done
}

@test "damaged pools and objects: problems are listed, nothing loops or crashes" {
	cat >"$BATS_TEST_TMPDIR/damage.py" <<-'EOF'
	import ctypes, os, random, sys
	seed = int(sys.argv[1])
	random.seed(seed)
	kept = [[i] for i in range(20000)] + [(i, str(i)) for i in range(20000)] + [{i: i} for i in range(3000)]
	libc = ctypes.CDLL(None)
	targets = [id(random.choice(kept)) for i in range(40)]
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	sys.stdin.readline()
	done = b"done 1\n"
	write, pause = libc.write, libc.pause
	for at in targets:  # pool headers, free lists, objects
	    pool = at & ~(16384 - 1)
	    where = random.choice([pool, pool + 8, pool + 36, pool + 40, at, at + 8, at + 16, at + 24, at - 16])
	    ctypes.memmove(where, random.choice([b"\xff" * 8, b"\0" * 8, bytes(random.randrange(256) for i in range(8)),
	        where.to_bytes(8, "little"), (pool + 48).to_bytes(8, "little")]), 8)
	write(1, done, 7)
	while True: pause()
	EOF
	for seed in 1 2 3 4 5 6 7 8; do
		start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/damage.py" "$seed"
		go
		# It may well die of it; its memory is what counts.
		wait_until 30 sh -c "grep -q ^done '$BATS_TEST_TMPDIR/said' || ! kill -0 $PID" || true
		for command in arenas census ledger; do
			run timeout 20 "$MW" "$command" "$PID"
			[ "$status" -le 1 ]
		done
		end_truth
	done
}

@test "a busy interpreter that runs on: never a crash, and totals that make sense" {
	cat >"$BATS_TEST_TMPDIR/busy.py" <<-'EOF'
	import os, sys, threading
	sys.stdout.write("ready %d\n" % os.getpid()); sys.stdout.flush()
	def churn():
	    while True:
	        kept = [{"k%d" % i: [i] * (i % 50)} for i in range(5000)]
	        del kept[::2]
	for i in range(3): threading.Thread(target=churn).start()
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/busy.py"
	for i in 1 2 3 4 5 6 7 8; do
		timeout 20 "$MW" census --json "$PID" >"$BATS_TEST_TMPDIR/census.json"
		jq -e '.objects > 5000 and .objects < 10000000' "$BATS_TEST_TMPDIR/census.json" >/dev/null
		timeout 20 "$MW" ledger --json "$PID" | jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' >/dev/null
		timeout 20 "$MW" arenas --json --stop "$PID" | jq -e '(.problems | length) == 0 and .stopped_seconds > 0' >/dev/null
	done
}

@test "a server from a Debian package: its census is what gc.get_objects() has, in the program and in GDB" {
	mkdir "$BATS_TEST_TMPDIR/site" "$BATS_TEST_TMPDIR/data"
	# The program is as it comes; at SIGUSR1 this writes what there is, twice, so that writing adds nothing.
	cat >"$BATS_TEST_TMPDIR/site/sitecustomize.py" <<-'EOF'
	import gc, os, signal
	counts = {}
	def tell(number, frame):
	    fd = os.open(os.environ["MW_COUNTS"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
	    gc.collect()
	    gc.disable()
	    for t in counts: counts[t] = 0
	    for t in map(type, gc.get_objects()): counts[t] = counts.get(t, 0) + 1
	    counts[tuple] -= 1  # the arguments of this very call
	    for t in counts: os.write(fd, ("%s.%s %d\n" % (t.__module__, t.__name__, counts[t])).encode())
	    os.write(fd, b"end 0\n")
	    os.close(fd)
	signal.signal(signal.SIGUSR1, tell)
	EOF
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	export MW_COUNTS=$BATS_TEST_TMPDIR/counts
	PYTHONPATH=$BATS_TEST_TMPDIR/site /usr/bin/radicale --storage-filesystem-folder="$BATS_TEST_TMPDIR/data" \
		--server-hosts="127.0.0.1:$port" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
	PID=$!
	STARTED+=("$PID")
	wait_until 60 curl -s -o /dev/null "http://127.0.0.1:$port/"
	for i in 1 2 3; do curl -s -u a:b -X PROPFIND "http://127.0.0.1:$port/" >/dev/null; done
	# Each connection has a thread, which lives on for a while.
	wait_until 60 sh -c "[ \$(ls /proc/$PID/task | wc -l) -eq 1 ]"
	for i in 1 2 3; do
		rm -f "$MW_COUNTS"
		kill -USR1 "$PID"
		wait_until 30 grep -q '^end' "$MW_COUNTS"
		wait_asleep "$PID"
	done
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/core"
	"$MW" census --json "$BATS_TEST_TMPDIR/core" >"$BATS_TEST_TMPDIR/program.json"
	MEMWHERE_LIBRARY=$BUILD/libmemwhere.so gdb --batch -nx /usr/bin/python3 -ex "core $BATS_TEST_TMPDIR/core" \
		-ex "source $BATS_TEST_DIRNAME/../gdb-scripts/memwhere-gdb.py" -ex 'mw-census --json' 2>/dev/null |
		grep '^{' >"$BATS_TEST_TMPDIR/gdb.json"
	grep -v '^end' "$MW_COUNTS" | awk '{n[$1] += $2} END {for (t in n) if (n[t]) print t, n[t]}' | sort >"$BATS_TEST_TMPDIR/truth"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/truth")" -gt 100 ]
	for who in program gdb; do
		jq -r '.types[] | select(.tracked > 0) | "\(.module).\(.type) \(.tracked)"' "$BATS_TEST_TMPDIR/$who.json" |
			awk '{n[$1] += $2} END {for (t in n) print t, n[t]}' | sort >"$BATS_TEST_TMPDIR/$who"
		diff "$BATS_TEST_TMPDIR/truth" "$BATS_TEST_TMPDIR/$who"
	done
}

@test "a version newer than known: its pools are shown, of its objects it says that it can't" {
	cat >"$BATS_TEST_TMPDIR/newer.py" <<-'EOF'
	import ctypes, os, sys, time
	kept = [object() for i in range(10007)]
	old = sys.version[:sys.version.index("(") + 1].encode()
	new = b"3.99.1 (".ljust(len(old), b"x")[:len(old)]
	path = os.path.realpath(sys.executable)
	for line in open("/proc/self/maps"):
	    words = line.split()
	    start, end = (int(x, 16) for x in words[0].split("-"))
	    if words[1].startswith("rw") and (words[-1] == path or last == path):
	        at = ctypes.string_at(start, end - start).find(old)
	        while at >= 0:
	            ctypes.memmove(start + at, new, len(new))
	            at = ctypes.string_at(start, end - start).find(old)
	    last = words[-1] if len(words) > 5 else last
	os.write(1, b"ready %d\n" % os.getpid())
	blocks = sys.getallocatedblocks()
	os.write(1, b"blocks %d\n" % blocks)
	time.sleep(1000)
	EOF
	start_workload /usr/bin/python3 "$BATS_TEST_TMPDIR/newer.py"
	wait_until 30 grep -q ^blocks "$BATS_TEST_TMPDIR/said"
	"$MW" arenas --json "$PID" >"$BATS_TEST_TMPDIR/arenas.json"
	jq -e --argjson blocks "$(said blocks)" '.python == "3.99.1" and (.allocated_blocks - $blocks | fabs) <= 3
		and (.evidence | any(test("no layout known")))' "$BATS_TEST_TMPDIR/arenas.json" >/dev/null
	run "$MW" census "$PID"
	[ "$status" -eq 1 ]
	[[ $output == *"3.99.1"*"no layout"* ]]
	"$MW" ledger --json --stop "$PID" | jq -e '([.entries[].resident_bytes] | add) == .resident_bytes
		and ([.entries[] | select(.owner == "python/data")][0].bytes > 1000000)' >/dev/null
}

@test "an interpreter that is not initialised yet, or only half" {
	cat >"$BATS_TEST_TMPDIR/half.c" <<-'EOF'
	#include <Python.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		if (argc > 1) {
			PyConfig config;
			PyConfig_InitPythonConfig(&config);
			config._init_main = 0; /* the core only: no sys.path, no imports from files */
			Py_InitializeFromConfig(&config);
		}
		printf("ready %d\n", getpid());
		fflush(stdout);
		pause();
		return 0;
	}
	EOF
	# shellcheck disable=SC2046 # lists of words
	gcc -o "$BATS_TEST_TMPDIR/half" "$BATS_TEST_TMPDIR/half.c" $(/usr/bin/python3-config --cflags --ldflags --embed)
	start_workload "$BATS_TEST_TMPDIR/half"
	for command in arenas census; do
		run "$MW" "$command" "$PID"
		[ "$status" -eq 1 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	"$MW" ledger --json "$PID" | jq -e '([.entries[].resident_bytes] | add) == .resident_bytes' >/dev/null
	end_truth
	start_workload "$BATS_TEST_TMPDIR/half" core
	"$MW" arenas --json "$PID" | jq -e '.used_blocks > 1000 and (.problems | length) == 0' >/dev/null
	"$MW" census --json "$PID" | jq -e '[.types[] | select(.type == "dict")][0].count > 50' >/dev/null
}

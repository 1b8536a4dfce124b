#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# glibc and Python of other Debian releases: the heap workload runs in a chroot, memwhere looks at it from
# outside, first with the C library as it comes (stripped), then with its debug symbols installed. Of the releases after
# ours memwhere is also built and tested inside (matrix_build.sh).
# Chroots are kept in MW_CACHE. What can't be downloaded is skipped, with the place of its log. Ends with one line:
# N passed, N failed, N skipped. Needs root.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
cache=${MW_CACHE:-/var/tmp/memwhere-matrix}
passed=0 failed=0 skipped=0
mkdir -p "$cache"

# Add up the lines of FILE that say "ok ...", "not ok ..." or "skip ...".
count() { # FILE
	passed=$((passed + $(grep -c '^ok ' "$1")))
	failed=$((failed + $(grep -c '^not ok ' "$1")))
	skipped=$((skipped + $(grep -c '^skip ' "$1")))
}

check() { # NAME TRUTH TARGET
	if "$BUILD/memwhere" malloc --json "$3" >"$cache/malloc.json" &&
		python3 tests/heap_truth.py "$cache/malloc.json" "$2" &&
		"$BUILD/memwhere" ledger --json "$3" >"$cache/ledger.json" &&
		jq -e '([.entries[].resident_bytes] | add) == .resident_bytes and .unknown_bytes * 100 < .resident_bytes' \
			"$cache/ledger.json" >/dev/null; then
		passed=$((passed + 1))
		echo "ok $1: glibc $(jq -r .version "$cache/malloc.json"), $(jq -r '.evidence | join("; ")' "$cache/malloc.json")"
	else
		failed=$((failed + 1))
		echo "not ok $1"
	fi
}

# Start a workload in the chroot; sets `pid` and `job`, and it listens at descriptor 9.
start() { # PROGRAM ARGUMENT...
	rm -f "$root/in"
	mkfifo "$root/in"
	chroot "$root" "$@" <"$root/in" >"$root/said" 2>&1 &
	job=$!
	exec 9>"$root/in"
	for _ in $(seq 100); do
		grep -q '^ready' "$root/said" 2>/dev/null && break
		sleep 0.1
	done
	pid=$(sed -n 's/^ready //p' "$root/said")
}

look() { # RELEASE WHAT
	root=$cache/$1
	rm -f "$root/truth"
	start /heap /truth 3 7919
	check "$1 $2 live" "$root/truth" "$pid"
	"$BUILD/memwhere" snapshot -q "$pid" -o "$cache/$1.core"
	check "$1 $2 core" "$root/truth" "$cache/$1.core"
	rm -f "$cache/$1.core"
	exec 9>&-
	wait "$job"
}

# The live tracer on this release's C library: the same tests as of the machine's own, and what glibc tells itself.
trace() { # RELEASE
	cp tests/workloads/counts.c "$root/counts.c"
	chroot "$root" gcc -O1 -g -std=gnu11 -D_GNU_SOURCE -fno-builtin -w -o /counts /counts.c -lpthread -ldl
	RUN="chroot $root" WORK=/ bats --tap tests/stat.bats -f 'counted exactly|nested calls|placement|moves are told|kernel gave' \
		>"$cache/$1.trace" 2>&1
	sed -n "s/^\(not \)\{0,1\}ok [0-9]*/\1ok $1 tracer:/p" "$cache/$1.trace"
	count "$cache/$1.trace"
	if grep -aq memory_sbrk_more "$root/lib/x86_64-linux-gnu/libc.so.6"; then
		own_probes "$1"
	fi
}

# What a glibc that is built with probes tells is what the kernel gave: of all brk's, and of one thread's arena.
own_probes() { # RELEASE
	rm -f "$cache/probes.json"
	start /counts placement
	"$BUILD/memwhere" stat "$pid" --mode growth -i 0.5 -n 4 --json -o "$cache/probes.json" &
	watch=$!
	for _ in $(seq 100); do
		[ -s "$cache/probes.json" ] && break
		sleep 0.1
	done
	echo go >&9
	wait "$watch"
	exec 9>&-
	wait "$job"
	if tail -n 1 "$cache/probes.json" | jq -e '.total | .probes as $p | .brk.grown_bytes > 0 and
		$p["libc:memory_sbrk_more"].bytes == .brk.grown_bytes and $p["libc:memory_heap_new"].hits == 1 and
		$p["libc:memory_arena_new"].hits == 1' >/dev/null; then
		passed=$((passed + 1))
		echo "ok $1 tracer: what glibc's own probes tell is what the kernel gave"
	else
		failed=$((failed + 1))
		echo "not ok $1 tracer: what glibc's own probes tell is what the kernel gave"
	fi
}

# A free-threaded Python, which no release packages: built here from the release's source package.
free_threaded() { # RELEASE PACKAGE
	build=$cache/$2t
	if [ ! -x "$build/python" ]; then
		rm -rf "$build"
		mkdir -p "$build" "$root/src"
		echo "deb-src http://deb.debian.org/debian $1 main" >"$root/etc/apt/sources.list.d/src.list"
		chroot "$root" apt-get -o Acquire::Check-Valid-Until=false update -q >/dev/null 2>&1
		chroot "$root" sh -c "cd /src && apt-get source --download-only -q $2" >"$build.log" 2>&1
		rm "$root/etc/apt/sources.list.d/src.list"
		tar -xf "$root/src/$2"_*.orig.tar.xz -C "$build" --strip-components=1 &&
			(cd "$build" && ./configure -q --disable-gil CFLAGS="-g -O1" && make -j2) >>"$build.log" 2>&1
	fi
	if [ ! -x "$build/python" ]; then
		echo "skip $1 free-threaded: it could not be built, see $build.log"
		return
	fi
	MW_TRUTH_FOLDER=$cache/truth sh tests/matrix_python.sh "$1" / "$build/python"
}

for release in ${MW_RELEASES:-bullseye bookworm trixie sid}; do
	root=$cache/$release
	if [ ! -e "$root/.whole" ]; then
		rm -rf "$root"
		debootstrap --variant=minbase --include=gcc,libc6-dev "$release" "$root" >"$cache/$release.log" 2>&1 &&
			touch "$root/.whole"
	fi
	if [ ! -e "$root/.whole" ]; then
		echo "skip $release: no such chroot could be made, see $cache/$release.log"
		skipped=$((skipped + 1))
		continue
	fi
	cp tests/workloads/heap.c "$root/heap.c"
	chroot "$root" gcc -O1 -g -std=gnu11 -D_GNU_SOURCE -fno-builtin -w -o /heap /heap.c -lpthread -ldl
	chroot "$root" apt-get remove -q -y libc6-dbg >/dev/null 2>&1
	look "$release" stripped
	chroot "$root" apt-get install -q -y --no-install-recommends libc6-dbg >/dev/null 2>&1
	look "$release" debug
	trace "$release"

	case $release in
	bullseye) pythons="python2.7 python3.9" ;;
	bookworm) pythons="python3.11" ;;
	trixie) pythons="python3.13" ;;
	sid) pythons="python3.14 python3.15" ;;
	*) pythons=python3 ;;
	esac
	# Archives that are mirrored late say that they have expired.
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -o Acquire::Check-Valid-Until=false install -q -y \
		--no-install-recommends $pythons >"$cache/$release.python.log" 2>&1
	for python in $pythons; do
		[ -x "$root/usr/bin/$python" ] || {
			echo "skip $release $python: not to be had, see $cache/$release.python.log"
			skipped=$((skipped + 1))
			pythons=$(echo "$pythons" | sed "s/$python//")
		}
	done
	# shellcheck disable=SC2086
	sh tests/matrix_python.sh "$release" "$root" $pythons >"$cache/$release.python" 2>&1
	[ "$release" != trixie ] || free_threaded trixie python3.13 >>"$cache/$release.python" 2>&1
	case $pythons in
	*3.1[4-9]*) bats --tap tests/matrix/awaiters.bats 2>&1 | sed "s/^\(not \)\{0,1\}ok [0-9]*/\1ok $release/" >>"$cache/$release.python" ;;
	esac
	cat "$cache/$release.python"
	count "$cache/$release.python"

	# Older releases than ours have no BPF compiler that would do.
	case $release in
	bullseye | bookworm) ;;
	*)
		sh tests/matrix_build.sh "$release" "$root" >"$cache/$release.build"
		cat "$cache/$release.build"
		count "$cache/$release.build"
		;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix_build.sh RELEASE ROOT: memwhere as people on RELEASE have it. Builds the tree in the chroot ROOT with that
# release's compilers, bpftool and libraries, by gcc and by clang, and runs the unit tests and the tracer's tests with
# the result: the verifier judges what that clang made of the BPF programs. Says "ok ..." or "not ok ..." a check, the
# reasons of what failed below it.
set -u
release=$1 root=$2
cd "$(dirname "$0")/.." || exit 1
log=$root.build.log

# In the chroot, with what the tracer needs of the kernel. The mounts end with their namespace, however that ends.
inside() { # COMMAND...
	# shellcheck disable=SC2016 # $ is the inner shell's
	unshare -m --propagation private sh -c 'root=$1 && shift && mount --bind "$root" "$root" &&
		for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder" || exit 1; done &&
		exec chroot "$root" env -u PYENV_ROOT LC_ALL=C.UTF-8 "$@"' sh "$root" "$@"
}

check() { # WHAT COMMAND...
	what=$1
	shift
	if "$@" >"$log" 2>&1; then
		echo "ok $release $what"
	else
		grep -E 'error|warning' "$log" | head -n 20 | sed 's/^/# /'
		tail -n 5 "$log" | sed 's/^/# /'
		echo "not ok $release $what"
		return 1
	fi
}

tests() { # BATS-ARGUMENT...
	inside bats --tap "$@" >"$log" 2>&1
	sed -n -E "s/^(not )?ok [0-9]+ /\1ok $release own build: /p; s/^#/ #/p" "$log" | cut -c 1-300
	grep -q '^1\.\.' "$log" || { sed 's/^/# /' "$log"; echo "not ok $release own build: no test ran"; }
}

# Archives that are mirrored late say that they have expired.
echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/90late"
rm -rf "$root/memwhere"
mkdir "$root/memwhere"
git ls-files -z | tar --null -T - -c | tar -x -C "$root/memwhere"

check "packages for building and testing" inside sh /memwhere/tests/deps.sh trace || exit 1
# shellcheck disable=SC2016 # $ is the inner shell's
versions=$(inside sh -c 'echo "gcc $(gcc -dumpversion), clang $(clang -dumpversion), libbpf $(pkg-config --modversion libbpf)"')
check "builds with CC=clang: $versions" inside make -C /memwhere -j"$(nproc)" CC=clang BUILD=/memwhere/build/clang all unit-bins
check "builds: $versions" inside make -C /memwhere -j"$(nproc)" all unit-bins workloads || exit 1
check "own build: unit tests" inside sh /memwhere/tests/run.sh unit
tests /memwhere/tests/stat.bats
tests /memwhere/tests/sites.bats -f 'frame by frame|growth mode|extension module|prefork|a budget: windows|otel_memory'
tests /memwhere/tests/lifecycle.bats -f 'leave no probe'
rm -rf "$root/memwhere"

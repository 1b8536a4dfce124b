#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Install, by name, the Debian packages that memwhere needs: `build` only those for building and
# the demo, else also those for the tests. Does nothing when all are there.
set -eu

build="gcc make pkg-config clang llvm libbpf-dev bpftool libelf-dev libdw-dev libzydis-dev libiberty-dev
	libjansson-dev libncurses-dev libzstd-dev liblz4-dev zlib1g-dev linux-libc-dev libc6-dev python3"
tests="bats jq gdb gdbserver tmux strace procps libc6-dbg g++ musl-tools libjemalloc-dev libgoogle-perftools-dev
	libmimalloc-dev systemtap-sdt-dev binutils lld clang-tidy clang-format cppcheck shellcheck libclang-rt-dev
	zsh fish git man-db xz-utils zstd lz4 debootstrap python3-dev python3-numpy python3-django curl radicale"

# A toolchain that is no package does as well.
command -v rustc >/dev/null || tests="$tests rustc"

want=$build
[ "${1:-all}" = build ] || want="$want $tests"

missing=
for package in $want; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || {
	echo "this is not a Debian system: install the equivalents of:$missing" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || {
	echo "installing packages takes root. Run as root, or install:$missing" >&2
	exit 1
}
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null || true
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing >/dev/null

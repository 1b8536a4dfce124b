#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Install, by name, the Debian packages that memwhere needs: `build` those for building and the demo, `trace` also those
# for the unit tests and the tracer's tests, `all` (the default) those for all tests. Says what it installs; does nothing
# when all are there.
set -eu

build="gcc make pkg-config clang llvm libbpf-dev bpftool libelf-dev libdw-dev libzydis-dev libiberty-dev
	libjansson-dev libncurses-dev libzstd-dev liblz4-dev zlib1g-dev linux-libc-dev libc6-dev python3"
trace="bats jq strace procps xz-utils libc6-dbg g++ binutils lld python3-dev systemtap-sdt-dev"
tests="gdb gdbserver tmux musl-tools libjemalloc-dev libgoogle-perftools-dev libmimalloc-dev clang-tidy clang-format
	cppcheck shellcheck libclang-rt-dev zsh fish git man-db zstd lz4 debootstrap python3-numpy python3-pil python3-lxml
	python3-django python3-flask gunicorn curl radicale php-cli fzf ruby"

# A toolchain that is no package does as well.
command -v rustc >/dev/null || tests="$tests rustc"
command -v node >/dev/null || tests="$tests nodejs"
command -v javac >/dev/null || tests="$tests default-jdk-headless"

case ${1:-all} in
build) want=$build ;;
trace) want="$build $trace" ;;
*) want="$build $trace $tests" ;;
esac

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
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "installing with apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
# Without the lists of today those of yesterday may do.
apt-get update -q >"$log" 2>&1 || true
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	echo "apt-get could not install all of it; the lines above say why" >&2
	exit 1
}
echo "installed $(grep -c '^Setting up ' "$log") packages, with those that they need"

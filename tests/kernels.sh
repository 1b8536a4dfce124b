#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The live tracer on other kernels: boots Debian's packaged cloud kernels under plain emulation with
# a small initramfs and holds what memwhere counts against what the workload says of itself.
#
#   kernels.sh [PACKAGE-PATTERN ...]     default: the newest 6.1 kernel of this release
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}
cache=${MW_CACHE:-/var/tmp/memwhere-matrix}/kernels
mkdir -p "$cache"

if ! command -v qemu-system-x86_64 >/dev/null || ! [ -x /bin/busybox ] || ! command -v cpio >/dev/null; then
	apt-get install -y -q --no-install-recommends qemu-system-x86 busybox-static cpio >/dev/null
fi
[ $# -gt 0 ] || set -- "$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')"

make_initramfs() {
	root=$(mktemp -d)
	mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
	cp /bin/busybox "$root/bin/"
	cp "$BUILD/memwhere" "$BUILD/tests/workloads/counts" "$BUILD/tests/cpu_clock" "$root/bin/"
	for file in $(ldd "$BUILD/memwhere" "$BUILD/tests/workloads/counts" "$BUILD/tests/cpu_clock" | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
		mkdir -p "$root$(dirname "$file")"
		cp -L "$file" "$root$file"
	done
	cat >"$root/init" <<-'EOF'
	#!/bin/busybox sh
	/bin/busybox --install -s /bin
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	ulimit -l unlimited
	echo "kernel $(uname -r)"
	echo "clock $(cpu_clock 2>&1)"
	cat >/run <<-"END"
	mode=$1 scenario=$2 arg=$3 option=$4 where=$5
	mkfifo /tmp/in
	counts $scenario $arg </tmp/in >/tmp/said &
	exec 7>/tmp/in
	until grep -qs ready /tmp/said; do sleep 0.1; done
	memwhere stat -v --json -i 0.5 --mode $mode $option -o /tmp/out 2>/tmp/err $(sed -n 's/^ready //p' /tmp/said) 7>&- &
	watch=$!
	until [ -s /tmp/out ]; do kill -0 $watch || break; sleep 0.1; done
	echo go >&7
	until grep -q done /tmp/said; do sleep 0.1; done
	sleep 0.5
	kill -INT $watch
	wait $watch
	echo "status $?"
	grep -q . /tmp/out || tail -n 40 /tmp/err
	echo "case $mode $scenario $option $where"
	sed 's/^/said /' /tmp/said
	tail -n 1 /tmp/out | sed 's/^/json /'
	exec 7>&-
	wait # or its SIGCHLD interrupts the next open
	rm -f /tmp/in /tmp/out /tmp/said # else the next case finds the "ready" of this one
	END
	sh /run exact sizes
	sh /run exact functions
	sh /run exact threads 23
	sh /run growth kernel
	sh /run exact forks 3 --follow
	# In a PID namespace whose numbers are other than the kernel's own.
	inside() { unshare -m -p -f --mount-proc "$@"; }
	inside sh /run growth kernel "" "" inside
	inside sh /run exact forks 3 --follow inside
	poweroff -f
	EOF
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$cache/initramfs"
	rm -rf "$root"
}

# One line a check; the closing line counts them.
passed=0 failed=0
check() { # WHAT GOT WANT
	if [ -n "$3" ] && [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		echo "not ok $kernel $1: got $2, expected $3"
		failed=$((failed + 1))
	fi
}

judge() { # FILE: the console's lines
	section() { tr -s ' ' <"$log" | sed 's/ $//' | awk -v c="case $1" '/^case / {on = $0 == c} on'; }
	json() { section "$1" | sed -n 's/^json //p' | jq -r "$2"; }
	said() { section "$1" | sed -n "s/^said $2 //p" | tail -n 1; }
	log=$1
	for c in "exact sizes" "exact functions" "exact threads" "growth kernel" "exact forks --follow" \
		"growth kernel inside" "exact forks --follow inside"; do
		check "$c: nothing lost" "$(json "$c" '[.total.lost[]] | add')" 0
	done
	for key in calls bytes; do
		check "sizes: $key" "$(json "exact sizes" ".total.alloc.$key")" "$(said "exact sizes" alloc_$key)"
	done
	clock=$(sed -n 's/^clock \([0-9]*\) of 500 .*/\1/p' "$log")
	check "CPU time of a process: 450 of 500 readings, got ${clock:-none}" "$((${clock:-0} >= 450))" 1
	check "sizes: outstanding" "$(json "exact sizes" .outstanding.count)" "$(said "exact sizes" outstanding_count)"
	for f in malloc calloc realloc reallocarray posix_memalign valloc pvalloc free; do
		check "functions: $f" "$(json "exact functions" ".total.functions.$f")" "$(said "exact functions" $f)"
	done
	check "threads" "$(json "exact threads" '[.total.sizes[] | select(.low == 49 or .low == 65) | .count] | add')" \
		"$(said "exact threads" thread_mallocs)"
	for where in "" " inside"; do
		c="growth kernel$where"
		for call in mmap munmap mremap madvise; do
			check "$c: $call" "$(json "$c" ".total.$call.calls")" "$(said "$c" $call)"
		done
		check "$c: brk" "$(json "$c" .total.brk.grown_bytes)" "$(said "$c" brk_grown)"
		c="exact forks --follow$where"
		for size in 48 5000 200; do
			check "$c: size $size" \
				"$(json "$c" "[.total.sizes[] | select(.low <= $size and $size <= .high) | .count] | add")" \
				"$(said "$c" size_$size)"
		done
	done
}

make_initramfs
for kernel in "$@"; do
	dir=$cache/$kernel
	if [ ! -d "$dir/boot" ]; then
		mkdir -p "$dir"
		(cd "$cache" && apt-get download -q "$kernel" >/dev/null)
		dpkg-deb -x "$(find "$cache" -maxdepth 1 -name "${kernel}_*.deb" | sort | tail -n 1)" "$dir"
	fi
	timeout 300 qemu-system-x86_64 -M q35 -m 1024 -smp 2 -nographic -no-reboot -cpu max \
		-kernel "$(find "$dir/boot" -name 'vmlinuz-*')" -initrd "$cache/initramfs" \
		-append 'console=ttyS0 quiet panic=-1' </dev/null 2>&1 | tr -d '\r' >"$cache/console" || true
	grep -ao 'kernel [0-9][^ ]*$' "$cache/console" || tail -n 5 "$cache/console"
	judge "$cache/console"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

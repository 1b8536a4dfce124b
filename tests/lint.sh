#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Static checks: the rule of the floors, circles of includes, SPDX lines, shellcheck, cppcheck, clang-tidy.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
failed=0
complain() {
	echo "lint: $*" >&2
	failed=1
}

# docs/architecture.md: a room may use only rooms below it. bpf/memwhere.h is on the lowest floor.
floor_of() {
	case $1 in
	main) echo 10 ;;
	cmd | engine) echo 9 ;;
	report | tui | http) echo 8 ;;
	watch | diagnosis) echo 7 ;;
	trace | ledger | graph) echo 6 ;;
	python) echo 5 ;;
	heap | probe | capture) echo 4 ;;
	symbol | model) echo 3 ;;
	image) echo 2 ;;
	util | arch | bpf) echo 1 ;;
	*) echo 0 ;;
	esac
}
for file in $(git ls-files 'userspace/*.[ch]' 'gdb-scripts/*.[ch]'); do
	room=$(echo "$file" | sed -n -E 's#(userspace|gdb-scripts)/([a-z]*)/.*#\2#p')
	from=$(floor_of "${room:-main}")
	# shellcheck disable=SC2013 # room names are words
	for used in $(sed -n 's|^#include "\([a-z]*\)/.*|\1|p' "$file" | sort -u); do
		[ "$used" = "$room" ] && continue
		to=$(floor_of "$used")
		[ "$to" -gt 0 ] || complain "$file: includes $used/, which is no room"
		[ "$to" -lt "$from" ] || complain "$file (floor $from) includes $used/ (floor $to)"
	done
done

# A room's private headers are its own.
for header in $(git ls-files 'userspace/*_impl.h' 'userspace/*/internal.h'); do
	name=${header#userspace/} room=${header%/*}
	git grep -n "#include \"$name\"" -- userspace gdb-scripts ":!$room" && complain "$name is private to its room"
done

# What belongs to the processor is in userspace/arch/ and bpf/arch.bpf.h.
if git grep -nwE 'EM_X86_64|__x86_64__|__TARGET_ARCH_x86|Zydis.*|user_regs_struct|NT_X86_XSTATE|__asm__|[re](ip|sp|bp|[a-d]x|si|di)|r(8|9|1[0-5])' -- \
	'userspace/*.[ch]' 'bpf/*.[ch]' ':!userspace/arch' ':!bpf/arch.bpf.h'; then
	complain "the processor's, outside arch/"
fi

# A folder in a room is only included by itself: heap/ptmalloc/ is reached through heap/heap.h.
for file in $(git ls-files 'userspace/*.[ch]'); do
	folder=$(dirname "${file#userspace/}")
	# shellcheck disable=SC2013 # folder names are words
	for used in $(sed -n 's|^#include "\([a-z]*/[a-z0-9_]*\)/.*|\1|p' "$file" | sort -u); do
		[ "$used" = "$folder" ] || complain "$file: includes $used/, which is another folder's own"
	done
done
if git grep -n ptmalloc -- 'userspace/*.[ch]' 'gdb-scripts/*.[ch]' ':!userspace/heap'; then
	complain "names an allocator's walker outside heap/"
fi

# shellcheck disable=SC2046 # names of files have no blanks
python3 tests/check_includes.py $(git ls-files 'userspace/*.[ch]' 'gdb-scripts/*.[ch]') >&2 || failed=1

for file in $(git ls-files '*.c' '*.h' '*.sh' '*.bats' '*.bash' '*.py' Makefile .ci/run); do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' ||
		complain "$file: no SPDX line"
done

git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror ||
	complain "not as .clang-format wants it: make format"

# Below cmd/ nothing prints to the terminal or exits.
if git grep -nE '\b(printf|puts|perror|exit)\(' -- 'userspace/*.c' 'gdb-scripts/*.c' ':!userspace/cmd' ':!userspace/main.c' ':!userspace/tui' |
	grep -vE 'f(printf|puts)\((out|f),'; then
	complain "prints or exits below cmd/"
fi

git ls-files '*.sh' .ci/run | xargs shellcheck -x -s sh || failed=1
shellcheck -x -s bash -e SC2034,SC2154 tests/lib.bash || failed=1

git ls-files 'userspace/*.c' 'gdb-scripts/*.c' | xargs cppcheck -q --error-exitcode=1 --enable=warning,portability \
	--inline-suppr --suppress=missingIncludeSystem --suppress=ctuuninitvar --suppress=unknownMacro --std=c11 -Iuserspace -Igdb-scripts -I. -D_GNU_SOURCE -D__x86_64__ || failed=1

# The compiler's own analyser knows this code's flags. Its leak check does not know the cleanup
# attribute; LeakSanitizer in `make asan` does that work.
checks='-*,clang-analyzer-core*,clang-analyzer-unix*,-clang-analyzer-unix.Malloc,clang-analyzer-deadcode*,bugprone-sizeof*,bugprone-suspicious-mem*,bugprone-integer-division,bugprone-macro-repeated-side-effects'
# shellcheck disable=SC2016 # $@ is the inner shell's
git ls-files 'userspace/*.c' 'gdb-scripts/*.c' | BUILD=$BUILD CHECKS=$checks xargs -n 4 -P 2 sh -c 'clang-tidy --quiet \
	--warnings-as-errors="*" --checks="$CHECKS" "$@" -- -std=gnu11 -D_GNU_SOURCE \
	-DMW_VERSION="\"lint\"" -Iuserspace -Igdb-scripts -I. -isystem "$BUILD" 2>/dev/null' sh || failed=1

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed

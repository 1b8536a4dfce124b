#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The documentation against the program.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

DOCS=$BATS_TEST_DIRNAME/../docs

@test "docs/json.md has every key that stat prints" {
	start_workload "$WORK/counts" forks 2
	start_watch "$PID" --follow
	go_and_wait
	stop_watch
	start_workload "$WORK/counts" creep
	mv "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/first"
	start_watch "$PID"
	go_and_wait
	stop_watch
	cat "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/out" | jq -r 'del(.functions, .total.functions) | paths | map(select(type == "string")) | last' |
		sort -u >"$BATS_TEST_TMPDIR/keys"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/keys")" -gt 40 ]
	while read -r key; do
		grep -q "\`$key\`" "$DOCS/json.md" || { echo "not in docs/json.md: $key"; return 1; }
	done <"$BATS_TEST_TMPDIR/keys"
}

@test "docs/json-heap.md has every key that the heap commands print" {
	start_python /usr/bin/python3 -c 'import time
kept = [{i: str(i)} for i in range(1000)]
print("ready", flush=True)
time.sleep(600)'
	for command in ledger malloc arenas census pools freelists retained leaks; do
		"$MW" "$command" --json "$PID" >>"$BATS_TEST_TMPDIR/documents"
	done
	"$MW" objects --json "$PID" dict >>"$BATS_TEST_TMPDIR/documents"
	address=$("$MW" objects --json "$PID" dict | jq -r '.[0].object')
	"$MW" refs --json "$PID" "$address" >>"$BATS_TEST_TMPDIR/documents"
	"$MW" retained --json "$PID" "$address" >>"$BATS_TEST_TMPDIR/documents"
	address=$("$MW" arenas --json "$PID" | jq -r '.arena_list[0].address')
	for offset in 0 16432 16448 16512 32816; do
		"$MW" whatis --json "$PID" "$(printf '0x%x' $((address + offset)))" >>"$BATS_TEST_TMPDIR/documents"
	done
	"$MW" snapshot --json "$PID" -o "$BATS_TEST_TMPDIR/core" >>"$BATS_TEST_TMPDIR/documents"
	"$MW" pins --json "$PID" >>"$BATS_TEST_TMPDIR/documents"
	"$MW" diff --json "$BATS_TEST_TMPDIR/core" $$ >>"$BATS_TEST_TMPDIR/documents"
	"$MW" diff --json "$BATS_TEST_TMPDIR/core" "$PID" >>"$BATS_TEST_TMPDIR/documents"
	"$MW" why --json "$BATS_TEST_TMPDIR/core" "$PID" >>"$BATS_TEST_TMPDIR/documents"
	jq -r 'paths | map(select(type == "string")) | last // empty' "$BATS_TEST_TMPDIR/documents" | sort -u >"$BATS_TEST_TMPDIR/keys"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/keys")" -gt 70 ]
	while read -r key; do
		grep -q "\`$key\`" "$DOCS/json-heap.md" || { echo "not in docs/json-heap.md: $key"; return 1; }
	done <"$BATS_TEST_TMPDIR/keys"
}

@test "docs/json.md has every error code that the sources give, and no other" {
	cd "$DOCS/.."
	python3 tests/error_codes.py userspace/*.[ch] userspace/*/*.[ch] userspace/*/*/*.[ch] gdb-scripts/*/*.[ch] >"$BATS_TEST_TMPDIR/given"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/given")" -gt 30 ]
	sed -n '/^| `code` | what it says/,/^$/s/^| `\([a-z0-9-]*\)` .*/\1/p' "$DOCS/json.md" | grep -vx code | sort >"$BATS_TEST_TMPDIR/documented"
	diff "$BATS_TEST_TMPDIR/documented" "$BATS_TEST_TMPDIR/given"
}

@test "each command has a manual page, which has each of its options" {
	for command in $("$MW" --help | awk '/^  [a-z]/ {print $1}'); do
		case $command in completion | help) continue ;; esac
		page=$DOCS/man/memwhere-$command.1
		[ -f "$page" ]
		man --warnings -l "$page" 2>&1 >/dev/null | tee "$BATS_TEST_TMPDIR/warnings"
		[ ! -s "$BATS_TEST_TMPDIR/warnings" ]
	done
	for command in $("$MW" --help | awk '/^  [a-z]/ {print $1}'); do
		case $command in completion | help) continue ;; esac
		pages=$DOCS/man/memwhere-$command.1
		# live's page refers to stat's for the options.
		[ "$command" != live ] || pages="$pages $DOCS/man/memwhere-stat.1"
		# shellcheck disable=SC2086 # words
		man -l $pages "$DOCS/man/memwhere.1" 2>/dev/null | col -b >"$BATS_TEST_TMPDIR/pages"
		for option in $("$MW" "$command" --help | grep -o -- '--[a-z][a-z-]*' | sort -u); do
			grep -q -- "$option" "$BATS_TEST_TMPDIR/pages" || { echo "no manual for $command $option"; return 1; }
		done
	done
}

@test "the README's commands exist, and its links lead somewhere" {
	for link in $(grep -o '](\([^)]*\))' "$DOCS/../README.md" | tr -d '()]'); do
		[ -e "$DOCS/../$link" ]
	done
	for target in demo check bench; do
		grep -q "^$target:" "$DOCS/../Makefile"
	done
}

@test "docs/read-the-answer.md has a section for each cause that the rules know" {
	sed -n 's/.*\[MW_CAUSE_[A-Z_]*\] = {"\([a-z-]*\)".*/\1/p' "$DOCS"/../userspace/diagnosis/rules*.c >"$BATS_TEST_TMPDIR/causes"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/causes")" -ge 15 ]
	tr -d '\\' <"$DOCS/man/memwhere-why.1" >"$BATS_TEST_TMPDIR/page"
	while read -r cause; do
		sed -n "/^## $cause\$/,/^## /p" "$DOCS/read-the-answer.md" >"$BATS_TEST_TMPDIR/section"
		for part in Means Evidence 'What people do'; do
			grep -q "^\*\*$part:\*\*" "$BATS_TEST_TMPDIR/section" || { echo "$cause: nothing of $part"; return 1; }
		done
		grep -q "$cause" "$BATS_TEST_TMPDIR/page" || { echo "$cause: not in memwhere-why(1)"; return 1; }
	done <"$BATS_TEST_TMPDIR/causes"
}

@test "the documents' outputs are those of the scripts that they name" {
	for file in "$DOCS/../README.md" "$DOCS"/*.md; do
		[ "$(grep -c '^<!-- end -->$' "$file")" -eq "$(grep -c '^<!-- [a-z_]*\.py: ' "$file")" ]
		sed -n 's/^<!-- \([a-z_]*\.py\): .*/\1/p' "$file" | sort -u | while read -r script; do [ -f "$DOCS/$script" ]; done
		# A marker and then the end: a document that nobody has filled.
		[ "$(grep -A 2 '^<!-- [a-z_]*\.py: ' "$file" | grep -c '^<!-- end')" -eq 0 ]
	done
}

@test "make case-study, a tenth of it: memwhere names the threshold, and fixing it saves memory" {
	python3 "$DOCS/case_study.py" "$BUILD" --smoke -o "$BATS_TEST_TMPDIR/study.md" 3>&-
	section() { sed -n "/^<!-- case_study.py: $1 -->/,/^<!-- end/p" "$BATS_TEST_TMPDIR/study.md"; }
	section why | grep -q "^    1. glibc's mmap threshold has crept up"
	section creep | grep -q '"by":"free"'
	section pins | grep -q 'users.SESSIONS'
	section fixed | grep -q '1\. .* is free but held by glibc'
	[ "$(section figures | sed -n 's/^| glibc, threshold fixed .* | \([0-9]*\) % less | .*/\1/p')" -ge 8 ]
	section figures | grep -q '^| even data: glibc, threshold fixed .*| no change | no change |'
}

@test "make demo without a terminal prints four intervals and ends with status 0" {
	BUILD=$BUILD sh "$BATS_TEST_DIRNAME/demo.sh" >"$BATS_TEST_TMPDIR/demo" 3>&-
	[ "$(grep -c '(PID [0-9]*)  [a-z]*, [0-9.]* ' "$BATS_TEST_TMPDIR/demo")" -eq 4 ]
	[ "$(grep -c '(PID [0-9]*)  [a-z]*, all, ' "$BATS_TEST_TMPDIR/demo")" -eq 1 ]
}

@test "make install and uninstall" {
	make -s -C "$DOCS/.." BUILD="$BUILD" DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/usr install
	"$BATS_TEST_TMPDIR/root/usr/bin/memwhere" --version
	[ -f "$BATS_TEST_TMPDIR/root/usr/share/man/man1/memwhere-stat.1" ]
	bash -n "$BATS_TEST_TMPDIR/root/usr/share/bash-completion/completions/memwhere"
	zsh -n "$BATS_TEST_TMPDIR/root/usr/share/zsh/site-functions/_memwhere"
	fish -n "$BATS_TEST_TMPDIR/root/usr/share/fish/vendor_completions.d/memwhere.fish"
	make -s -C "$DOCS/.." BUILD="$BUILD" DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/usr uninstall
	[ -z "$(find "$BATS_TEST_TMPDIR/root" -type f)" ]
}

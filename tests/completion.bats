#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion in the shells themselves.

load lib

setup() {
	setup_common
	for shell in bash zsh fish; do "$MW" completion $shell >"$BATS_TEST_TMPDIR/_memwhere.$shell"; done
}
teardown() { teardown_common; }

# The candidates for the last of the words, a line each.
in_bash() {
	bash --norc -c 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _memwhere
		printf "%s\n" "${COMPREPLY[@]}"' bash "$BATS_TEST_TMPDIR/_memwhere.bash" "$@"
}
in_fish() {
	fish -N -c "source $BATS_TEST_TMPDIR/_memwhere.fish; complete -C \"$*\"" | cut -f 1
}
# zsh completes on a terminal only: a shell on a pseudo terminal, which shows its candidates.
in_zsh() {
	mkdir -p "$BATS_TEST_TMPDIR/functions"
	cp "$BATS_TEST_TMPDIR/_memwhere.zsh" "$BATS_TEST_TMPDIR/functions/_memwhere"
	cat >"$BATS_TEST_TMPDIR/complete.zsh" <<-'END'
	zmodload zsh/zpty
	zpty shell zsh -f -i
	zpty -w shell "fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; stty rows 500 cols 160"
	zpty -w shell 'setopt no_auto_menu no_list_beep; bindkey "^I" list-choices; PS1=rea""dy'
	zpty -r -m shell seen '*ready*'
	zpty -w -n shell "$2"$'\t\C-U'"echo do''ne"$'\n'
	zpty -r -m shell seen '*done*'
	print -r -- "$seen"
	zpty -d shell
	END
	timeout 30 zsh -f "$BATS_TEST_TMPDIR/complete.zsh" "$BATS_TEST_TMPDIR/functions" "$*" |
		sed 's/\x1b\[[0-9;?]*[A-Za-z]/ /g' | tr -s " \r" "\n" | sed 1,/memwhere/d
}

has() { grep -qxF -- "$1" "$BATS_TEST_TMPDIR/seen" || { echo "no '$1' in:"; cat "$BATS_TEST_TMPDIR/seen"; return 1; }; }
has_not() { if has "$1" >/dev/null; then echo "'$1' is there"; return 1; fi; }

check_shell() { # FUNCTION
	$1 memwhere '' >"$BATS_TEST_TMPDIR/seen"
	for command in $("$MW" --help | awk '/^  [a-z]/ {print $1}'); do has "$command"; done
	$1 memwhere snapshot --a >"$BATS_TEST_TMPDIR/seen"
	has --at-rss
	has --at-growth
	has_not --mode
	$1 memwhere stat --mode '' >"$BATS_TEST_TMPDIR/seen"
	for mode in auto growth sizes exact; do has $mode; done
	has_not fast
	$1 memwhere ledger --color '' >"$BATS_TEST_TMPDIR/seen"
	has never
	$1 memwhere completion '' >"$BATS_TEST_TMPDIR/seen"
	has fish
	$1 memwhere help '' >"$BATS_TEST_TMPDIR/seen"
	has census
}

@test "the scripts are valid" {
	for shell in bash zsh fish; do $shell -n "$BATS_TEST_TMPDIR/_memwhere.$shell"; done
}

@test "bash: commands, options, their values" { check_shell in_bash; }
@test "zsh: commands, options, their values" { check_shell in_zsh; }
@test "fish: commands, options, their values" { check_shell in_fish; }

@test "every option of every command is in each script" {
	for command in $("$MW" --help | awk '/^  [a-z]/ {print $1}'); do
		in_bash memwhere "$command" -- >"$BATS_TEST_TMPDIR/bash"
		in_fish memwhere "$command" -- >"$BATS_TEST_TMPDIR/fish"
		for option in $("$MW" "$command" --help | grep -oE '^  (-., |    )--[a-z-]+' | grep -o -- '--.*'); do
			for shell in bash fish; do
				grep -qx -- "$option=\?" "$BATS_TEST_TMPDIR/$shell" || { echo "$shell: $command has no $option"; return 1; }
			done
			sed -n "/^\t$command)/,/;;/p" "$BATS_TEST_TMPDIR/_memwhere.zsh" | grep -q -- "$option" ||
				{ echo "zsh: $command has no $option"; return 1; }
		done
	done
}

@test "processes and files are completed, and a hostile name runs nothing" {
	cp "$WORK/pairs" "$BATS_TEST_TMPDIR/mw_"'$(>BAD)'
	cp "$WORK/pairs" "$BATS_TEST_TMPDIR/mw_plain"
	cd "$BATS_TEST_TMPDIR"
	for name in 'mw_$(>BAD)' mw_plain; do
		"./$name" 64 3>&- &
		STARTED+=($!)
	done
	wait_until 5 grep -q mw_plain "/proc/$!/comm"
	for shell in bash fish; do
		in_$shell memwhere stat mw_ >"$BATS_TEST_TMPDIR/seen"
		has mw_plain
		in_$shell memwhere stat "$!" >"$BATS_TEST_TMPDIR/seen"
		has "$!"
		touch "$BATS_TEST_TMPDIR/core.1 2"
		in_$shell memwhere ledger core >"$BATS_TEST_TMPDIR/seen"
		grep -q 'core.1' "$BATS_TEST_TMPDIR/seen"
		in_$shell memwhere snapshot core >"$BATS_TEST_TMPDIR/seen"
		expect "$(grep -c 'core.1' "$BATS_TEST_TMPDIR/seen")" 0 "cores for snapshot"
	done
	in_zsh memwhere stat mw_ >"$BATS_TEST_TMPDIR/seen"
	has mw_plain
	[ ! -e BAD ]
}

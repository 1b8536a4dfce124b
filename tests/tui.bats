#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The screen, driven under tmux: recorded states against golden screens, the program itself against
# what workloads say of themselves. UPDATE_GOLDEN=1 writes the golden screens again.

load lib

setup() {
	setup_common
	SOCKET=$BATS_TEST_TMPDIR/tmux
	GOLDEN=$BATS_TEST_DIRNAME/golden
	REPLAY=$BUILD/tests/tui_replay
}
teardown() {
	tm kill-server 2>/dev/null
	teardown_common
}

tm() { LC_ALL=C.UTF-8 tmux -u -S "$SOCKET" -f /dev/null "$@"; }

# Run a command on a terminal of its own; its modes before and after, and its status, are kept.
on_screen() { # COLUMNS ROWS COMMAND...
	local size=(-x "$1" -y "$2")
	shift 2
	mkdir -p "$BATS_TEST_TMPDIR/cwd"
	cat >"$BATS_TEST_TMPDIR/run" <<-EOF
		cd "$BATS_TEST_TMPDIR/cwd"
		stty -a >"$BATS_TEST_TMPDIR/before"
		sh -c 'echo \$\$ >"$BATS_TEST_TMPDIR/screen.pid"; exec $*'
		echo "status \$?"
		stty -a >"$BATS_TEST_TMPDIR/after"
		exec sleep 1000
	EOF
	tm new-session -d "${size[@]}" "env -u NO_COLOR LC_ALL=${LOCALE:-C.UTF-8} ${ENVIRONMENT:-A=1} TERM=screen-256color bash $BATS_TEST_TMPDIR/run" 3>&- 7>&-
}
keys() { tm send-keys "$@"; }
screen() { tm capture-pane -p "$@"; }
shows() { screen | grep -q -- "$1"; }
shows_not() { none shows "$1"; }
none() { if "$@"; then return 1; fi; } # unlike "!" it ends a test
wait_screen() { wait_until "${2:-30}" shows "$1" || { screen >&2; return 1; }; }
# Button, column and row (from 1 on) as a terminal reports them: characters from the space on.
mouse() {
	# shellcheck disable=SC2059 # the format is the point
	tm send-keys -l "$(printf "\\033[M\\$(printf %o $(($1 + 32)))\\$(printf %o $(($2 + 32)))\\$(printf %o $(($3 + 32)))")"
	[ "$1" -ne 0 ] || mouse 3 "$2" "$3" # let go
}
is_selected() { screen -e | sed -n "$1p" | grep -q $'^\e\\[7m'; } # ROW
on_the_screen() { # PATTERN...
	for pattern; do
		wait_until 5 shows "$pattern" || { echo "not on the screen: $pattern" >&2; screen >&2; return 1; }
	done
}
# Of one target the view of sizes, else the list of targets.
live() { # COLUMNS ROWS OPTIONS... PID...
	local c=$1 r=$2
	shift 2
	on_screen "$c" "$r" "$MW" live -i 0.2 --mode exact "$@"
	[[ "${*: -2}" =~ ^[0-9]+\ [0-9]+$ ]] || { wait_screen " 0 Why "; keys 1; }
}

# The terminal is as it was: modes, main screen, cursor, mouse.
expect_restored() {
	wait_until 30 test -s "$BATS_TEST_TMPDIR/after"
	cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	[ "$(tm display-message -p '#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_flag}')" = "0 1 0 0" ]
}

golden() { # NAME
	if [ -n "${UPDATE_GOLDEN:-}" ]; then
		sleep 0.5
		screen >"$GOLDEN/$1"
	fi
	# tmux may be half through a picture.
	wait_until 10 is_golden "$1" || diff -u "$GOLDEN/$1" "$BATS_TEST_TMPDIR/$1"
}
is_golden() { screen >"$BATS_TEST_TMPDIR/$1" && cmp "$GOLDEN/$1" "$BATS_TEST_TMPDIR/$1"; }

golden_views() { # COLUMNS ROWS
	local view=-1 name
	on_screen "$1" "$2" "$REPLAY" server
	for name in "looked" "outstanding  █" "where requests" "▲ users.py" "owner" "T threshold" "Keys"; do
		view=$((view + 1))
		keys "$(echo '012345?' | cut -c $((view + 1)))"
		[ $view -eq 1 ] && name="mmap threshold"
		wait_screen "$name"
		golden "view$view-$1x$2.txt"
	done
}

@test "golden screens at 80x24" { golden_views 80 24; }
@test "golden screens at 120x40" { golden_views 120 40; }
@test "golden screens at 200x60" { golden_views 200 60; }

@test "golden screens: an opened stack, a filter, an ended target with losses, several targets" {
	on_screen 120 30 "$REPLAY" ended
	wait_screen "ended after 119.5 s"
	on_the_screen "lost 7"
	keys 3 Right
	wait_screen "libc.so.6 __libc_start_main"
	golden stack-120x30.txt
	tm resize-window -x 80 -y 24
	wait_until 30 shows "13 are gone"
	golden stack-80x24.txt
	tm resize-window -x 120 -y 30
	wait_until 30 shows "unknown  *rate/s  *growth  *faults" # columns that 80 have no room for
	keys / i m a g e
	wait_screen "filter: image_"
	keys Enter
	wait_until 30 shows_not "load_user  *$"
	golden filter-120x30.txt
	tm kill-server
	on_screen 120 30 "$REPLAY" stacks
	keys 3
	wait_screen "app.py:13 remember"
	keys Down Down Enter
	wait_screen "in this stack"
	golden stacks-120x30.txt
	tm kill-server
	on_screen 80 24 "$REPLAY" several
	wait_screen "3 targets"
	golden targets-80x24.txt
	keys Down Enter
	wait_screen "worker (PID 4342)"
	keys Escape
	wait_screen "3 targets"
}

@test "golden screens without UTF-8 and colours" {
	LOCALE=C ENVIRONMENT=NO_COLOR=1 on_screen 80 24 "$REPLAY" server
	for view in 0 1 2 3 4 5; do
		keys $view
		golden "ascii$view-80x24.txt"
		screen -e >"$BATS_TEST_TMPDIR/escapes"
		LC_ALL=C none grep -q '[^[:print:][:cntrl:]]' "$BATS_TEST_TMPDIR/escapes"
		none grep -qP '\e\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]' "$BATS_TEST_TMPDIR/escapes"
	done
}

@test "colours where there are any: 256, 16, and the same for light ground" {
	on_screen 120 30 "$REPLAY" server
	keys 1
	wait_screen "mmap threshold"
	screen -e | grep -qP '\e\[38;5;32m█'
	keys t
	wait_screen "a light ground"
	screen -e | grep -qP '\e\[38;5;25m█'
	tm kill-server
	ENVIRONMENT=TERM=screen on_screen 120 30 env TERM=screen "$REPLAY" server
	keys 1
	wait_screen "mmap threshold"
	screen -e | grep -qP '\e\[34m█'
}

@test "hostile names stay in their place" {
	for locale in C C.UTF-8; do
		LOCALE=$locale on_screen 80 24 "$REPLAY" hostile
		wait_screen "?\[31mred?\]2;title"
		on_the_screen "a line with ?\[2J"
		keys 3 Right
		wait_screen "xxxxxxxxxx$"
		on_the_screen "?evil" "lib?\]0;owned" "^  0 Why   1 Sizes "
		[ "$(screen | wc -l)" -eq 24 ]
		[ "$(tm display-message -p '#{pane_title}')" != owned ]
		[ "$(tm display-message -p '#{pane_title}')" != title ]
		keys q
		wait_screen "status 0"
		tm kill-server
	done
}

@test "each size class as often as the workload says, and what is outstanding" {
	start_workload "$WORK/counts" sizes
	live 120 40 "$PID"
	wait_screen "lost 0"
	go_and_wait
	wait_screen " 64 KiB - 128 KiB .* $((139 + 149)) "
	on_the_screen "  0 B  *[0-9]*  *151 " " 1 - 16 B  *[0-9]*  *$((101 + 103)) " " 16 B - 32 B  *[0-9]*  *107 " \
		" 64 B - 128 B  *[0-9]*  *109 " " 512 B - 1 KiB  *[0-9]*  *$((113 + 127)) " \
		" 1 KiB - 2 KiB  *[0-9]*  *131 " " 2 KiB - 4 KiB  *[0-9]*  *137 " "lost 0"
	on_the_screen "outstanding $(said outstanding_count) blocks, $(awk "BEGIN {printf \"%.1f MiB\", $(said outstanding_bytes) / 1048576}")"
	# A row for each class, one of which holds 17 to 32 bytes.
	keys c
	wait_screen "^ *32 B  *[0-9]*  *107 "
	# Nothing since a new baseline; all is back without it.
	keys b
	wait_screen "since the baseline"
	wait_screen "^ *32 B  *0  *0 "
	keys d
	wait_screen "^ *32 B  *0  *107 "
}

@test "the threshold is a rule across the sizes and moves with glibc's" {
	start_workload "$WORK/counts" creep
	live 120 40 "$PID"
	wait_screen "lost 0"
	go_and_wait
	wait_screen "mmap threshold 4.8 MiB, at +[0-9.]* s from 980.0 KiB by a free of 4.8 MiB"
	# The last request was larger than it was then: its row is below.
	screen | grep -A1 'mmap threshold' | grep -q "4 MiB - 8 MiB  *[0-9]*  *1 "
	keys 5
	wait_screen "mmap threshold 128.0 KiB -> 196.0 KiB"
	on_the_screen "mmap threshold 196.0 KiB -> 980.0 KiB" "mmap threshold 980.0 KiB -> 4.8 MiB" "events  *T"
}

@test "placement is told in Split" {
	start_workload "$WORK/counts" placement
	live 120 40 "$PID"
	wait_screen "lost 0"
	keys 2
	wait_screen "brk heap"
	go_and_wait
	wait_screen "mmap  *3.7 MiB .* 13 "
	on_the_screen "thread arenas  *599.6 KiB .* 307 "
}

# What is resident, by the kernel and by the parts and owners that the screen shows.
@test "Split and Ledger sum to what is resident" {
	start_workload "$WORK/counts" keep 50021
	go
	wait_until 60 said_more kept 0
	live 120 40 "$PID"
	keys 2
	wait_screen "resident [0-9.]* MiB, looked"
	keys e
	wait_screen "wrote memwhere-split-$PID"
	rss=$(awk '/^VmRSS/ {print $2 * 1024}' "/proc/$PID/status")
	jq -e "[.split[].resident_bytes] | add / $rss | . > 0.9 and . < 1.1" "$BATS_TEST_TMPDIR"/cwd/memwhere-split-*.json
	# 50021 chunks of 32 bytes, all touched by their headers.
	jq -e '.split[] | select(.part == "brk heap") | .resident_bytes | . > 50021 * 32 and . < 50021 * 32 * 1.4' \
		"$BATS_TEST_TMPDIR"/cwd/memwhere-split-*.json
	keys 4
	wait_screen "glibc"
	keys e
	wait_screen "wrote memwhere-ledger-$PID"
	jq -e "[.entries[].resident_bytes] | add / $rss | . > 0.9 and . < 1.1" "$BATS_TEST_TMPDIR"/cwd/memwhere-ledger-*.json
	jq -e '.entries[] | select(.owner == "glibc/live") | .count >= 50021 and .count < 50021 + 50' "$BATS_TEST_TMPDIR"/cwd/memwhere-ledger-*.json
	grep -q '▾ glibc' "$BATS_TEST_TMPDIR"/cwd/memwhere-ledger-*.txt
}

@test "Why says who holds most and what nothing refers to, as memwhere why does" {
	start_python /usr/bin/python3 -c 'import gc, time
gc.disable()
kept = {n: str(n) * 50 for n in range(90000)}
for n in range(30000):
    a, b = [n], [n]
    a.append(b)
    b.append(a)
print("ready", flush=True)
time.sleep(600)'
	live 120 40 "$PID"
	keys 0
	wait_screen "looked .* s ago"
	wait_screen "▸1 .* is held by 60.0k Python objects that refer to each other"
	wait_screen "% is your Python objects; __main__.kept (dict of 90.0k, retains"
	keys Enter
	wait_screen "owner"
}

@test "Sites: the planted leak is marked, with its sentence and its stack" {
	start_workload python3 "$BATS_TEST_DIRNAME/workloads/leak.py" 2
	on_screen 140 40 "$MW" live -i 0.5 --mode exact --sample 32K "$PID"
	wait_screen "lost 0"
	keys 3
	go
	exec 7>&-
	wait_screen "^ ▲ .* leak.py:[0-9]* load_user" 60
	# Nothing else is.
	[ "$(screen | grep -c '^ ▲ .*▸')" -eq 1 ]
	keys / l o a d _ u s e r Enter
	wait_screen "filter: load_user"
	keys Right
	wait_screen "py  leak.py:[0-9]* <module>"
	line=$(grep -n 'kept.append' "$BATS_TEST_DIRNAME/workloads/leak.py" | cut -d: -f1)
	on_the_screen "py  leak.py:$line load_user"
	keys e
	wait_screen "wrote memwhere-sites-$PID"
	jq -e '[.sites[] | select(.suspect)] | length == 1' "$BATS_TEST_TMPDIR"/cwd/memwhere-sites-*.json
}

@test "under a budget the screen says that numbers are estimates" {
	# Too fast for any window to tell how fast.
	"$WORK/pairs" 64 3>&- &
	STARTED+=($!)
	on_screen 100 30 "$MW" live -i 0.2 "$!"
	wait_screen "(PID $!) .* windows "
	wait_screen "too little seen yet"
	tm kill-server
	"$WORK/rated" "$BATS_TEST_TMPDIR/truth" 20000 3>&- &
	STARTED+=($!)
	on_screen 100 30 "$MW" live -i 0.2 "$!"
	wait_screen "(PID $!) .* windows "
	wait_screen "estimated from [0-9]* windows, ±[0-9.]* %"
	on_the_screen "cost [0-9.]* % of its CPU, duty"
	keys 1
	# Nothing is known of what is outstanding then.
	shows_not outstanding
	wait_screen "64 B - 128 B  *[0-9.]*k*  *[0-9.]*[kM]"
}

@test "each key does what the help says" {
	start_workload "$WORK/counts" keep 1009
	go
	wait_until 60 said_more kept 0
	live 120 40 "$PID"
	wait_screen "lost 0"
	keys 0; wait_screen "your Python objects\|C memory in use\|mapped files"
	keys r; wait_screen "looking at the heap"
	keys 1
	keys Tab; wait_screen "where requests were placed"
	keys Tab; wait_screen "No stacks\|no site\|site$"
	keys BTab; wait_screen "where requests were placed"
	keys 4; wait_screen "owner"
	wait_screen "▾ glibc"
	wait_until 30 shows_not "▸ [gf]"
	keys Home Left; wait_screen "▸ [gf]"
	keys Right; wait_until 30 shows_not "▸ [gf]"
	keys s; wait_screen "sorted by change"
	keys S; wait_screen "sorted by resident"
	keys /; keys S t a c k; wait_screen "filter: Stack_"
	keys Enter; wait_screen "stack"
	wait_until 30 shows_not "glibc"
	keys Escape; wait_screen "glibc"
	keys p; wait_screen "PAUSED"
	keys p; wait_until 30 shows_not "PAUSED"
	keys +; wait_screen "a sample every 0.25 s"
	keys -; wait_screen "a sample every 0.1 s"
	keys L; wait_screen "log (L: more, less)"
	keys L L; wait_until 30 shows_not "log (L"
	keys '?'; wait_screen "this help"
	on_the_screen "export this view" "a longer, a shorter interval"
	keys Escape; wait_until 30 shows_not "this help"
	keys w; wait_screen "wrote the snapshot memwhere-$PID-.*core"
	"$MW" ledger --json "$BATS_TEST_TMPDIR"/cwd/memwhere-"$PID"-*.core | jq -e '.resident_bytes > 0'
	keys 1 e; wait_screen "wrote memwhere-sizes-$PID"
	keys q; wait_screen "status 0"
	expect_restored
}

@test "an owner in the ledger opens into who holds what it has" {
	# 150,000 rows: a look at them takes long enough to press keys meanwhile.
	start_python /usr/bin/python3 -c 'import time
class Row:
    __slots__ = "text"
    def __init__(self, n): self.text = str(n)
kept = [Row(n) for n in range(90000)]
class Cache: pass
cache = Cache()
cache.rows = {n: Row(n) for n in range(60000)}
print("ready", flush=True)
time.sleep(600)'
	on_screen 120 40 "$MW" live --mode growth -i 0.5 "$PID"
	wait_screen " 0 Why "
	keys 4; wait_screen "looked .* ago"
	keys /; keys R o w; wait_screen "filter: Row_"
	keys Enter; wait_screen "150.0k .* python/live/__main__.Row"
	keys Home Enter; wait_screen 'finding who holds it\|kept`, list of 90.0k'
	keys p; wait_screen "PAUSED"; keys p # it is looked for meanwhile, and keys are answered
	wait_screen '60.0 % *90.0k *`[^ ]*kept`, list of 90.0k, retains 1[0-9.]* MiB'
	on_the_screen '40.0 % *60.0k *`[^ ]*cache.rows`, dict of 60.0k, retains 1[0-9.]* MiB'
	keys Enter; wait_until 30 shows_not "list of 90.0k"
	# What has no holders says so.
	keys Escape; keys /; keys f i l e / l i b c .; wait_screen "filter: file/libc._"
	keys Enter; wait_screen "file/libc"
	keys Home Enter; wait_screen "only Python's objects, their buffers and C's live blocks have holders"
	keys q; wait_screen "status 0"
}

@test "the mouse takes tabs and scrolls" {
	on_screen 80 24 "$REPLAY" server
	wait_screen " 0 Why "
	column=$(screen | sed -n 4p | grep -b -o '4 Ledger' | cut -d: -f1)
	mouse 0 $((column + 1)) 4
	wait_screen "owner"
	# The wheel goes three lines down, from python to glibc.
	mouse 65 5 10
	keys Left
	wait_screen "▸ glibc"
	# A click on the second line selects it, one more opens it.
	mouse 0 6 7
	wait_until 30 is_selected 7
	sleep 0.3
	mouse 0 6 7
	wait_screen "▾ live"
}

@test "the terminal is given back: q, Ctrl-C, SIGTERM, SIGHUP, a crash" {
	start_workload "$WORK/counts" keep 11
	for way in q C-c TERM HUP SEGV ABRT; do
		rm -f "$BATS_TEST_TMPDIR/after"
		live 100 30 "$PID"
		wait_screen "lost 0"
		[ "$(tm display-message -p '#{alternate_on} #{cursor_flag}')" = "1 0" ]
		case $way in
		q | C-c) keys $way ;;
		*) kill -"$way" "$(cat "$BATS_TEST_TMPDIR/screen.pid")" ;;
		esac
		case $way in
		SEGV) wait_screen "status 139" ;;
		ABRT) wait_screen "status 134" ;;
		*) wait_screen "status 0" ;;
		esac
		expect_restored
		tm kill-server
	done
}

@test "a crash while drawing gives the terminal back" {
	on_screen 80 24 "$REPLAY" crash
	wait_screen "status 139"
	expect_restored
}

@test "resizing, and a terminal that is too small" {
	start_workload "$WORK/counts" keep 11
	live 120 40 "$PID"
	wait_screen "lost 0"
	tm resize-window -x 60 -y 12
	wait_screen "needs a terminal of 72 x 16"
	on_the_screen "this is 60 x 12"
	tm resize-window -x 10 -y 3
	sleep 0.3
	tm resize-window -x 160 -y 50
	wait_screen "lost 0"
	wait_until 30 eval '[ "$(screen | tail -n 1 | grep -c "q quit")" -eq 1 ]'
	keys q
	wait_screen "status 0"
}

@test "a key is answered before the probes are in, and quitting then leaves nothing" {
	start_workload "$WORK/counts" keep 11
	live 100 30 "$PID"
	wait_screen "(PID $PID)"
	keys q
	wait_screen "status 0"
	expect_restored
}

@test "a target that can't be watched: the screen closes and the reason stays" {
	on_screen 100 30 "$MW" live 1.nothing
	wait_screen "status 1"
	on_the_screen "is not a PID"
	tm kill-server
	# Attaching is what fails here.
	gcc -static -nostdlib -x c -o "$BATS_TEST_TMPDIR/bare" - <<-'EOF'
		void _start(void) { for (;;) __asm__ volatile("pause"); }
	EOF
	"$BATS_TEST_TMPDIR/bare" 3>&- &
	STARTED+=($!)
	rm -f "$BATS_TEST_TMPDIR/after"
	live 100 30 --mode exact "$!"
	wait_screen "status 1"
	on_the_screen "no allocator that probes can reach"
	expect_restored
}

@test "a target that ends leaves its last picture" {
	start_workload "$WORK/counts" sizes
	live 120 40 "$PID"
	wait_screen "lost 0"
	go_and_wait
	go
	wait_screen "ended after [0-9.]* s"
	on_the_screen " 64 KiB - 128 KiB .* $((139 + 149)) "
	keys 5
	wait_screen "PID $PID ended with status 0"
	keys q
	wait_screen "status 0"
	expect_restored
}

@test "several targets: a list, Enter goes in, Escape back" {
	"$WORK/pairs" 64 3>&- &
	first=$!
	"$WORK/pairs" 5000 3>&- &
	second=$!
	STARTED+=("$first" "$second")
	live 100 30 "$first" "$second"
	wait_screen "2 targets"
	on_the_screen "$first  pairs" "$second  pairs"
	keys Down Enter
	wait_screen "(PID $second)"
	keys 1
	wait_screen "4 KiB - 8 KiB  *[1-9]"
	shows_not "32 B - 64 B  *[1-9]"
	keys BSpace
	wait_screen "2 targets"
	keys Up Enter
	wait_screen "(PID $first)"
	wait_screen "32 B - 64 B  *[1-9]"
	kill "$second"
	keys Escape
	wait_screen "ended"
}

@test "a process whose name is an escape sequence" {
	cp "$WORK/pairs" "$BATS_TEST_TMPDIR/"$'\e]2;x\a\e[7m'
	"$BATS_TEST_TMPDIR/"$'\e]2;x\a\e[7m' 64 3>&- &
	STARTED+=($!)
	live 100 30 "$!"
	wait_screen "?\]2;x??\[7m (PID $!)"
	[ "$(tm display-message -p '#{pane_title}')" != x ]
}

@test "modes without sizes or stacks say so" {
	start_workload "$WORK/counts" kernel
	live 100 30 --sites none --mode growth "$PID"
	wait_screen "no probes in the allocator"
	wait_screen "lost 0"
	go_and_wait
	keys 5
	wait_screen "brk heap"
	keys q
	wait_screen "status 0"
}

@test "without a terminal it says to use stat; with --json it is stat" {
	start_workload "$WORK/counts" keep 11
	run "$MW" live "$PID" </dev/null
	[ "$status" -eq 1 ]
	[[ "$output" == *"memwhere stat"* ]]
	"$MW" live --json -n 1 -i 0.1 "$PID" | jq -e '.pid == '"$PID"
}

@test "a terminal that takes nothing delays no sample" {
	start_workload "$WORK/counts" sizes
	cd "$BATS_TEST_TMPDIR"
	/usr/bin/python3 - "$MW" "$PID" <<-'EOF'
		import json, os, pty, sys, time
		program, pid = sys.argv[1:]
		child, fd = pty.fork()
		if not child:
		    os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8", COLUMNS="120", LINES="40")
		    os.execv(program, [program, "live", "-i", "0.1", pid])
		text = b""
		while b"lost 0" not in text:
		    text += os.read(fd, 65536)
		# Nobody reads for a while; keys make pictures until the terminal takes no more.
		begin = time.time()
		while open("/proc/%d/syscall" % child).read().split()[0] != "1":
		    assert time.time() - begin < 30, "the terminal took all"
		    for key in b"1", b"5":
		        os.write(fd, key)
		        time.sleep(0.15)
		time.sleep(5)
		assert open("/proc/%d/syscall" % child).read().split()[0] == "1"
		text = b""
		os.write(fd, b"5e")
		while b"wrote memwhere-timeline" not in text:
		    text += os.read(fd, 65536)
		os.write(fd, b"q")
		try:
		    while True:
		        os.read(fd, 65536)
		except OSError:
		    pass
		status = os.waitpid(child, 0)[1]
		assert status == 0, status
		name = [n for n in os.listdir(".") if n.endswith(".json")][0]
		times = [p["elapsed_seconds"] for p in json.load(open(name))["points"]]
		gaps = [b - a for a, b in zip(times, times[1:])]
		assert times[-1] > 5.2 and max(gaps) < 2.5, gaps
	EOF
}

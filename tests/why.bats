#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# memwhere why: programs with one planted cause each, which they name themselves (causes.py, causes.c).

load lib

setup() { setup_common; }
teardown() { teardown_common; }

CAUSES=$BATS_TEST_DIRNAME/causes.py
PYTHON2=$(echo "$HOME"/.pyenv/versions/2.7*/bin/python)

# "NAME TRUE-CAUSE CAUSE-IN-A-CORE COMMAND..." for each program.
programs() {
	local name library preload
	/usr/bin/python3 "$CAUSES" --list | sed "s|\([^ ]*\) .*|& /usr/bin/python3 $CAUSES \1|"
	"$WORK/causes" --list | sed "s|\([^ ]*\) .*|& $WORK/causes \1|"
	# The same program under other allocators, whose settings then are the cause.
	while read -r name library; do
		preload=$(ldconfig -p | awk -v name="$library" '$1 == name {print $NF; exit}')
		echo "${name}_keeps allocator-cache allocator-cache env LD_PRELOAD=$preload MALLOC_CONF=dirty_decay_ms:-1 $WORK/causes pinned_top"
	done <<<"jemalloc libjemalloc.so.2
tcmalloc libtcmalloc_minimal.so.4
mimalloc libmimalloc.so.2"
	# What Python 2 does not free: ints and floats for ever, and cycles with a __del__.
	echo "ints_of_python_2 python-parked python-parked $PYTHON2 $BATS_TEST_DIRNAME/workloads/old_python.py ints"
	echo "del_in_cycles python-cycles python-cycles $PYTHON2 $BATS_TEST_DIRNAME/workloads/old_python.py del"
}

# Start all, wait until each is as it should be, run FUNCTION for each at the same time.
ask_all() { # FUNCTION
	local name want core command pids=()
	programs >"$BATS_TEST_TMPDIR/programs"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/programs")" -ge 50 ]
	while read -r name want core command; do
		$command >"$BATS_TEST_TMPDIR/$name.out" 3>&- &
		STARTED+=($!)
		echo $! >"$BATS_TEST_TMPDIR/$name.pid"
	done <"$BATS_TEST_TMPDIR/programs"
	while read -r name want core command; do
		wait_until 120 grep -q ready "$BATS_TEST_TMPDIR/$name.out"
	done <"$BATS_TEST_TMPDIR/programs"
	while read -r name want core command; do
		"$1" "$name" "$(cat "$BATS_TEST_TMPDIR/$name.pid")" 3>&- &
		pids+=($!)
		# Not all at once: two processors serve them.
		[ ${#pids[@]} -lt "$2" ] || { wait "${pids[0]}"; pids=("${pids[@]:1}"); }
	done <"$BATS_TEST_TMPDIR/programs"
	wait "${pids[@]}"
}

# Does GOT, "a b c", begin with WANT, "a|x,b"?
begins_with() { # WANT GOT
	local wanted got
	IFS=, read -ra wanted <<<"$1"
	read -ra got <<<"$2"
	for i in "${!wanted[@]}"; do
		[[ "|${wanted[i]}|" == *"|${got[i]:-none}|"* ]] || return 1
	done
}

# Which first causes each got, and whether they are true of it: in 97 of 100 at least, as one look may come upon a
# container that moves to a larger block. Healthy programs are never accused.
judge() {
	local name want core command bad=0 accused=0 all=0 got
	while read -r name want core command; do
		got=$(jq -r '[.causes[].cause] | join(" ")' "$BATS_TEST_TMPDIR/$name.json") || got=failed
		all=$((all + 2))
		begins_with "$want" "$got" || { bad=$((bad + 1)); [[ $want != steady* ]] || accused=$((accused + 1)); echo "$name: $got, true is $want: $(cat "$BATS_TEST_TMPDIR/$name.json")"; }
		got=$(jq -r '[.causes[].cause] | join(" ")' "$BATS_TEST_TMPDIR/$name.core.json") || got=failed
		begins_with "$core" "$got" || { bad=$((bad + 1)); echo "$name, core: $got, true is $core: $(cat "$BATS_TEST_TMPDIR/$name.core.json")"; }
	done <"$BATS_TEST_TMPDIR/programs"
	expect "$accused" 0 "healthy programs accused"
	[ $((bad * 100)) -le $((all * 3)) ]
}

ask() { # NAME PID
	local file=$BATS_TEST_TMPDIR/$1
	"$MW" why --for 15 --json "$2" >"$file.json" 2>"$file.err"
	"$MW" snapshot -q "$2" -o "$file.core" && "$MW" why --json "$file.core" >"$file.core.json" 2>>"$file.err"
	rm -f "$file.core"
}

@test "the first causes are the planted ones, live and from cores, and healthy programs are steady" {
	ask_all ask 14
	judge
}

resident() { awk '/^Rss/ {print $2 * 1024}' "/proc/$1/smaps_rollup"; } # PID

@test "a line that only churns is not the one that keeps" {
	"$WORK/causes" lost_strings >"$BATS_TEST_TMPDIR/out" 3>&- &
	STARTED+=($!)
	wait_until 60 grep -q ready "$BATS_TEST_TMPDIR/out"
	"$MW" why --for 30 --json "${STARTED[0]}" >"$BATS_TEST_TMPDIR/json"
	cat "$BATS_TEST_TMPDIR/json"
	jq -e '.causes[0].cause == "native-live" and (.causes[0].text | test("asked for at") | not) or
		(.causes[0].text | test("asked for at causes.c lose_name"))' "$BATS_TEST_TMPDIR/json"
	jq -e '[.causes[] | .text, .evidence[]?] | tostring | test("use_buffer") | not' "$BATS_TEST_TMPDIR/json"
}

@test "a remedy gives back what was promised" {
	local name want core command before given
	programs | grep -E "^(pinned_top|arena_for_each_thread|threshold_moves|jemalloc_keeps|images_in_the_heap|every_fiftieth_row_lives|collector_is_off) " >"$BATS_TEST_TMPDIR/programs"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/programs")" -eq 7 ]
	while read -r name want core command; do
		$command >"$BATS_TEST_TMPDIR/$name.out" 3>&- &
		STARTED+=($!)
		wait_until 60 grep -q ready "$BATS_TEST_TMPDIR/$name.out"
		"$MW" why --for 0 --json $! >"$BATS_TEST_TMPDIR/json"
		before=$(resident $!)
		# The program does what the remedy says.
		kill -USR1 $!
		wait_until 30 grep -q done "$BATS_TEST_TMPDIR/$name.out"
		given=$((before - $(resident $!)))
		kill $!
		jq -e --arg cause "$want" --argjson given "$given" '.causes[0] | .cause == $cause and .remedy.bytes > 10000000 and
			($given - .remedy.bytes | fabs) < 0.25 * .remedy.bytes' "$BATS_TEST_TMPDIR/json" ||
			{ echo "$name gave $given: $(cat "$BATS_TEST_TMPDIR/json")"; return 1; }
	done <"$BATS_TEST_TMPDIR/programs"
}

@test "an answer fits a screen, for cores as for processes" {
	start_python /usr/bin/python3 "$CAUSES" loaded_once
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/a.core"
	"$MW" why "$BATS_TEST_TMPDIR/a.core" >"$BATS_TEST_TMPDIR/core"
	"$MW" "$BATS_TEST_TMPDIR/a.core" | diff "$BATS_TEST_TMPDIR/core" -
	"$MW" why --for 2 "$PID" >"$BATS_TEST_TMPDIR/process"
	for file in core process; do
		[ "$(wc -l <"$BATS_TEST_TMPDIR/$file")" -le 24 ]
		[ "$(awk '{ if (length > most) most = length } END {print most}' "$BATS_TEST_TMPDIR/$file")" -le 80 ]
		grep -q "your Python objects" "$BATS_TEST_TMPDIR/$file"
	done
	head -c 2000000 "$BATS_TEST_TMPDIR/a.core" >"$BATS_TEST_TMPDIR/cut"
	"$MW" why "$BATS_TEST_TMPDIR/cut" | sed -n 2p | grep "^cut short: 1.* of the core's memory is there"
	# Two seconds are too short to say so; a core can't say it at all.
	if grep "Nothing grows" "$BATS_TEST_TMPDIR"/{core,process}; then return 1; fi
}

@test "of two snapshots what grew is the cause, with its holder and by how much" {
	start_python /usr/bin/python3 -c 'import signal, time
cache, steps = {}, iter(range(100))
def step(*_):
    n = next(steps)
    cache.update({(n, i): "value %d" % i for i in range(7919)})
    print("ready", n, flush=True)
signal.signal(signal.SIGUSR1, step)
step()
while True:
    time.sleep(1)'
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/a"
	kill -USR1 "$PID"
	wait_until 10 grep -q "ready 1" "$BATS_TEST_TMPDIR/said"
	"$MW" snapshot -q "$PID" -o "$BATS_TEST_TMPDIR/b"
	"$MW" why --json "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b" >"$BATS_TEST_TMPDIR/json"
	jq -e '.causes[0] | .cause == "python-objects" and .holder.path == "__main__.cache" and .holder.length == 2 * 7919
		and .holder.grown == 7919 and .grown_bytes > 7919 * 100 and .bytes_per_second == null' "$BATS_TEST_TMPDIR/json"
	jq -e '.seconds == null and .grown_bytes > 0 and (.other_program | not)' "$BATS_TEST_TMPDIR/json"
	# From the second to the first nothing grew.
	"$MW" why --json "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/a" | jq -e '.causes[0].cause == "steady"'
	# A running process is later than its snapshot.
	"$MW" why --json "$BATS_TEST_TMPDIR/a" "$PID" | jq -e '.causes[0].text | test("Your Python objects grew by .*__main__.cache .dict of 15.8k, .7919")'
}

# Bytes that only process PID maps, as the kernel says.
own_bytes() { awk '/^Private/ {sum += $2} END {print sum * 1024}' "/proc/$1/smaps_rollup"; }

# 40 MB of data, two workers, each of which then runs WORK.
start_family() { # WORK
	start_python /usr/bin/python3 -c '
import gc, os, signal, sys, time
gc.disable()
data = [{"id": n, "name": "user-%d" % n, "tags": []} for n in range(80000)]
gc.freeze()
children = []
for i in range(2):
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        exec(sys.argv[1])
        os.write(1, b"worker %d\n" % os.getpid())
        time.sleep(1000)
    children.append(child)
print("forked", flush=True)
def end(*_):
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(1000)' "$1"
	wait_until 30 eval '[ "$(grep -c ^worker "$BATS_TEST_TMPDIR/said")" -eq 2 ]'
	WORKER=$(said worker)
}

@test "a family of workers: nothing is unshared by looking at it" {
	start_family pass
	before=$(own_bytes "$WORKER")
	[ "$before" -lt 4000000 ]
	"$MW" why --family --json "$WORKER" >"$BATS_TEST_TMPDIR/json"
	"$MW" why --for 0 "$WORKER" >/dev/null
	"$MW" leaks "$WORKER" >/dev/null
	"$MW" snapshot -q "$WORKER" -o "$BATS_TEST_TMPDIR/core"
	"$MW" stat -n 6 "$WORKER" >/dev/null
	after=$(own_bytes "$WORKER")
	echo "own before $before, after $after"
	[ $((after - before)) -lt 1000000 ]
	# What the kernel says of the sharing, by the page.
	jq -e --argjson own "$before" --argjson origin "$PID" '.family | .processes == 3 and .origin == $origin and
		(.own_bytes - $own | fabs) < 500000 and .proportional_bytes * 2 < .resident_bytes' "$BATS_TEST_TMPDIR/json"
	jq -e '([.shares[].own_bytes] | add) == .family.own_bytes and all(.causes[].cause; . != "copy-on-write")' "$BATS_TEST_TMPDIR/json"
}

@test "a family of workers: what unshared the pages" {
	local work reason
	while IFS='|' read -r work reason; do
		start_family "$work"
		"$MW" why --family --json "$PID" >"$BATS_TEST_TMPDIR/json"
		kill "$PID"
		jq -e --arg reason "$reason" '.causes[0] | .cause == "copy-on-write" and (.text | test($reason))' "$BATS_TEST_TMPDIR/json" ||
			{ echo "$work: $(cat "$BATS_TEST_TMPDIR/json")"; return 1; }
	done <<-'EOF'
	gc.unfreeze(); gc.collect()|collector
	[(a, b) for d in data for a, b in d.items()]|reference counts
	[d.update(id=-n) for n, d in enumerate(data, 7)]|it wrote
	EOF
	# The same of all three together: a cgroup's folder lists them, or one below it does.
	start_family "gc.unfreeze(); gc.collect()"
	folder=$BATS_TEST_TMPDIR/cgroup
	mkdir -p "$folder/below"
	echo "$PID" >"$folder/cgroup.procs"
	sed -n 's/^worker //p' "$BATS_TEST_TMPDIR/said" >"$folder/below/cgroup.procs"
	own=$(for pid in $(cat "$folder"/{,below/}cgroup.procs); do own_bytes "$pid"; done | awk '{sum += $1} END {print sum}')
	"$MW" why --family --json "$folder" >"$BATS_TEST_TMPDIR/json"
	jq -e --argjson own "$own" '.family.processes == 3 and .family.cgroup and .family.unread == 0 and
		(.family.own_bytes - $own | fabs) < 1000000 and .resident_bytes > .family.own_bytes and
		.resident_bytes < .family.resident_bytes' "$BATS_TEST_TMPDIR/json"
	jq -e '.causes[0] | .cause == "copy-on-write" and (.text | test("workers. own copies .*collector"))' "$BATS_TEST_TMPDIR/json"
	kill "$PID"
	echo >"$folder/cgroup.procs"
	rm -r "$folder/below"
	run "$MW" why --family "$folder"
	[ "$status" -eq 1 ]
	[[ $output == *"no process is in this cgroup"* ]]
	run "$MW" why --family no-such-name
	[ "$status" -eq 1 ]
	[[ $output == *"no process and no cgroup"* ]]
	sleep 1000 3>&- &
	STARTED+=($!)
	wait_until 30 runs $! "$(command -v sleep)"
	run "$MW" why --family $!
	[ "$status" -eq 1 ]
	[[ $output == *"forked none"* ]]
}

@test "a process that ends while it is watched is answered with what there was" {
	start_python /usr/bin/python3 -c 'import time
kept = list(range(300000))
print("ready", flush=True)
time.sleep(8)'
	"$MW" why --for 30 --json "$PID" >"$BATS_TEST_TMPDIR/json"
	jq -e '.resident_bytes > 10000000 and (.shares | length > 3) and .ended_seconds > 0 and .ended_seconds < 20 and
		.ended_resident_bytes > 10000000' "$BATS_TEST_TMPDIR/json"
}

@test "a JVM, and a watch without probes" {
	start_python java -Xmx400m "$BATS_TEST_DIRNAME/workloads/Grow.java"
	"$MW" why --for 10 --json "$PID" >"$BATS_TEST_TMPDIR/jvm" &
	jvm=$!
	"$WORK/causes" list_grows >"$BATS_TEST_TMPDIR/out" 3>&- &
	STARTED+=($!)
	"$MW" why --for 8 --max-overhead 0 --json $! | jq -e '.causes[0].cause == "native-live" and .causes[0].site == null'
	wait $jvm
	jq -e '.causes[0] | .cause == "mappings" and (.text | test("heap of the JVM grows"))' "$BATS_TEST_TMPDIR/jvm"
}

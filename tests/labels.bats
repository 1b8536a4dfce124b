#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Labels: what people call the places that memory is asked for at, in programs of several languages.

load lib

setup() { setup_common; }
teardown() { teardown_common; }

# The label of what holds most.
top_label() { last '[.sites.top[]] | max_by(.outstanding.bytes) | .label'; }
watch_exactly() { # PID
	"$MW" stat "$1" --mode exact --sites all --by outstanding -t 100 -i 2 -n 1 --json >"$BATS_TEST_TMPDIR/out"
}
is_label() { # PATTERN
	top_label | grep -qE "$1" && return
	last '.sites.top[] | "\(.outstanding.bytes) \(.label)"' >&2
	return 1
}

@test "Rust: a function that was inlined, not the library that it calls" {
	cat >"$BATS_TEST_TMPDIR/leak.rs" <<-'EOF'
		use std::io::Write;
		struct Kept { list: Vec<Box<[u8]>> }
		impl Kept {
		    #[inline(always)]
		    fn remember(&mut self, n: usize) {
		        self.list.push(vec![1u8; n].into_boxed_slice());
		    }
		}
		fn main() {
		    let mut kept = Kept { list: Vec::new() };
		    println!("ready {}", std::process::id());
		    std::io::stdout().flush().unwrap();
		    loop {
		        kept.remember(30_011);
		        std::thread::sleep(std::time::Duration::from_millis(2));
		    }
		}
	EOF
	rustc -O -g -o "$BATS_TEST_TMPDIR/leak" "$BATS_TEST_TMPDIR/leak.rs"
	start_python "$BATS_TEST_TMPDIR/leak"
	watch_exactly "$PID"
	is_label '^leak.rs leak::(Kept::)?(<.*>::)?remember:6 <- leak.rs leak::main:14$'
}

# Three functions get memory through xmalloc or its wrapper, and one keeps it; new_node is no wrapper.
@test "C: through wrappers to who asked, but a function that makes nodes is who asked" {
	cat >"$BATS_TEST_TMPDIR/a.c" <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		#define BARRIER(p) __asm__ volatile("" :: "r"(p) : "memory")
		#define F __attribute__((noinline)) static
		F void *xmalloc(size_t n) { void *p = malloc(n); if (!p) abort(); BARRIER(p); return p; }
		F char *xstrdup(const char *s) { char *p = xmalloc(strlen(s) + 1); strcpy(p, s); BARRIER(p); return p; }
		F void *new_node(void) { void *p = malloc(4099); BARRIER(p); return p; }
		F void header(void) { void *p = xmalloc(64); BARRIER(p); free(p); char *s = xstrdup("four"); BARRIER(s); free(s); }
		F void parse(void) { void *p = xmalloc(900); BARRIER(p); free(p); char *s = xstrdup("a longer text than that, by far"); BARRIER(s); free(s); }
		F void answer(void) { void *p = xmalloc(5000); BARRIER(p); free(p); char *s = xstrdup("and one more"); BARRIER(s); free(s); }
		F void remember(int kind) {
			if (kind == 1) { void *p = xmalloc(30011); BARRIER(p); }
			if (kind == 2) { char text[7001]; memset(text, 'x', 7000); text[7000] = 0; char *s = xstrdup(text); BARRIER(s); }
			if (kind == 3) { void *p = new_node(); BARRIER(p); }
		}
		F void insert(void) { void *p = new_node(); BARRIER(p); free(p); }
		F void append(void) { void *p = new_node(); BARRIER(p); free(p); }
		int main(int argc, char **argv)
		{
			printf("ready\n"); fflush(stdout);
			for (;;) { header(); parse(); answer(); insert(); append(); remember(argc > 1 ? argv[1][0] - '0' : 0); usleep(1000); }
		}
	EOF
	gcc -O1 -fno-optimize-sibling-calls -fno-ipa-cp -fno-ipa-sra -o "$BATS_TEST_TMPDIR/leak" "$BATS_TEST_TMPDIR/a.c"
	for kind in 1 2 3; do
		start_python "$BATS_TEST_TMPDIR/leak" $kind
		watch_exactly "$PID"
		case $kind in
		3) is_label '^leak new_node <- remember$' ;;
		*) is_label '^leak remember <- main$' ;;
		esac
		kill "$PID"
	done
}

@test "Flask under gunicorn: the line of the view that keeps" {
	cat >"$BATS_TEST_TMPDIR/shop.py" <<-'EOF'
		from flask import Flask
		app = Flask(__name__)
		SEEN = []
		def remember():
		    SEEN.append(bytearray(30011))
		@app.route("/")
		def index():
		    remember()
		    return "ok"
		@app.route("/direct")
		def direct():
		    SEEN.append(bytearray(50021))
		    return "ok"
	EOF
	(cd "$BATS_TEST_TMPDIR" && exec /usr/bin/python3 -m gunicorn -b "unix:$BATS_TEST_TMPDIR/socket" shop:app) \
		>"$BATS_TEST_TMPDIR/gunicorn.log" 2>&1 3>&- &
	server=$!
	STARTED+=("$server")
	wait_until 60 test -S "$BATS_TEST_TMPDIR/socket"
	wait_until 60 pgrep -P "$server"
	worker=$(pgrep -P "$server")
	ask() { curl -s --unix-socket "$BATS_TEST_TMPDIR/socket" "http://x/$1"; }
	wait_until 60 ask
	for path in "" direct; do
		(while kill -0 "$worker" 2>/dev/null; do ask "$path"; done) >/dev/null 3>&- &
		client=$!
		STARTED+=("$client")
		watch_exactly "$worker"
		kill "$client"
		if [ "$path" ]; then is_label '^shop.py:12 direct$'; else is_label '^shop.py:5 remember <- shop.py:8 index$'; fi
	done
}

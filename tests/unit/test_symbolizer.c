// SPDX-License-Identifier: GPL-2.0-or-later
/* Names for addresses of processes that say themselves what is there. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/snapshot.h"
#include "symbol/demangle.h"
#include "symbol/perfmap.h"
#include "symbol/symbolizer.h"
#include "tests/unit/program.h"
#include "tests/unit/test.h"

/*
 * ---- processes --------------------------------------------------------------------------------
 */

struct child {
	pid_t pid;
	FILE *out; /* what it prints */
	int in;	   /* what it reads */
};

static struct child start(const char *path, const char *arg)
{
	struct child c;
	int out[2], in[2];

	CHECK(path && !pipe2(out, O_CLOEXEC) && !pipe2(in, O_CLOEXEC));
	c.pid = fork();
	if (!c.pid) {
		/* A failed check leaves it behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(path, path, arg, NULL);
		_exit(127);
	}
	CHECK(c.pid > 0);
	close(out[1]);
	close(in[0]);
	c.out = fdopen(out[0], "r");
	c.in = in[1];
	return c;
}

static void stop(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	fclose(c->out);
	close(c->in);
}

/* The next number that it prints. */
static uint64_t number(struct child *c)
{
	uint64_t n = 0;

	CHECK(fscanf(c->out, "%" SCNx64, &n) == 1);
	return n;
}

/*
 * The program of most tests: where things are in it, then it waits to be told to load its argument.
 */
static const char program[] =
	"#include <dlfcn.h>\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <unistd.h>\n"
	"#include <sys/auxv.h>\n"
	"extern char __executable_start[]; static int counted = 3;\n"
	"static int hidden(int n) { return n + getpid(); }\n"
	"int shown(int n)\n"
	"{ return hidden(n) * 3; }\n" /* line 9 */
	"int main(int c, char **v) { char b; void *l = 0;\n"
	" void *vdso = dlopen(\"linux-vdso.so.1\", RTLD_NOW | RTLD_NOLOAD);\n"
	" printf(\"%p %p %p %p %p %p\\n\", __executable_start, (void *)hidden, (void *)shown,\n"
	"  (void *)getenv, vdso ? dlsym(vdso, \"__vdso_clock_gettime\") : 0, &counted); fflush(stdout);\n"
	" while (read(0, &b, 1) == 1) {\n"
	"  if (c > 1 && v[1][0] == '!') execl(v[1] + 1, v[1] + 1, (char *)0);\n"
	"  if (c > 1) l = dlopen(v[1], RTLD_NOW);\n"
	"  printf(\"%p\\n\", l ? dlsym(l, \"in_library\") : 0); fflush(stdout); }\n"
	" return shown(c) == 1; }\n";

struct places {
	uint64_t base, hidden, shown, getenv, vdso, counted;
};

static struct places read_places(struct child *c)
{
	struct places p;

	p.base = number(c);
	p.hidden = number(c);
	p.shown = number(c);
	p.getenv = number(c);
	p.vdso = number(c);
	p.counted = number(c);
	return p;
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/*
 * ---- symbolizers ------------------------------------------------------------------------------
 */

static struct mw_image *image; /* that of the symbolizer which is open */

static struct mw_symbolizer *open_symbols(pid_t pid)
{
	image = mw_image__open_process(pid, MW_IMAGE_SWAP_IN, NULL);
	return image ? mw_symbolizer__open(image) : NULL;
}

static void refresh_symbols(struct mw_symbolizer *s)
{
	if (!mw_image__refresh(image))
		mw_symbolizer__refresh(s);
}

static void close_symbols(struct mw_symbolizer *s)
{
	mw_symbolizer__close(s);
	mw_image__close(image);
}

/*
 * ---- programs and libraries -------------------------------------------------------------------
 */

TEST(a_program_with_symbols_and_lines)
{
	const char *path = program_build("full", "c", program, "-O0 -g");
	struct child c = start(path, NULL);
	struct places p = read_places(&c);
	struct mw_symbolizer *s = open_symbols(c.pid);
	struct mw_symbol_place place, again;

	CHECK(s);
	CHECK(mw_symbolizer__find(s, p.hidden + 4, &place));
	CHECK_STR(place.function, "hidden");
	CHECK_STR(place.module, "full");
	CHECK_STR(place.path, path);
	CHECK_INT(place.offset, 4);
	CHECK_INT(place.line, 7);
	CHECK_STR(base_name(place.file), "full.src");
	CHECK(mw_symbolizer__find(s, p.shown + 8, &place));
	CHECK_STR(place.function, "shown");
	CHECK_INT(place.line, 9);
	/* The same words, not only equal ones. */
	CHECK(mw_symbolizer__find(s, p.shown + 8, &again));
	CHECK(again.function == place.function && again.file == place.file);
	CHECK(mw_symbolizer__find(s, p.getenv, &place));
	CHECK_STR(place.function, "getenv");
	CHECK_STR(place.module, "libc.so.6");
	CHECK_INT(place.offset, 0);
	CHECK(p.vdso);
	CHECK(mw_symbolizer__find(s, p.vdso + 1, &place));
	CHECK_STR(place.module, "[vdso]");
	CHECK(strstr(place.function, "clock_gettime"));
	CHECK_INT(place.offset, 1);
	CHECK(!mw_symbolizer__find(s, 0, &place));
	CHECK_STR(place.module, "[unmapped]");
	CHECK(!mw_symbolizer__find(s, UINT64_MAX, &place));
	CHECK_INT(place.offset, UINT64_MAX);
	/* The program's ELF header is no function. */
	CHECK(!mw_symbolizer__find(s, p.base + 1, &place));
	CHECK_STR(place.module, "full");
	CHECK_INT(place.offset, 1);
	/* What was not asked yet can be found when the process has ended. */
	stop(&c);
	refresh_symbols(s);
	CHECK(mw_symbolizer__find(s, p.hidden + 5, &place));
	CHECK_STR(place.function, "hidden");
	close_symbols(s);
}

TEST(many_addresses)
{
	struct child c = start(program_path("full"), NULL);
	struct places p = read_places(&c);
	struct mw_symbolizer *s = open_symbols(c.pid);
	struct mw_symbol_place place;

	CHECK(s);
	for (unsigned int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 5000; i++) {
			CHECK(!mw_symbolizer__find(s, p.base + i % 64, &place));
			CHECK_INT(place.offset, i % 64);
			mw_symbolizer__find(s, p.getenv + i, &place);
			CHECK_STR(place.module, "libc.so.6");
			if (i < 16)
				CHECK_INT(place.offset, i);
		}
	}
	stop(&c);
	close_symbols(s);
}

static void check_unnamed(const char *path)
{
	struct child c = start(path, NULL);
	struct places p = read_places(&c);
	struct mw_symbolizer *s = open_symbols(c.pid);
	struct mw_symbol_place place;

	CHECK(s);
	CHECK(!mw_symbolizer__find(s, p.hidden + 4, &place));
	CHECK(!place.function && !place.file && !place.line);
	CHECK_STR(place.module, base_name(path));
	CHECK_INT(place.offset, p.hidden + 4 - p.base);
	stop(&c);
	close_symbols(s);
}

static void check_named(const char *path, const char *function, uint32_t line)
{
	struct child c = start(path, NULL);
	struct places p = read_places(&c);
	struct mw_symbolizer *s = open_symbols(c.pid);
	struct mw_symbol_place place;
	bool is_hidden = !strcmp(function, "hidden");

	CHECK(s);
	CHECK(mw_symbolizer__find(s, (is_hidden ? p.hidden : p.shown) + 4, &place));
	CHECK_STR(place.function, function);
	CHECK_INT(place.offset, 4);
	CHECK_INT(place.line, line);
	stop(&c);
	close_symbols(s);
}

TEST(stripped_programs)
{
	check_unnamed(program_build("bare", "c", program, "-O0 -s"));
	check_unnamed(program_build("fixed", "c", program, "-O0 -s -no-pie"));
	check_named(program_build("dynamic", "c", program, "-O0 -s -rdynamic"), "shown", 0);
}

TEST(programs_of_other_shapes)
{
	check_named(program_build("static", "c", program, "-O0 -g -static -Wl,--no-warnings"),
		    "hidden", 7);
	check_named(program_build("fixed", "c", program, "-O0 -g -no-pie"), "hidden", 7);
	check_named(program_build("dense", "c", program, "-O0 -g -Wl,-z,noseparate-code"), "hidden",
		    7);
	/* Its code begins on the page of the file where the read-only data ends. */
	check_named(program_build("lld", "c", program, "-O0 -g -fuse-ld=lld"), "hidden", 7);
	check_named(program_build("packed", "c", program, "-O0 -g -gz"), "hidden", 7);
	check_named(program_build("old", "c", program, "-O0 -gdwarf-4"), "hidden", 7);
}

/* Of code and data, by the symbol alone. */
static void check_names(struct mw_symbolizer *s, const struct places *p)
{
	struct mw_symbol_name name;

	CHECK(s);
	CHECK(mw_symbolizer__name(s, p->hidden + 2, &name));
	CHECK_STR(name.name, "hidden");
	CHECK_INT(name.offset, 2);
	CHECK(mw_symbolizer__name(s, p->counted + 1, &name));
	CHECK_STR(name.name, "counted");
	CHECK_INT(name.offset, 1);
	CHECK(!mw_symbolizer__name(s, p->base, &name));
}

TEST(names_in_an_image)
{
	static const char *const names[] = {"full", "fixed", "dense", "lld"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct child c = start(program_path(names[i]), NULL);
		struct places p = read_places(&c);
		struct mw_symbolizer *s = open_symbols(c.pid);

		check_names(s, &p);
		close_symbols(s);
		stop(&c);
	}
}

/* The same names and lines as of the process. */
TEST(names_in_a_core)
{
	struct child c = start(program_path("full"), NULL);
	struct places p = read_places(&c);
	const char *path = program_path("core");
	struct mw_symbol_place place;
	struct mw_snapshot snapshot;
	struct mw_symbolizer *s;
	struct mw_err err = {0};

	CHECK_INT(mw_snapshot_write(&snapshot, c.pid, path, false, &err), 0);
	stop(&c);
	image = mw_image__open_core(path, NULL, &err);
	CHECK(image);
	s = mw_symbolizer__open(image);
	check_names(s, &p);
	CHECK(mw_symbolizer__find(s, p.hidden + 4, &place));
	CHECK_STR(place.function, "hidden");
	CHECK_STR(place.module, "full");
	CHECK_INT(place.line, 7);
	CHECK(mw_symbolizer__find(s, p.getenv, &place));
	CHECK_STR(place.function, "getenv");
	close_symbols(s);
	unlink(path);
}

TEST(a_debug_file_beside_the_program)
{
	const char *path = program_build("split", "c", program, "-O0 -g");

	CHECK(path);
	CHECK(!run_command("cd %s && objcopy --only-keep-debug split split.debug && strip split && "
			   "objcopy --add-gnu-debuglink=split.debug split",
			   program_dir));
	check_named(path, "hidden", 7);
	/* With another checksum it is another program's. */
	CHECK(!run_command("echo >>%s.debug", path));
	check_unnamed(path);
	CHECK(!run_command("rm %s.debug && mkfifo %s.debug", path, path));
	check_unnamed(path);
}

/* What Fedora's binaries keep: a packed table of the symbols that .dynsym does not have. */
TEST(symbols_packed_into_the_program)
{
	const char *path = program_build("mini", "c", program, "-O0");

	CHECK(path);
	CHECK(!run_command(
		"cd %s && objcopy --only-keep-debug mini mini.d && "
		"objcopy -S --keep-symbol=hidden mini.d mini.s && xz mini.s && strip mini && "
		"objcopy --add-section .gnu_debugdata=mini.s.xz mini",
		program_dir));
	check_named(path, "hidden", 0);
}

#define BUILD_ID_FOLDER "/usr/lib/debug/.build-id/fe"

static void remove_debug_file(void)
{
	unlink(BUILD_ID_FOLDER "/0f1e2d3c4b5a69.debug");
	rmdir(BUILD_ID_FOLDER); /* if it was ours */
}

TEST(a_debug_file_by_build_id)
{
	const char *path =
		program_build("byid", "c", program, "-O0 -g -Wl,--build-id=0xfe0f1e2d3c4b5a69");

	CHECK(path);
	atexit(remove_debug_file);
	CHECK(!run_command("mkdir -p %s && objcopy --only-keep-debug %s %s/0f1e2d3c4b5a69.debug && "
			   "strip %s",
			   BUILD_ID_FOLDER, path, BUILD_ID_FOLDER, path));
	check_named(path, "hidden", 7);
	remove_debug_file();
	check_unnamed(path);
}

static const char library[] = "int in_library(int n) { return n * 5; }\n";

TEST(a_library_that_is_loaded_later_and_deleted)
{
	const char *lib = program_build("lib.so", "c", library, "-O0 -g -shared -fPIC");
	struct child c;
	struct mw_symbolizer *s;
	struct mw_symbol_place place;
	uint64_t addr;

	CHECK(lib);
	c = start(program_path("full"), lib);
	read_places(&c);
	s = open_symbols(c.pid);
	CHECK(s);
	CHECK_INT(write(c.in, "x", 1), 1);
	addr = number(&c);
	CHECK(addr);
	CHECK(!unlink(lib));
	CHECK(!mw_symbolizer__find(s, addr + 4, &place));
	CHECK_STR(place.module, "[unmapped]");
	refresh_symbols(s);
	CHECK(mw_symbolizer__find(s, addr + 4, &place));
	CHECK_STR(place.function, "in_library");
	CHECK_STR(place.module, "lib.so");
	CHECK_INT(place.offset, 4);
	CHECK_INT(place.line, 1);
	stop(&c);
	close_symbols(s);
}

/* Both are at the same addresses. */
TEST(a_program_that_becomes_another)
{
	const char *other = program_build("other", "c", program,
					  "-O0 -g -no-pie -Dhidden=second -Dshown=third");
	struct child c;
	struct mw_symbolizer *s;
	struct mw_symbol_place place;
	struct places p, q;
	char arg[256];

	CHECK(other);
	snprintf(arg, sizeof(arg), "!%s", other);
	c = start(program_path("fixed"), arg);
	p = read_places(&c);
	s = open_symbols(c.pid);
	CHECK(s);
	CHECK(mw_symbolizer__find(s, p.hidden, &place));
	CHECK_STR(place.function, "hidden");
	CHECK_INT(write(c.in, "x", 1), 1);
	q = read_places(&c);
	CHECK_INT(q.hidden, p.hidden);
	refresh_symbols(s);
	CHECK(mw_symbolizer__find(s, p.hidden, &place));
	CHECK_STR(place.function, "second");
	CHECK_STR(place.module, "other");
	stop(&c);
	close_symbols(s);
}

/* What a process may do to whoever looks at it. */
TEST(a_library_cut_short)
{
	struct child c;
	struct mw_symbolizer *s;
	struct mw_symbol_place place;
	struct stat st;
	uint64_t addr;
	char lib[256];

	snprintf(lib, sizeof(lib), "%s", program_path("cut.so"));
	CHECK(program_build("cut.so", "c", library, "-O0 -g -shared -fPIC") && !stat(lib, &st));
	for (off_t len = st.st_size; len >= 0; len -= 1531) {
		CHECK(program_build("cut.so", "c", library, "-O0 -g -shared -fPIC"));
		c = start(program_path("full"), lib);
		read_places(&c);
		CHECK_INT(write(c.in, "x", 1), 1);
		addr = number(&c);
		s = open_symbols(c.pid);
		CHECK(s && addr);
		CHECK(!truncate(lib, len));
		mw_symbolizer__find(s, addr, &place);
		CHECK(!truncate(lib, 0));
		mw_symbolizer__find(s, addr + 1, &place);
		CHECK_STR(place.module, "cut.so");
		stop(&c);
		close_symbols(s);
	}
}

TEST(names_of_c_plus_plus)
{
	static const char source[] =
		"#include <stdio.h>\n"
		"#include <unistd.h>\n"
		"namespace outer { namespace {\n"
		"template <typename T> struct box {\n"
		" __attribute__((noinline)) static T put(T t) { return t + getpid(); } };\n"
		"} template <typename T, int N> __attribute__((noinline)) T twice(T t)\n"
		"{ return t * N; } }\n"
		"int main() { char b; printf(\"%p %p\\n\", (void *)outer::box<long>::put,\n"
		" (void *)outer::twice<int, 7>); fflush(stdout); return read(0, &b, 1); }\n";
	struct child c = start(program_build("cxx", "c++", source, "-O0 -g"), NULL);
	uint64_t put = number(&c), twice = number(&c);
	struct mw_symbolizer *s = open_symbols(c.pid);
	struct mw_symbol_place place;

	CHECK(s);
	CHECK(mw_symbolizer__find(s, put, &place));
	CHECK_STR(place.function, "outer::(anonymous namespace)::box<long>::put");
	CHECK_INT(place.line, 5);
	CHECK(mw_symbolizer__find(s, twice, &place));
	CHECK_STR(place.function, "outer::twice<int, 7>");
	stop(&c);
	close_symbols(s);
}

TEST(no_such_process)
{
	CHECK(!open_symbols(4194303));
	CHECK_INT(errno, ESRCH);
}

/*
 * ---- code made at run time --------------------------------------------------------------------
 */

/*
 * A process with two pages of code of its own, in the folder ROOT if that isn't NULL; it writes
 * its map: FMT, with the first page's address.
 */
static pid_t jit_process(int flags, const char *root, const char *fmt, uint64_t *code)
{
	int pipes[2];
	pid_t pid;
	char ready;

	*code = (uintptr_t)mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				0);
	CHECK(*code != (uintptr_t)MAP_FAILED && !pipe(pipes));
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		char path[64];
		FILE *f;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* A root of its own, by chroot: in a chroot nothing can be mounted privately. */
		if (root && (chroot(root) || chdir("/") || mkdir("/tmp", 0777)))
			_exit(1);
		snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)syscall(SYS_getpid));
		f = fopen(path, "w");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (!f || fprintf(f, fmt, *code) < 0 || fclose(f) || write(pipes[1], "x", 1) != 1)
			_exit(1);
#pragma GCC diagnostic pop
		for (;;)
			pause();
	}
	CHECK(pid > 0);
	close(pipes[1]);
	CHECK_INT(read(pipes[0], &ready, 1), 1);
	close(pipes[0]);
	return pid;
}

static void jit_end(pid_t pid, uint64_t code)
{
	char path[64];

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)(uintptr_t)code, 8192);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	unlink(path);
}

TEST(code_with_a_perf_map)
{
	uint64_t code;
	pid_t pid = jit_process(0, NULL, "%" PRIx64 " 2b py::run\033[2J:/tmp/a b.py\n", &code);
	struct mw_symbolizer *s = open_symbols(pid);
	struct mw_symbol_place place;
	char path[64];

	CHECK(s);
	CHECK(mw_symbolizer__find(s, code + 0x2a, &place));
	CHECK_STR(place.function, "py::run?[2J:/tmp/a b.py");
	CHECK_STR(place.module, "[jit]");
	CHECK_INT(place.offset, 0x2a);
	CHECK(!mw_symbolizer__find(s, code + 0x2b, &place));
	CHECK_STR(place.module, "[jit]");
	CHECK_INT(place.offset, 0x2b);
	/* Another user's file, or a link to one, could say anything. */
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	CHECK(!chown(path, 12345, 12345));
	refresh_symbols(s);
	CHECK(!mw_symbolizer__find(s, code + 1, &place));
	CHECK(!chown(path, 0, 0));
	refresh_symbols(s);
	CHECK(mw_symbolizer__find(s, code + 1, &place));
	CHECK(!run_command("mv %s %s.real && ln -s %s.real %s", path, path, path, path));
	refresh_symbols(s);
	CHECK(!mw_symbolizer__find(s, code + 1, &place));
	CHECK(!run_command("rm %s.real", path));
	jit_end(pid, code);
	close_symbols(s);
}

TEST(code_in_a_container)
{
	const char *root = program_path("root");
	struct mw_symbol_place place;
	struct mw_symbolizer *s;
	uint64_t code;
	pid_t pid;

	CHECK(!mkdir(root, 0755));
	pid = jit_process(CLONE_NEWPID, root, "%" PRIx64 " 10 inside\n", &code);
	s = open_symbols(pid);
	CHECK(s);
	CHECK(mw_symbolizer__find(s, code + 3, &place));
	CHECK_STR(place.function, "inside");
	jit_end(pid, code);
	close_symbols(s);
}

TEST(perf_maps_that_are_odd)
{
	static const char text[] = "1000 100 old\n"
				   "hello\n"
				   "3000 10\n"
				   "4000 0 empty\n"
				   "ffffffffffffff00 200 wraps\n"
				   "0x2000 0x1000 prefixed\n"
				   "1000 80 new\n"
				   "2100 10 within\n"
				   "5000 10 \n"
				   "6000 10 unfinished";
	struct mw_perfmap map = {0};
	const struct mw_perfmap_entry *e;
	char *copy = malloc(sizeof(text));

	CHECK(copy);
	memcpy(copy, text, sizeof(text));
	CHECK_INT(mw_perfmap__parse(&map, copy, sizeof(text) - 1), 0);
	CHECK_INT(map.count, 4);
	e = mw_perfmap__find(&map, 0x1010);
	CHECK(e && e->len == 3 && !memcmp(map.text + e->name, "new", 3));
	e = mw_perfmap__find(&map, 0x10ff);
	CHECK(e && e->len == 3 && !memcmp(map.text + e->name, "old", 3));
	CHECK(!mw_perfmap__find(&map, 0x1100));
	e = mw_perfmap__find(&map, 0x2105);
	CHECK(e && e->len == 6);
	e = mw_perfmap__find(&map, 0x2fff);
	CHECK(e && e->len == 8 && e->size == 0x1000);
	CHECK(!mw_perfmap__find(&map, 0));
	CHECK(!mw_perfmap__find(&map, 0x6001));
	CHECK(!mw_perfmap__find(&map, UINT64_MAX));
	mw_perfmap__free(&map);
}

/*
 * ---- inlined functions ------------------------------------------------------------------------
 */

static const char inlining[] = /* line 1 */
	"#include <stdio.h>\n"
	"#include <unistd.h>\n"
	"static unsigned long at;\n"
	"__attribute__((noinline)) static void where(void) {\n"
	"	at = (unsigned long)__builtin_return_address(0) - 1; }\n"
	"namespace shop { struct Cart {\n"
	"	__attribute__((always_inline)) inline void add(int n) {\n"
	"		if (n) { where();\n" /* line 8 */
	"			__asm__ volatile(\"\" ::: \"memory\"); } }\n"
	"	__attribute__((always_inline)) inline void fill(int n) {\n"
	"		add(n); } }; }\n" /* line 11 */
	"int main(int argc, char **) { shop::Cart cart;\n"
	"	cart.fill(argc);\n" /* line 13 */
	"	printf(\"%lx %d\\n\", at, 0); fflush(stdout); pause(); }\n";

static void check_inlined(const char *flags, bool with_inlines)
{
	struct mw_symbol_place places[MW_SYMBOL_PLACES], place;
	struct child c = start(program_build("inlined", "c++", inlining, flags), NULL);
	struct mw_symbolizer *s;
	unsigned long addr;
	char line[64];

	CHECK(fgets(line, sizeof(line), c.out) && sscanf(line, "%lx", &addr) == 1);
	s = open_symbols(c.pid);
	CHECK(s);
	/* The second answer is from the cache. */
	for (int i = 0; i < 2; i++) {
		CHECK_INT(mw_symbolizer__find_all(s, addr, places), with_inlines ? 3 : 1);
		if (with_inlines) {
			CHECK_STR(places[0].function, "shop::Cart::add");
			CHECK_INT(places[0].line, 8);
			CHECK_STR(places[1].function, "shop::Cart::fill");
			CHECK_INT(places[1].line, 11);
			CHECK_INT(places[2].line, 13);
			CHECK(strstr(places[2].file, "inlined.src"));
		}
		CHECK_STR(places[with_inlines ? 2 : 0].function, "main");
		CHECK(mw_symbolizer__find(s, addr, &place));
		CHECK_STR(place.function, "main");
	}
	close_symbols(s);
	stop(&c);
}

TEST(inlined_functions_have_places_of_their_own)
{
	check_inlined("-O2 -gdwarf-5", true);
	check_inlined("-O2 -gdwarf-4", true);
	check_inlined("-O0 -gdwarf-5 -gno-column-info", true);
	check_inlined("-O2 -gdwarf-5 -ffunction-sections -fno-pie -no-pie", true);
	check_inlined("-O2 -gdwarf-5 -gz", true);
	check_inlined("-O2 -g1", true);
	check_inlined("-O2", false);
}

/*
 * ---- demangling -------------------------------------------------------------------------------
 */

TEST(names_of_rust_and_others)
{
	/* rustc's own examples: RFC 2603, and its documentation of both manglings. */
	static const char *const names[][2] = {
		{"_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function"},
		{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
		{"_ZN3foo3bar17h05af221e174051e9E", "foo::bar"},
		{"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"},
		{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
		 "3bar17h930b740aa94f1d3aE",
		 "<Test + 'static as foo::Bar<Test>>::bar"},
		{"_ZSt4sortIPiEvT_S1_", "std::sort<int*>"},
		{"_ZN2ns3fooEv.cold", "ns::foo"},
		{"_ZNSt6thread4joinEv@@GLIBCXX_3.4.11", "std::thread::join"},
		{"memcpy@@GLIBC_2.14", "memcpy"},
		{"main", "main"},
		{"_Z", "_Z"},
		{"_R", "_R"},
		{"_ZN3foo", "_ZN3foo"},
		{"_ZN99999999999999999999fooE", "_ZN99999999999999999999fooE"},
		{"tab\tname", "tab?name"},
		{"", ""},
	};
	char buf[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_STR(mw_demangle(buf, sizeof(buf), names[i][0]), names[i][1]);
	CHECK_STR(mw_demangle(buf, 8, "_ZSt4sortIPiEvT_S1_"), "std:...");
}

/* Each pair<T, T> holds the one before it twice: 2^36 words in 400 bytes. */
TEST(names_that_would_have_no_end)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[1024] = "_Z1fI4pairIiiE", buf[256], deep[1024], long_name[4096];
	char *at = name + strlen(name);

	/* S_ is f, S0_ is pair, S1_ the first pair<...>, and so on. */
	for (int i = 1; i < 36; i++)
		at += sprintf(at, "S0_IS%c_S%c_E", digits[i], digits[i]);
	strcpy(at, "Evv");
	mw_demangle(buf, sizeof(buf), name);
	CHECK(!strncmp(buf, "f<pair<int, int>, pair<pair<int, int>,", 38));
	CHECK_STR(buf + 252, "...");
	strcpy(deep, "_Z1fI");
	memset(deep + 5, 'P', 1000);
	strcpy(deep + 1005, "iEvv");
	mw_demangle(buf, sizeof(buf), deep);
	CHECK_INT(strlen(buf), 255);
	memset(long_name, 'P', sizeof(long_name));
	memcpy(long_name, "_Z1fI", 5);
	long_name[4095] = '\0';
	mw_demangle(buf, sizeof(buf), long_name);
	CHECK(!strncmp(buf, "_Z1fIPPP", 8));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* A child that makes and frees blocks and says which; its heap is looked at while it waits. */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/program.h"
#include "tests/unit/test.h"
#include "trace/liveness.h"

enum { BLOCKS = 3000, LARGE = 150000, LARGE_SIZE = 1000, MIB = 1 << 20 };

/* glibc's own, also where a sanitizer has put itself in front of it. */
void *__libc_malloc(size_t size);
void __libc_free(void *p);

struct shown {
	uint64_t addr, size;
	bool freed;
};

/* A child that does one step after the other, and waits in between. */
struct child {
	struct shown *shown; /* shared */
	size_t count;
	pid_t pid;
	int to, from;
};

/* Step by step: 0 and up. */
typedef void (*step_fn)(struct shown *shown, int step);

static void run(struct shown *shown, step_fn step, int in, int out)
{
	char c = 0;

	for (int i = 0; read(in, &c, 1) == 1; i++) {
		step(shown, i);
		if (write(out, &c, 1) != 1)
			break;
	}
	_exit(0);
}

static void take_step(struct child *child)
{
	char c = 0;

	CHECK(write(child->to, &c, 1) == 1);
	CHECK(read(child->from, &c, 1) == 1);
}

/* A child that runs STEP, or, where there is none, PROGRAM. */
static struct child start_any(size_t count, step_fn step, const char *program)
{
	struct child child = {.count = count};
	int to[2], from[2];

	child.shown = mmap(NULL, count * sizeof(*child.shown), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(child.shown != MAP_FAILED && !pipe(to) && !pipe2(from, O_CLOEXEC));
	child.pid = fork();
	if (!child.pid) {
		close(to[1]);
		if (step)
			run(child.shown, step, to[0], from[1]);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	child.to = to[1];
	child.from = from[0];
	return child;
}

static struct child start(size_t count, step_fn step)
{
	return start_any(count, step, NULL);
}

static void stop(struct child *child)
{
	close(child->to);
	close(child->from);
	waitpid(child->pid, NULL, 0);
	munmap(child->shown, child->count * sizeof(*child->shown));
}

static int by_address(const void *a, const void *b)
{
	const struct mw_liveness_query *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Every STRIDE-th block from FIRST on. */
static void begin(struct mw_liveness *liveness, const struct child *child, size_t first,
		  size_t stride)
{
	struct mw_liveness_query *list = calloc(child->count, sizeof(*list));
	size_t n = 0;

	CHECK(list);
	for (size_t i = first; i < child->count; i += stride) {
		const struct shown *s = &child->shown[i];

		list[n++] = (struct mw_liveness_query){
			.pid = child->pid, .addr = s->addr, .size = s->size, .key = i};
	}
	qsort(list, n, sizeof(*list), by_address);
	CHECK_INT(mw_liveness__begin(liveness, list, n), 0);
}

static const struct mw_liveness_query *await(struct mw_liveness *liveness, size_t *count,
					     struct mw_look *look)
{
	while (!mw_liveness__are_known(liveness))
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	return mw_liveness__end(liveness, count, look);
}

/* Look at every STRIDE-th block from FIRST on: each must be what the child says. */
static struct mw_look look_and_check(struct mw_liveness *liveness, const struct child *child,
				     size_t first, size_t stride)
{
	const struct mw_liveness_query *known;
	size_t count, wrong = 0;
	struct mw_look look;

	begin(liveness, child, first, stride);
	known = await(liveness, &count, &look);
	for (size_t i = 0; i < count; i++) {
		enum mw_liveness_state want =
			child->shown[known[i].key].freed ? MW_LIVENESS_FREED : MW_LIVENESS_ALIVE;

		wrong += known[i].state != want || !(known[i].looked_at > 0);
	}
	CHECK_STR(look.note, "");
	CHECK_INT(wrong, 0);
	CHECK(look.seconds > 0);
	CHECK(look.whole >= 0);
	return look;
}

static void *made[LARGE];

static void make(struct shown *shown, size_t i, size_t size)
{
	made[i] = __libc_malloc(size);
	shown[i] = (struct shown){.addr = (uintptr_t)made[i], .size = size};
}

static void drop(struct shown *shown, size_t i)
{
	if (!shown[i].freed)
		__libc_free(made[i]);
	shown[i].freed = true;
}

static void small_steps(struct shown *shown, int step)
{
	/* Some have a mapping of their own; small ones go to caches and fastbins. */
	for (size_t i = 0; !step && i < BLOCKS; i++)
		make(shown, i,
		     i % 100 == 99  ? 300000 + i
		     : i % 100 < 50 ? 1100 + 37 * (i % 53)
				    : 40);
	for (size_t i = (size_t)step; i < BLOCKS; i += 5)
		drop(shown, i);
	/* Other blocks come where two neighbours went, and into some single places. */
	for (size_t i = 0; i < BLOCKS / 8; i++)
		__libc_malloc(900);
}

TEST(looks_tell_which_blocks_are_gone)
{
	struct mw_liveness *liveness = mw_liveness__new();
	struct child child = start(BLOCKS, small_steps);

	for (int i = 0; i < 5; i++) {
		take_step(&child);
		look_and_check(liveness, &child, 0, 1);
	}
	mw_liveness__free(liveness);
	stop(&child);
}

/* What is at a mark becomes the inside of a larger block that keeps the old headers. */
static void large_steps(struct shown *shown, int step)
{
	const size_t first = LARGE * 2 / 5, end = LARGE * 4 / 5;

	if (!step)
		mallopt(M_MMAP_THRESHOLD, 32 * MIB);
	for (size_t i = 0; !step && i < LARGE; i++)
		make(shown, i, LARGE_SIZE);
	for (size_t i = 0; !step && i < 5; i++)
		drop(shown, i);
	/* In this order old headers are left behind that say "in use". */
	for (size_t odd = 2; step == 1 && odd--;) {
		for (size_t i = first + odd; i < end; i += 2)
			drop(shown, i);
	}
	for (size_t i = 0; step == 1 && i < 6; i++)
		__libc_malloc(8 * MIB);
	/* Larger chunks than the threshold says now. */
	if (step == 1)
		mallopt(M_MMAP_THRESHOLD, MIB / 8);
	/* From the end back to the top: the heap is trimmed. */
	for (size_t i = LARGE - 1; step == 2 && i >= end; i--)
		drop(shown, i);
}

TEST(marks_that_are_stale_lead_nobody_astray)
{
	struct mw_liveness *liveness = mw_liveness__new();
	struct child child = start(LARGE, large_steps);
	struct mw_look look;

	take_step(&child);
	for (int i = 0; i < 3; i++)
		look_and_check(liveness, &child, 0, 50);
	/* Only what holds blocks is read, and a lead to it. */
	look = look_and_check(liveness, &child, LARGE - 100, 1);
	CHECK(look.bytes < 60 * MIB);
	take_step(&child);
	look_and_check(liveness, &child, LARGE * 3 / 5, 50);
	look_and_check(liveness, &child, 0, 50);
	take_step(&child);
	look_and_check(liveness, &child, LARGE * 3 / 5, 50);
	mw_liveness__free(liveness);
	stop(&child);
}

/* It may end at any moment of a look: then nothing is known, and never that all was freed. */
TEST(a_process_that_ends_in_a_look_has_freed_nothing)
{
	for (int i = 0; i < 8; i++) {
		struct mw_liveness *liveness = mw_liveness__new();
		struct child child = start(LARGE, large_steps);
		const struct mw_liveness_query *known;
		size_t count, freed = 0;
		struct mw_look look;

		take_step(&child);
		begin(liveness, &child, 7, 50);
		nanosleep(&(struct timespec){0, 4000000 * i}, NULL);
		kill(child.pid, SIGKILL);
		known = await(liveness, &count, &look);
		for (size_t k = 0; k < count; k++)
			freed += known[k].state == MW_LIVENESS_FREED;
		stop(&child);
		CHECK_INT(freed, 0);
		mw_liveness__free(liveness);
	}
}

/* The same process, and another program in it. */
static void exec_step(struct shown *shown, int step)
{
	if (!step)
		large_steps(shown, 0);
	else
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
}

/* Returns when it is done: its end of the pipe is closed then. */
static void let_exec(const struct child *child)
{
	char c = 0;

	CHECK(write(child->to, &c, 1) == 1);
	CHECK(read(child->from, &c, 1) == 0);
}

/* What is read of a process; READS_LEFT before the next read LET_EXEC() happens. */
static atomic_int reads_left = -1;
static const struct child *execs;

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
			 const struct iovec *remote, unsigned long remotes, unsigned long flags)
{
	if (reads_left >= 0 && reads_left-- == 0)
		let_exec(execs);
	return syscall(SYS_process_vm_readv, pid, local, locals, remote, remotes, flags);
}

static size_t count_state(const struct mw_liveness_query *known, size_t count,
			  enum mw_liveness_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += known[i].state == state &&
		     (known[i].looked_at > 0) == (state != MW_LIVENESS_UNKNOWN);
	return n;
}

TEST(a_look_that_an_exec_comes_into_tells_nothing)
{
	/* Reads from that of the program's bytes on. */
	for (int reads = 1; reads < 30; reads += 7) {
		struct mw_liveness *liveness = mw_liveness__new();
		struct child child = start(LARGE, exec_step);
		const struct mw_liveness_query *known;
		struct mw_look look;
		size_t count;

		take_step(&child);
		look_and_check(liveness, &child, 0, 50);
		execs = &child;
		reads_left = reads;
		begin(liveness, &child, 0, 50);
		known = await(liveness, &count, &look);
		CHECK_INT(reads_left, -1);
		CHECK_INT(count_state(known, count, MW_LIVENESS_UNKNOWN), count);
		CHECK(*look.note);
		mw_liveness__free(liveness);
		kill(child.pid, SIGKILL);
		stop(&child);
	}
}

TEST(what_was_there_before_an_exec_is_gone)
{
	struct mw_liveness *liveness = mw_liveness__new();
	struct child child = start(LARGE, exec_step);
	const struct mw_liveness_query *known;
	struct mw_look look;
	size_t count;

	take_step(&child);
	look_and_check(liveness, &child, 0, 50);
	let_exec(&child);
	/* It has a heap as soon as it has come to main(). */
	nanosleep(&(struct timespec){0, 300000000}, NULL);
	begin(liveness, &child, 0, 50);
	known = await(liveness, &count, &look);
	CHECK_INT(count_state(known, count, MW_LIVENESS_FREED), count);
	mw_liveness__free(liveness);
	kill(child.pid, SIGKILL);
	stop(&child);
}

TEST(a_process_that_is_gone_tells_nothing)
{
	struct mw_liveness_query *list = calloc(1, sizeof(*list));
	struct mw_liveness *liveness = mw_liveness__new();
	const struct mw_liveness_query *known;
	struct mw_look look;
	size_t count;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	*list = (struct mw_liveness_query){.pid = pid, .addr = 0x1000, .size = 10};
	CHECK_INT(mw_liveness__begin(liveness, list, 1), 0);
	known = await(liveness, &count, &look);
	CHECK_INT(known->state, MW_LIVENESS_UNKNOWN);
	CHECK(known->looked_at == 0);
	CHECK(*look.note);
	mw_liveness__free(liveness);
}

/* Says of each block where it is, its size and whether it was freed; the sizes are no classes. */
static const char blocks_program[] =
	"#include <stdint.h>\n"
	"#include <stdlib.h>\n"
	"#include <unistd.h>\n"
	"static struct { uint64_t addr, size, freed; } shown[3000];\n"
	"int main(void)\n"
	"{\n"
	"	for (int i = 0; i < 3000; i++) {\n"
	"		shown[i].size = i % 50 == 49 ? 20000 + 37 * i : 9 + i * 7 % 3000;\n"
	"		shown[i].addr = (uintptr_t)malloc(shown[i].size);\n"
	"	}\n"
	"	for (int i = 0; i < 3000; i += 3) {\n"
	"		free((void *)shown[i].addr);\n"
	"		shown[i].freed = 1;\n"
	"	}\n"
	"	return write(1, shown, sizeof(shown)) < 0 || read(0, shown, 1);\n"
	"}\n";

static void take_shown(struct child *child)
{
	FILE *said = fdopen(dup(child->from), "r");
	uint64_t one[3];

	for (size_t i = 0; i < child->count; i++) {
		CHECK(said && fread(one, sizeof(one), 1, said) == 1);
		child->shown[i] = (struct shown){one[0], one[1], one[2]};
	}
	fclose(said);
}

/* Allocators that round sizes up to classes: a quarter of a block may be nobody's. */
TEST(blocks_of_other_allocators_are_told_apart)
{
	static const char *const libraries[] = {"jemalloc", "tcmalloc_minimal", "mimalloc"};

	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		const char *program;
		struct mw_liveness *liveness;
		struct child child;
		char flags[64];

		snprintf(flags, sizeof(flags), "-O0 -Wl,--no-as-needed -l%s 2>/dev/null",
			 libraries[i]);
		program = program_build(libraries[i], "c", blocks_program, flags);
		/* It isn't installed. */
		if (!program)
			continue;
		child = start_any(BLOCKS, NULL, program);
		liveness = mw_liveness__new();
		take_shown(&child);
		for (int look = 0; look < 2; look++)
			look_and_check(liveness, &child, 0, 1);
		mw_liveness__free(liveness);
		stop(&child);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocates in prime numbers and says what it did. Protocol: prints "ready PID", waits for a line
 * on standard input, works, prints "name value" lines and "done", waits for another line, ends.
 * It talks by read and write only, so that its own counts are all there is.
 *
 *   counts SCENARIO [N]
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __GLIBC__
#define pvalloc valloc
#endif

static void say(const char *format, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(9);
}

static void wait_for_line(void)
{
	char c = 0;

	while (c != '\n') {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n == 0 || (n < 0 && errno != EINTR))
			_exit(8);
	}
}

#define BLOCKS 4096
static void *blocks[BLOCKS];
static size_t block_count;

static void *keep(void *p)
{
	blocks[block_count++] = p;
	return p;
}

/* Every size class a different prime number of times; some stay. */
static void sizes(void)
{
	static const struct {
		size_t size;
		unsigned int count, kept;
	} rows[] = {{1, 101, 3},      {16, 103, 5},	 {17, 107, 7},	  {100, 109, 11},
		    {1009, 113, 13},  {1024, 127, 17},	 {1025, 131, 19}, {4000, 137, 23},
		    {70000, 139, 29}, {100000, 149, 31}, {0, 151, 2}};
	unsigned long calls = 0, bytes = 0, kept = 0, kept_bytes = 0;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		for (unsigned int i = 0; i < rows[r].count; i++) {
			void *volatile p = malloc(rows[r].size);

			if (i < rows[r].kept)
				keep(p);
			else
				free(p);
		}
		calls += rows[r].count;
		bytes += rows[r].count * rows[r].size;
		kept += rows[r].kept;
		kept_bytes += rows[r].kept * rows[r].size;
		say("size_%zu %u\n", rows[r].size, rows[r].count);
	}
	say("alloc_calls %lu\nalloc_bytes %lu\nfree_calls %lu\n", calls, bytes, calls - kept);
	say("outstanding_count %lu\noutstanding_bytes %lu\n", kept, kept_bytes);
}

/* Each function a different prime number of times, the failing and the odd cases among them. */
static void functions(bool without_pvalloc)
{
	void *volatile p, *volatile q;
	volatile size_t huge = (size_t)1 << 62;
	int i;

	for (i = 0; i < 211; i++)
		free(malloc(40));
	for (i = 0; i < 223; i++)
		free(calloc(3, 50));
	for (i = 0; i < 227; i++) {
		p = realloc(NULL, 60); /* an allocation */
		p = realloc(p, 6000);  /* a free and an allocation */
		if (realloc(p, huge))  /* fails: p stays */
			_exit(7);
		free(p);
	}
	for (i = 0; i < 229; i++) {
		p = reallocarray(NULL, 7, 11);
		p = reallocarray(p, 70, 110);
		free(p);
	}
	for (i = 0; i < 233; i++) {
		if (posix_memalign((void **)&q, 64, 500))
			_exit(7);
		free(q);
	}
	for (i = 0; i < 239; i++)
		free(aligned_alloc(64, 640));
	for (i = 0; i < 241; i++)
		free(memalign(128, 700));
	for (i = 0; i < 251; i++)
		free(valloc(900));
	/* Not every allocator has it; glibc's would then meet another one's free. */
	for (i = 0; i < (without_pvalloc ? 0 : 257); i++)
		free(pvalloc(1000));
	for (i = 0; i < 263; i++)
		free(NULL);
	for (i = 0; i < 269; i++) {
		if (malloc(huge))
			_exit(7);
	}
	for (i = 0; i < 271; i++) {
		p = malloc(80);
		p = realloc(p, 0); /* frees; mimalloc then gives a block of 0 bytes */
		if (p)
			free(p);
	}
	for (i = 0; i < 17; i++) {
		p = malloc(90);
		p = reallocarray(p, 0, 8); /* the same */
		if (p)
			free(p);
	}
	say("malloc %d\ncalloc 223\nrealloc %d\nreallocarray %d\nposix_memalign 233\n",
	    211 + 271 + 17, 2 * 227, 2 * 229);
	say("aligned %d\nvalloc 251\npvalloc 257\nfree %d\n", 239 + 241,
	    211 + 223 + 227 + 229 + 233 + 239 + 241 + 251 + 257);
	say("free_null 263\nfailed %d\nby_realloc %d\n", 269 + 227, 227 + 229 + 271 + 17);
	say("alloc_bytes %d\n", 211 * 40 + 223 * 150 + 227 * 6060 + 229 * 7777 + 233 * 500 +
					239 * 640 + 241 * 700 + 251 * 900 + 257 * 1000 + 271 * 80 +
					17 * 90);
	say("outstanding_count 0\noutstanding_bytes 0\n");
}

/* Chunks with mappings of their own, then the same in a thread's arena, then in the brk heap. */
static void *thread_blocks(void *arg)
{
	unsigned int *count = arg;

	for (unsigned int i = 0; i < *count; i++)
		free(malloc(2000));
	return NULL;
}

static void placement(void)
{
	unsigned int in_thread = 307;
	pthread_t thread;
	void *big[13];

#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
	for (int i = 0; i < 13; i++)
		big[i] = malloc(300000);
	for (int i = 0; i < 13; i++)
		free(big[i]);
	if (pthread_create(&thread, NULL, thread_blocks, &in_thread))
		_exit(7);
	pthread_join(thread, NULL);
	for (int i = 0; i < 311; i++)
		free(malloc(3000));
	say("mmap_calls 13\nmmap_bytes %d\nthread_bytes %d\nbrk_bytes %d\n", 13 * 300000,
	    307 * 2000, 311 * 3000);
}

/* The dynamic threshold creeps up with each larger mapping that is freed. */
static void creep(void)
{
	free(malloc(200000));
	free(malloc(1000000));
	free(malloc(5000000));
	say("moves 3\n");
}

/* Leaves blocks in its thread's cache, which glibc then frees once more. */
static void *caching_thread(void *arg)
{
	void *list[7];

	(void)arg;
	for (int i = 0; i < 7; i++)
		list[i] = malloc(55);
	for (int i = 0; i < 7; i++)
		free(list[i]);
	return NULL;
}

static void caches(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		pthread_t id;

		if (pthread_create(&id, NULL, caching_thread, NULL))
			_exit(7);
		pthread_join(id, NULL);
	}
	say("frees %lu\n", count * 7);
}

static void *busy_thread(void *arg)
{
	unsigned long n = (unsigned long)arg;

	for (unsigned long i = 0; i < n; i++) {
		void *volatile p = malloc(64 + i % 7);

		free(p);
	}
	return NULL;
}

static void threads(unsigned long count)
{
	static pthread_t ids[1024];

	for (unsigned long i = 0; i < count; i++) {
		if (pthread_create(&ids[i], NULL, busy_thread, (void *)503UL))
			_exit(7);
	}
	for (unsigned long i = 0; i < count; i++)
		pthread_join(ids[i], NULL);
	say("thread_mallocs %lu\n", count * 503);
}

/* A tree: COUNT children, each with a child of its own, all working at once from birth. */
static int gate[2] = {-1, -1};

/* Each child, and a child of its own, waits for the gate to be closed, where there is one. */
static void fork_children(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid) {
			pid_t inner = fork();
			char c;

			close(gate[1]);
			if (read(gate[0], &c, 1) > 0)
				_exit(5);
			for (int k = 0; k < 307; k++)
				free(malloc(inner ? 48 : 5000));
			if (inner > 0)
				waitpid(inner, NULL, 0);
			_exit(0);
		}
	}
}

/* With a gate the children are there before the watch. */
static void forks(unsigned long count)
{
	if (gate[1] < 0)
		fork_children(count);
	close(gate[1]);
	while (wait(NULL) > 0)
		;
	for (int k = 0; k < 311; k++)
		free(malloc(200));
	say("size_48 %lu\nsize_5000 %lu\nsize_200 311\n", 307 * count, 307 * count);
}

static int in_clone(void *arg)
{
	(void)arg;
	for (int i = 0; i < 313; i++)
		free(malloc(6000));
	return 0;
}

/* Children by vfork and exec, by posix_spawn, and by clone without CLONE_THREAD. */
static void spawn(unsigned long count, char *self)
{
	static char stack[1 << 18];

	for (volatile unsigned long i = 0; i < count; i++) {
		char *args[] = {self, "once", NULL};
		pid_t pid;

		if (i % 2) {
			if (posix_spawn(&pid, self, NULL, NULL, args, environ))
				_exit(7);
		} else {
			pid = vfork();
			if (!pid) {
				execv(self, args);
				_exit(7);
			}
		}
		waitpid(pid, NULL, 0);
	}
	pid_t pid = clone(in_clone, stack + sizeof(stack), SIGCHLD, NULL);

	waitpid(pid, NULL, 0);
	say("size_3500 %lu\nsize_6000 313\n", 317 * count);
}

static void once(void)
{
	for (int i = 0; i < 317; i++)
		free(malloc(3500));
	_exit(0);
}

static void keep_many(unsigned long count)
{
	void **list = malloc(count * sizeof(*list));

	for (unsigned long i = 0; i < count; i++)
		list[i] = malloc(24);
	say("kept %lu\n", count + 1);
	wait_for_line();
	for (unsigned long i = 0; i < count; i++)
		free(list[i]);
	say("freed %lu\n", count);
}

static void kernel_calls(void)
{
	void *list[53];

	for (int i = 0; i < 53; i++) {
		list[i] = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		memset(list[i], 1, 5 * 4096);
	}
	for (int i = 0; i < 43; i++)
		list[i] = mremap(list[i], 5 * 4096, 9 * 4096, MREMAP_MAYMOVE);
	for (int i = 0; i < 31; i++)
		madvise(list[i], 2 * 4096, MADV_DONTNEED);
	for (int i = 0; i < 47; i++)
		munmap(list[i], i < 43 ? 9 * 4096 : 5 * 4096);
	if (sbrk(17 * 4096) == (void *)-1 || sbrk(19 * 4096) == (void *)-1 ||
	    sbrk(-11 * 4096) == (void *)-1)
		_exit(7);
	say("mmap 53\nmmap_bytes %d\nmremap 43\nmremap_grown %d\nmadvise 31\nmadvise_bytes %d\n",
	    53 * 5 * 4096, 43 * 4 * 4096, 31 * 2 * 4096);
	say("munmap 47\nmunmap_bytes %d\nbrk_grown %d\nbrk_shrunk %d\n", (43 * 9 + 4 * 5) * 4096,
	    36 * 4096, 11 * 4096);
}

static void load_library(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *(*theirs)(size_t);
	void (*theirs_free)(void *);

	if (!handle) {
		say("error %s\n", dlerror());
		_exit(7);
	}
	say("loaded 1\n");
	wait_for_line();
	theirs = (void *(*)(size_t))dlsym(handle, "malloc");
	theirs_free = (void (*)(void *))dlsym(handle, "free");
	for (int i = 0; i < 521; i++) {
		void *volatile p = theirs(77777);

		theirs_free(p);
	}
	say("theirs 521\n");
}

int main(int argc, char **argv)
{
	const char *scenario = argc > 1 ? argv[1] : "";
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	if (!strcmp(scenario, "once"))
		once();
	if (!strcmp(scenario, "prefork")) {
		if (pipe(gate))
			_exit(7);
		fork_children(n);
	}
	say("ready %d\n", getpid());
	wait_for_line();
	if (!strcmp(scenario, "sizes"))
		sizes();
	else if (!strcmp(scenario, "functions"))
		functions(n);
	else if (!strcmp(scenario, "placement"))
		placement();
	else if (!strcmp(scenario, "creep"))
		creep();
	else if (!strcmp(scenario, "caches"))
		caches(n);
	else if (!strcmp(scenario, "threads"))
		threads(n);
	else if (!strcmp(scenario, "forks") || !strcmp(scenario, "prefork"))
		forks(n);
	else if (!strcmp(scenario, "keep"))
		keep_many(n);
	else if (!strcmp(scenario, "kernel"))
		kernel_calls();
	else if (!strcmp(scenario, "dlopen"))
		load_library(argv[2]);
	else if (!strcmp(scenario, "spawn"))
		spawn(n, argv[0]);
	else if (!strcmp(scenario, "exec"))
		execv(argv[2], argv + 2);
	else
		_exit(6);
	say("done 1\n");
	wait_for_line();
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C programs with one planted cause each, as tests/causes.py has them in Python: `causes NAME`
 * prints "ready" once its memory is as it should be, and goes on until it is killed. `causes
 * --list` prints each name with the causes that are true of it, as there. SIGUSR1 does what the
 * remedy says: the allocator gives back what is free.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { KIB = 1 << 10, MIB = 1 << 20 };

static void pause_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void *filled(size_t size)
{
	void *p = malloc(size);

	if (!p)
		exit(3);
	return memset(p, 1, size);
}

struct node {
	struct node *next;
	char body[3000];
};

static struct node *volatile list;

/* Everybody's first leak: a list that only grows. */
static void list_grows(void)
{
	ready();
	for (;; pause_ms(2)) {
		struct node *node = filled(sizeof(*node));

		node->next = list;
		list = node;
	}
}

/* A pointer that is overwritten. */
static void forgotten_blocks(void)
{
	ready();
	for (;; pause_ms(2))
		filled(4000);
}

__attribute__((noinline)) static void lose_name(unsigned int n)
{
	char name[24];
	char *volatile lost;

	snprintf(name, sizeof(name), "user %u", n);
	lost = strdup(name);
	(void)lost;
}

__attribute__((noinline)) static void use_buffer(unsigned int n)
{
	free(filled(1000 + n % 5000));
}

/* Ten bytes a call beside buffers that come and go: what most is asked of is not what stays. */
static void lost_strings(void)
{
	ready();
	for (unsigned int n = 0;; n++) {
		lose_name(n);
		use_buffer(n);
		if (n % 8 == 0)
			pause_ms(1);
	}
}

/* realloc of a log that nobody cuts. */
static void buffer_grows(void)
{
	size_t size = MIB;
	char *log = filled(size);

	ready();
	for (;; pause_ms(20)) {
		log = realloc(log, size + 64 * KIB);
		if (!log)
			exit(3);
		memset(log + size, 1, 64 * KIB);
		size += 64 * KIB;
	}
}

/* sourceware.org/bugzilla/show_bug.cgi?id=11261: an arena a thread, each with a peak of its own. */
static void *peak(void *arg)
{
	enum { BLOCKS = 3000 };
	static __thread void *blocks[BLOCKS];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < BLOCKS; i++)
			blocks[i] = filled(2000 + i % 700);
		for (int i = 0; i < BLOCKS; i++) {
			/* The last block of each pins what is below it. */
			if (i < BLOCKS - 1)
				free(blocks[i]);
		}
	}
	pthread_barrier_wait(arg);
	for (;;)
		pause_ms(1000);
	return NULL;
}

static void arena_for_each_thread(void)
{
	enum { THREADS = 12 };
	pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, peak, &barrier);
	pthread_barrier_wait(&barrier);
	ready();
	for (;;)
		pause_ms(1000);
}

/* stackoverflow.com/q/38644578: freed in the order of allocation, below one block that lives. */
static void pinned_top(void)
{
	enum { BLOCKS = 30000 };
	static void *blocks[BLOCKS];
	void *volatile pin;

	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = filled(1500 + i % 900);
	pin = filled(100);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	ready();
	for (;;)
		pause_ms(pin ? 1000 : 1);
}

/* malloc/malloc.c, "dynamic mmap threshold": one large block that is freed moves it. */
static void threshold_moves(void)
{
	enum { BLOCKS = 40 };
	void *blocks[BLOCKS], *volatile pin;

	free(filled(20 * MIB));
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = filled(MIB + (size_t)i * 10007);
	pin = filled(200);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	ready();
	for (;;)
		pause_ms(pin ? 1000 : 1);
}

static void mappings_grow(void)
{
	ready();
	for (;; pause_ms(10)) {
		char *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			exit(3);
		memset(p, 1, 64 * KIB);
	}
}

static void *deep(void *arg)
{
	char frame[512 * KIB];

	memset(frame, 1, sizeof(frame));
	pthread_barrier_wait(arg);
	for (;;)
		pause_ms(frame[7] ? 1000 : 1);
	return NULL;
}

static void stacks_of_many_threads(void)
{
	enum { THREADS = 100 };
	pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, deep, &barrier);
	pthread_barrier_wait(&barrier);
	ready();
	for (;;)
		pause_ms(1000);
}

/* Comes and goes, and stays below a bound. */
static void ring_of_blocks(void)
{
	enum { SLOTS = 4000 };
	static void *slots[SLOTS];
	unsigned int at = 0;

	for (int i = 0; i < 3 * SLOTS; i++, at++) {
		free(slots[at % SLOTS]);
		slots[at % SLOTS] = filled(500 + at % 3001);
	}
	ready();
	for (;; at++) {
		free(slots[at % SLOTS]);
		slots[at % SLOTS] = filled(500 + at % 3001);
		if (at % 50 == 0)
			pause_ms(5);
	}
}

/* A data set of 60 MiB that is in use: nothing grows. */
static void large_and_steady(void)
{
	for (int i = 0; i < 20000; i++) {
		struct node *node = filled(sizeof(*node));

		node->next = list;
		list = node;
	}
	ready();
	for (;;)
		pause_ms(100);
}

/* A leak beside what a peak has left between blocks that live. */
static void leak_beside_a_peak(void)
{
	enum { BLOCKS = 30000, KEPT = 50 };
	static void *blocks[BLOCKS];

	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = filled(1000 + i % 300);
	for (int i = 0; i < BLOCKS; i++) {
		if (i % KEPT)
			free(blocks[i]);
	}
	/* They don't fit between those that live. */
	for (int i = 0; i < 400; i++)
		filled(200 * KIB);
	ready();
	for (;; pause_ms(100))
		filled(140 * KIB);
}

/* Mappings that grow faster than the heap. */
static void two_growths(void)
{
	ready();
	for (int i = 0;; i++, pause_ms(2)) {
		struct node *node = filled(2 * sizeof(*node));

		node->next = list;
		list = node;
		if (i % 5 == 0) {
			char *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (p == MAP_FAILED)
				exit(3);
			memset(p, 1, 64 * KIB);
		}
	}
}

#define IN_USE "native-live|files|mappings|none"

static const struct {
	const char *name, *cause, *core; /* CORE: as a core shows it, NULL: the same */
	void (*run)(void);
} programs[] = {
	{"list_grows", "native-live", NULL, list_grows},
	{"forgotten_blocks", "native-live|native-leak", "native-leak", forgotten_blocks},
	{"lost_strings", "native-live|native-leak", "native-leak", lost_strings},
	{"buffer_grows", "native-live", NULL, buffer_grows},
	{"arena_for_each_thread", "glibc-arenas", NULL, arena_for_each_thread},
	{"pinned_top", "glibc-free", NULL, pinned_top},
	{"threshold_moves", "glibc-threshold", NULL, threshold_moves},
	{"mappings_grow", "mappings", NULL, mappings_grow},
	{"stacks_of_many_threads", "stacks", NULL, stacks_of_many_threads},
	{"ring_of_blocks", "steady", IN_USE, ring_of_blocks},
	{"large_and_steady", "steady", IN_USE, large_and_steady},
	{"leak_beside_a_peak", "native-live,glibc-free", "native-leak,glibc-free",
	 leak_beside_a_peak},
	{"two_growths", "mappings,native-live", NULL, two_growths},
};

/* What memwhere says helps. */
static void remedy(int sig)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);

	(void)sig;
	*(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
	if (mallctl)
		mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* MALLCTL_ARENAS_ALL */
	else
		malloc_trim(0);
	puts("done");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	/* The programs sleep when it comes. */
	signal(SIGUSR1, remedy);
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (!strcmp(argv[1], "--list"))
			printf("%s %s %s\n", programs[i].name, programs[i].cause,
			       programs[i].core ? programs[i].core : programs[i].cause);
		else if (!strcmp(argv[1], programs[i].name))
			programs[i].run();
	}
	return 0;
}

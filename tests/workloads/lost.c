// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks that nothing reaches, and blocks of the same sizes that are held in every way there is.
 * Prints "kept WAY" for each of those, "lost BLOCKS SIZE" for the others, "ready PID", and waits
 * for a line.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SMALL = 3001, LARGE = 70001, HUGE = 1500001, MIDDLE = 1000, CHAIN = 7 };

/* Nobody reads them, which a compiler must not see. */
static void *volatile variable, *volatile in_bss[100];
static void *volatile in_data[3] = {(void *)1};
static __thread void *volatile local[50];
static pthread_key_t key;
static void **mapping, *hidden[3];
static pthread_barrier_t barrier;

/* What a block that is not cleared has of its predecessors would hold something. */
static void *block(size_t size)
{
	void *p = malloc(size);

	memset(p, 1, size);
	return p;
}

/* Overwrite what calls have left on the stack. */
static __attribute__((noinline)) void scrub(void)
{
	volatile char room[32 << 10];

	for (size_t i = 0; i < sizeof(room); i++)
		room[i] = 1;
}

static __attribute__((noinline)) void lose(void)
{
	for (int i = 0; i < 97; i++)
		block(SMALL);
	for (int i = 0; i < 13; i++)
		block(LARGE);
	for (int i = 0; i < 3; i++)
		block(HUGE);
	/* A cycle is as lost as the rest. */
	for (int i = 0; i < 2; i++) {
		void **a = block(SMALL), **b = block(SMALL);

		*a = b;
		*b = a;
	}
}

static void nothing(int status, void *arg)
{
	(void)status, (void)arg;
}

/* A chain of blocks of which each points into the middle of the next. */
static void *chain(void)
{
	char *next = NULL;

	for (int i = 0; i < CHAIN; i++) {
		char *p = block(SMALL);

		*(char **)(p + MIDDLE + 16) = next;
		next = p + MIDDLE;
	}
	return next;
}

static __attribute__((noinline)) void keep(void)
{
	variable = block(SMALL);
	in_bss[77] = block(LARGE);
	in_data[2] = chain();
	local[40] = block(SMALL);
	pthread_setspecific(key, block(LARGE));
	mapping = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapping[(9 << 20) / 8] = block(HUGE);
	((void **)mapping[(9 << 20) / 8])[100000] = block(SMALL);
	on_exit(nothing, block(SMALL));
	setvbuf(stdout, block(LARGE), _IOFBF, LARGE);
	for (int i = 0; i < 3; i++)
		hidden[i] = (void *)~(uintptr_t)block(i == 2 ? LARGE : SMALL);
}

static void *thread(void *arg)
{
	void *volatile on_stack = block(LARGE);

	(void)arg;
	local[3] = block(SMALL);
	pthread_setspecific(key, block(SMALL));
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return on_stack;
}

/* Wait for a byte; meanwhile only registers and the red zone have three of the blocks. */
static long wait_with(void **hidden_blocks)
{
	register uintptr_t a __asm__("r12") = ~(uintptr_t)hidden_blocks[0];
	register uintptr_t b __asm__("r13") = ~(uintptr_t)hidden_blocks[1];
	uintptr_t c = ~(uintptr_t)hidden_blocks[2];
	long ret = SYS_read;
	char byte;

	__asm__ volatile("movq %%r13, -64(%%rsp)\n\t"
			 "xorl %%r13d, %%r13d\n\t"
			 "movq %3, %%xmm7\n\t"
			 "xorl %k3, %k3\n\t"
			 "syscall\n\t"
			 "xorl %%r12d, %%r12d"
			 : "+a"(ret), "+r"(a), "+r"(b), "+r"(c)
			 : "D"(0L), "S"(&byte), "d"(1L)
			 : "rcx", "r11", "xmm7", "memory");
	return ret;
}

int main(void)
{
	pthread_t other;

	pthread_key_create(&key, NULL);
	pthread_barrier_init(&barrier, NULL, 2);
	keep();
	pthread_create(&other, NULL, thread, NULL);
	pthread_barrier_wait(&barrier);
	lose();
	scrub();
	printf("lost_small %d\nlost_large 13\nlost_huge 3\nready %d\n", 97 + 4, getpid());
	fflush(stdout);
	wait_with(hidden);
	printf("done\n");
	fflush(stdout);
	return 0;
}

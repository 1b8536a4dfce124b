// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks whose fate is known, in a heap that was large before: fates FILE MEGABYTES. Every other
 * block is kept by keep_it(), the rest stays for QUEUE turns and is freed. FILE is mapped and
 * always holds the truth, one 64-bit number each: bytes kept, bytes that drop_it() asked for, and
 * those of them that are freed. Says "ready PID" when the heap has MEGABYTES.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { QUEUE = 4000, ROUNDS = 200000 };

static volatile uint64_t *truth;
static struct {
	void *p;
	size_t size;
} queue[QUEUE];
static void **kept;

static size_t next_size(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return 16 + (state >> 33) % 2000;
}

/* The list goes through the blocks, so that nothing else is asked for. */
static __attribute__((noinline)) void keep_it(size_t size)
{
	void **p = malloc(size);

	truth[0] += size;
	*p = (void *)kept;
	kept = p;
}

static __attribute__((noinline)) void drop_it(size_t i, size_t size)
{
	truth[1] += size;
	truth[2] += queue[i].size;
	free(queue[i].p);
	queue[i].size = size;
	queue[i].p = malloc(size);
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) << 20 : 0;
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	truth = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (truth == MAP_FAILED)
		return 1;
	while (truth[0] < bytes)
		keep_it(next_size());
	truth[0] = 0;
	printf("ready %d\n", getpid());
	fflush(stdout);
	for (size_t i = 0;; i = (i + 1) % QUEUE) {
		keep_it(next_size());
		drop_it(i, next_size());
		for (int k = 0; k < ROUNDS; k++)
			__asm__ volatile("" ::: "memory");
	}
}

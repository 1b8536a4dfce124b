// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * malloc/free pairs of a few sizes with work in between: rated FILE [NANOSECONDS]. FILE is mapped
 * and always holds the truth: how many of each size were asked for since the start, one 64-bit
 * number each.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* One size a class, with a weight each; 10 in all. */
static const size_t sizes[10] = {24, 24, 24, 24, 100, 100, 100, 700, 700, 5000};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void work(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		__asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
	double target = argc > 2 ? strtod(argv[2], NULL) : 1000, took = 1e9;
	unsigned long rounds = 1000000;
	volatile uint64_t *truth;
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	truth = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (truth == MAP_FAILED)
		return 1;
	/* The fastest of some: one that was preempted would make a tight loop of it. */
	for (int i = 0; i < 10; i++) {
		double one = now_ns();

		work(rounds);
		one = now_ns() - one;
		if (one < took)
			took = one;
	}
	rounds = (unsigned long)((double)rounds * target / took);
	for (;;) {
		for (size_t i = 0; i < 10; i++) {
			size_t size = sizes[i];
			void *volatile p = malloc(size);

			truth[size == 24 ? 0 : size == 100 ? 1 : size == 700 ? 2 : 3]++;
			work(rounds);
			free(p);
		}
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swells PAIRS: twenty buffers grow by realloc in turn, 4,000 bytes 50 times a second (200,000
 * bytes/s in all), beside PAIRS of free and malloc a second whose blocks go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 20, STEP = 4000, STEPS = 50, RING = 64 };

static char *buffers[BUFFERS];
static size_t sizes[BUFFERS];
static void *ring[RING];

static void swell(size_t i)
{
	char *more = realloc(buffers[i], sizes[i] + STEP);

	if (!more)
		abort();
	memset(more + sizes[i], 1, STEP);
	buffers[i] = more;
	sizes[i] += STEP;
}

static void churn(unsigned long pairs)
{
	for (unsigned long n = 0; n < pairs; n++) {
		size_t i = (size_t)rand() % RING;

		free(ring[i]);
		ring[i] = malloc(16 + (size_t)rand() % 3000);
	}
}

int main(int argc, char **argv)
{
	unsigned long pairs = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	struct timespec pause = {0, 1000000000 / STEPS};

	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (size_t step = 0;; step++) {
		swell(step % BUFFERS);
		churn(pairs / STEPS);
		nanosleep(&pause, NULL);
	}
}

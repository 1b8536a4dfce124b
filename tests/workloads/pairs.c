// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * malloc/free pairs in a loop until it is killed: pairs [SIZE]. With a second argument it prints,
 * four times a second, the nanoseconds that a pair took in that quarter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;

	for (;;) {
		double began = now_ns(), took;
		unsigned long pairs = 0;

		do {
			for (int i = 0; i < 5000; i++) {
				void *volatile p = malloc(size);

				free(p);
			}
			pairs += 5000;
			took = now_ns() - began;
		} while (took < 250e6);
		if (argc > 2) {
			printf("%.2f\n", took / (double)pairs);
			fflush(stdout);
		}
	}
}

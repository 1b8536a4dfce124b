// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * malloc/free pairs in a loop until it is killed: pairs [SIZE]. With a second argument it prints,
 * four times a second, the nanoseconds of its CPU time that a pair took in that quarter: other work
 * on the machine changes them less than the time by the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;

	for (;;) {
		double began = now_ns(CLOCK_MONOTONIC), used = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		unsigned long pairs = 0;

		do {
			for (int i = 0; i < 5000; i++) {
				void *volatile p = malloc(size);

				free(p);
			}
			pairs += 5000;
		} while (now_ns(CLOCK_MONOTONIC) - began < 250e6);
		used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - used;
		if (argc > 2) {
			printf("%.2f\n", used / (double)pairs);
			fflush(stdout);
		}
	}
}

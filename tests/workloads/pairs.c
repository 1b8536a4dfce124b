// SPDX-License-Identifier: GPL-2.0-or-later
/* malloc/free pairs in a loop: pairs [SIZE [PAIRS]], then the time per pair. PAIRS 0: for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	unsigned long pairs = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned long i = 0; !pairs || i < pairs; i++) {
		void *volatile p = malloc(size);

		free(p);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.1f\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)pairs);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many small chunks, with holes: what a heap walk is measured on. Says "ready PID" and sleeps.
 *
 * usage: many CHUNKS (of 16 to 400 bytes)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	void **blocks = malloc(count * sizeof(*blocks));
	uint64_t state = 13;

	if (!blocks)
		return 1;
	for (size_t i = 0; i < count; i++) {
		size_t size;

		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		size = 16 + (state >> 33) % 385;
		blocks[i] = malloc(size);
		if (!blocks[i])
			return 1;
		memset(blocks[i], 0x5a, size);
	}
	for (size_t i = 0; i < count; i += 11)
		free(blocks[i]);
	printf("ready %d\n", getpid());
	fflush(stdout);
	pause();
	return 0;
}

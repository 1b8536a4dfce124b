// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap that is never quiet: threads that allocate and free blocks of all sizes, in arenas of
 * their own, and threads that come and go. Says "ready PID".
 *
 * usage: churn THREADS [DAMAGE]
 *
 * DAMAGE is done to the main arena, which nobody else uses then: size (a chunk's size field), bin
 * (a link back), twice (a chunk in a tcache and in a fastbin), tcache (a list that leads astray
 * behind the chunk). "damaged ADDRESS" says which chunk it is.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 3000, COUNT = 40 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static size_t any_size(uint64_t *state)
{
	static const size_t most[] = {200, 200, 200, 200, 200, 4000, 4000, 4000, 60000};

	return 1 + next_random(state) %
			   (next_random(state) % 199 ? most[next_random(state) % 9] : 500000);
}

static void churn(uint64_t state, long rounds)
{
	void **blocks = calloc(BLOCKS, sizeof(*blocks));

	for (long i = 0; rounds < 0 || i < rounds; i++) {
		size_t k = next_random(&state) % BLOCKS, size = any_size(&state);

		free(blocks[k]);
		blocks[k] = malloc(size);
		memset(blocks[k], (int)state, size);
	}
	for (size_t k = 0; k < BLOCKS; k++)
		free(blocks[k]);
	free(blocks);
}

static void *churn_on(void *seed)
{
	churn((uintptr_t)seed, -1);
	return NULL;
}

static void *churn_once(void *seed)
{
	churn((uintptr_t)seed, 20000);
	return NULL;
}

/* Threads come and go, but allocate nothing in the main arena. */
static void *come_and_go(void *arg)
{
	for (uintptr_t seed = 1;; seed++) {
		pthread_t threads[3];

		for (int i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, churn_once,
				       (void *)(seed + (uintptr_t)i * 7919));
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
	}
	return arg;
}

static char *damage(const char *how)
{
	size_t size = strcmp(how, "bin") ? 40 : 2000;
	char *blocks[COUNT], *between[COUNT];

	for (int i = 0; i < COUNT; i++) {
		blocks[i] = malloc(size);
		between[i] = malloc(size);
		memset(between[i], 1, size);
	}
	if (!strcmp(how, "size")) {
		((uint64_t *)blocks[9])[-1] = 0x4141414141414141;
		return blocks[9];
	}
	/* Seven go into the tcache, if there is one, the others into a fastbin or bins. */
	for (int i = 0; i < 20; i++)
		free(blocks[i]);
	if (!strcmp(how, "bin")) {
		((uint64_t *)blocks[13])[1] = 0x4141414141414140;
		return blocks[13];
	}
	/* The fastbin's last chunk is its first; links are encoded by their place from 2.32 on. */
	if (!strcmp(how, "twice")) {
		uint64_t key = *(uint64_t *)blocks[0]; /* place >> 12, as it is the list's last */

		*(uint64_t *)blocks[0] = key ^ (uint64_t)blocks[7];
		((uint64_t *)blocks[7])[0] = key;
		return blocks[7];
	}
	free(malloc(300)); /* a list that is in order shows what the others are */
	*(uint64_t *)blocks[3] ^= 0x7000000000000000;
	return blocks[3];
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 4;

	setvbuf(stdout, NULL, _IONBF, 0);
	for (long i = 0; i < threads; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, churn_on, (void *)(i + 1));
	}
	if (argc > 2) {
		char *at = damage(argv[2]);

		/* Unbuffered, it allocates nothing. */
		printf("damaged %p\nready %d\n", (void *)(at - 16), getpid());
		for (;;)
			pause();
	}
	printf("ready %d\n", getpid());
	come_and_go(NULL);
}

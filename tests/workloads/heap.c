// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap of every kind, then quiet. Says "ready PID" when it is built, after writing malloc_info's
 * XML and mallinfo2's words to the file named first: the truth to compare with. Then waits for
 * lines on stdin: "grow" adds memory, anything else ends it.
 *
 * usage: heap TRUTH [threads] [chunks] [mallopt]
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_THREADS = 16, KEPT = 4099 };

static pthread_barrier_t built, leave;
static long chunks = 20011;
static char buffer[1 << 20];
void *volatile kept_aligned[16], *volatile kept_huge[8];

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* Fill, punch holes of all sizes, fill some again: every bin, the fastbins and tcache get some. */
static void churn(uint64_t seed)
{
	void **blocks = malloc((size_t)chunks * sizeof(*blocks));
	uint64_t state = seed;

	for (long i = 0; i < chunks; i++) {
		size_t size = 1 + next_random(&state) % (i % 31 ? 509 : 30011);

		blocks[i] = malloc(size);
		memset(blocks[i], 0x5a, size);
	}
	for (long i = 0; i < chunks; i++) {
		if (next_random(&state) % 3 == 0) {
			free(blocks[i]);
			blocks[i] = NULL;
		}
	}
	for (long i = 0; i < chunks; i += 7) {
		if (!blocks[i])
			blocks[i] = malloc(1 + next_random(&state) % 251);
	}
	for (long i = 0; i < chunks; i += 5) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

static void *thread(void *arg)
{
	churn(977 + (uintptr_t)arg);
	pthread_barrier_wait(&built);
	pthread_barrier_wait(&leave);
	return NULL;
}

static void special(void)
{
	static const size_t aligns[] = {32, 64, 256, 4096, 8192, 65536, 1 << 20};

	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		kept_aligned[2 * i] = memalign(aligns[i], 1009);
		kept_aligned[2 * i + 1] = memalign(aligns[i], 300007 + i);
		memset(kept_aligned[2 * i + 1], 1, 300007);
	}
	for (size_t i = 0; i < 5; i++) {
		kept_huge[i] = malloc((2 + i) * 1000003);
		memset(kept_huge[i], 1, (2 + i) * 1000003);
	}
	free(kept_huge[1]);
	kept_huge[1] = NULL;
	kept_huge[2] = realloc(kept_huge[2], 9000011);
}

/* <malloc.h>'s, which older C libraries lack. */
struct info2 {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

static void write_truth(FILE *out)
{
	struct info2 (*info2)(void) = (struct info2(*)(void))dlsym(RTLD_DEFAULT, "mallinfo2");

	malloc_info(0, out);
	if (info2) {
		struct info2 m = info2();

		fprintf(out, "\narena %zu\nuordblks %zu\nfordblks %zu\nhblks %zu\nhblkhd %zu\nfsmblks %zu\n",
			m.arena, m.uordblks, m.fordblks, m.hblks, m.hblkhd, m.fsmblks);
	}
	fflush(out);
}

int main(int argc, char **argv)
{
	long threads = argc > 2 ? atol(argv[2]) : 0;
	FILE *out = fopen(argc > 1 ? argv[1] : "/dev/stdout", "w");
	static char line[64], in[4096], said[4096];
	pthread_t id;

	if (!out || threads > MAX_THREADS)
		return 1;
	setvbuf(out, buffer, _IOFBF, sizeof(buffer));
	setvbuf(stdin, in, _IOFBF, sizeof(in));
	setvbuf(stdout, said, _IOLBF, sizeof(said));
	if (argc > 3)
		chunks = atol(argv[3]);
	if (argc > 4) {
		mallopt(M_MMAP_THRESHOLD, 70001);
		mallopt(M_TRIM_THRESHOLD, 500009);
	}
	pthread_barrier_init(&built, NULL, (unsigned int)threads + 1);
	pthread_barrier_init(&leave, NULL, (unsigned int)threads + 1);
	for (long i = 0; i < threads; i++)
		pthread_create(&id, NULL, thread, (void *)i);
	churn(13);
	special();
	pthread_barrier_wait(&built);
	dlsym(RTLD_DEFAULT, "mallinfo2"); /* what it allocates itself, before the truth is taken */
	printf("quiet\n");
	usleep(100000);
	write_truth(out);
	printf("ready %d\n", getpid());
	while (fgets(line, sizeof(line), stdin) && !strcmp(line, "grow\n")) {
		memset(malloc(50000017), 1, 50000017);
		printf("done\n");
	}
	return 0;
}

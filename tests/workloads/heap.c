// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap of every kind, then quiet. Says "ready PID" when it is built, after writing malloc_info's
 * XML and mallinfo2's words to the file named first: the truth to compare with. Then waits for
 * lines on stdin: "grow" adds memory, anything else ends it.
 *
 * usage: heap TRUTH [threads] [chunks] [mallopt|foreign|nobrk|many|huge|hugetlb|swap]
 *
 * mallopt: fixed thresholds. foreign: somebody else calls sbrk, too. nobrk: brk fails soon, so the
 * main arena goes on in mappings. many: more mappings than a core's header can count. huge,
 * hugetlb: 8 MiB of huge pages of either kind. swap: ask the kernel to swap the brk heap out.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
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

enum { ODD_BYTES = 8 << 20, MANY = 70001, PAGE = 4096 };

static bool is(const char *how, const char *what)
{
	return !strcmp(how, what);
}

/* Before the heap is built. */
static void odd_before(const char *how)
{
	if (is(how, "mallopt")) {
		mallopt(M_MMAP_THRESHOLD, 70001);
		mallopt(M_TRIM_THRESHOLD, 500009);
	} else if (is(how, "nobrk")) {
		char *end = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

		if (mmap(end + 16 * PAGE, PAGE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
			abort();
	}
}

/* When half of it is there. */
static void odd_between(const char *how)
{
	char *p;

	if (is(how, "foreign")) {
		memset(sbrk(70000), 0x77, 70000);
	} else if (is(how, "many")) {
		p = mmap(NULL, (size_t)MANY * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (size_t i = 0; i < MANY; i += 2) {
			if (mprotect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE))
				abort();
			p[i * PAGE] = 1;
		}
	} else if (is(how, "huge")) {
		p = mmap(NULL, 2 * (size_t)ODD_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(p, 2 * (size_t)ODD_BYTES, MADV_HUGEPAGE);
		memset(p, 1, ODD_BYTES);
	} else if (is(how, "hugetlb")) {
		p = mmap(NULL, ODD_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (p == MAP_FAILED)
			abort();
		memset(p, 1, ODD_BYTES);
	}
}

/* <malloc.h>'s, which older C libraries lack. */
struct info2 {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
		keepcost;
};

static void write_truth(FILE *out)
{
	struct info2 (*info2)(void) = (struct info2(*)(void))dlsym(RTLD_DEFAULT, "mallinfo2");

	malloc_info(0, out);
	if (info2) {
		struct info2 m = info2();

		fprintf(out,
			"\narena %zu\nuordblks %zu\nfordblks %zu\nhblks %zu\nhblkhd %zu\nfsmblks %zu\n",
			m.arena, m.uordblks, m.fordblks, m.hblks, m.hblkhd, m.fsmblks);
	}
	fflush(out);
}

int main(int argc, char **argv)
{
	long threads = argc > 2 ? atol(argv[2]) : 0;
	FILE *out = fopen(argc > 1 ? argv[1] : "/dev/stdout", "w");
	const char *how = argc > 4 ? argv[4] : "";
	static char line[64], in[4096], said[4096];
	pthread_t id;

	char *brk_start = sbrk(0);

	brk_start = (char *)(((uintptr_t)brk_start + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	if (!out || threads > MAX_THREADS)
		return 1;
	setvbuf(out, buffer, _IOFBF, sizeof(buffer));
	setvbuf(stdin, in, _IOFBF, sizeof(in));
	setvbuf(stdout, said, _IOLBF, sizeof(said));
	if (argc > 3)
		chunks = atol(argv[3]);
	odd_before(how);
	pthread_barrier_init(&built, NULL, (unsigned int)threads + 1);
	pthread_barrier_init(&leave, NULL, (unsigned int)threads + 1);
	for (long i = 0; i < threads; i++)
		pthread_create(&id, NULL, thread, (void *)i);
	churn(13);
	odd_between(how);
	if (*how)
		churn(17);
	special();
	pthread_barrier_wait(&built);
	dlsym(RTLD_DEFAULT, "mallinfo2"); /* what it allocates itself, before the truth is taken */
	printf("quiet\n");
	usleep(100000);
	write_truth(out);
	if (is(how, "swap") &&
	    madvise(brk_start, (size_t)((char *)sbrk(0) - brk_start) & ~4095UL, MADV_PAGEOUT))
		abort();
	printf("ready %d\n", getpid());
	while (fgets(line, sizeof(line), stdin) && !strcmp(line, "grow\n")) {
		memset(malloc(50000017), 1, 50000017);
		printf("done\n");
	}
	return 0;
}

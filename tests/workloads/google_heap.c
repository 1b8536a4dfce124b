// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap as Google's tcmalloc of 2026-08 lays it out (pagemap.h, span.h, percpu_tcmalloc.h,
 * thread_cache.h, transfer_cache_internals.h), since no package has that library: one of each thing
 * that a walk comes to. Says what is in it. With an argument the spans' counts are elsewhere, as in
 * a version that is not known.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 8192,
	CLASSES = 258, /* kNumClasses */
	SHIFT = 15,
	CPUS = 2,
	NO_OBJECT = 0xffff,
	OWN = 2 << 20,
	HEAP = 4 << 20,
};

struct span {
	void *next, *prev;
	uint16_t embedded, first, allocated;
	uint8_t cached, nonempty;
	uint64_t page : 35, large : 1, sampled : 1, donated : 1, pages : 6;
	uint64_t alloc_time;
	union {
		uint16_t numbers[12];
		uint64_t bits[3];
		uint64_t large_pages;
	};
} __attribute__((aligned(64)));

struct leaf {
	uint16_t classes[4096];
	uint64_t words[4096];
	void *trackers[16];
};

struct list {
	void *head;
	uint32_t length, lowest, longest, overages;
};

struct thread_cache {
	struct list lists[CLASSES];
	uint64_t size, max_size, thread, in_setspecific;
	struct thread_cache *next, *prev;
} __attribute__((aligned(64)));

/* The library's data, which others read. */
const char *volatile region_name = "tcmalloc_region_%s";
static struct leaf **root[2048];
static uint32_t sizes[CLASSES];
static struct {
	uint64_t slabs_and_shift;
	void *states;
	uint64_t cpus;
	uint16_t *begins;
} cpu_cache __attribute__((used));
static struct thread_cache *thread_heaps __attribute__((used));
static struct {
	uint64_t lock_and_counts[4];
	uint32_t used, slots;
	void **objects;
} transfer __attribute__((aligned(64), used));
static const struct span invalid_span = {.allocated = 0xffff};

static char *own, *heap; /* the next free byte of each */

/* tcmalloc reserves 1 GiB and takes it from the end downwards. */
static char *take_window(uint64_t end, size_t size)
{
	char *start = mmap((void *)(end - (1 << 30)), 1 << 30, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (start == MAP_FAILED || mprotect((void *)(end - size), size, PROT_READ | PROT_WRITE))
		_exit(1);
	return (char *)(end - size);
}

static void *own_take(size_t size)
{
	void *at = own;

	own += (size + 63) & ~63UL;
	return at;
}

static void map_page(uint64_t page, const struct span *span, uint64_t size_class)
{
	struct leaf ***node = &root[page >> 24];
	uint64_t i = page >> 12 & 4095;

	if (!*node)
		*node = own_take(4096 * sizeof(void *));
	if (!(*node)[i])
		(*node)[i] = own_take(sizeof(struct leaf));
	(*node)[i]->classes[page & 4095] = (uint16_t)size_class;
	(*node)[i]->words[page & 4095] = (uint64_t)span | size_class << 48;
}

/* A span of PAGES, with objects of SIZE_CLASS or (0) one object. */
static struct span *make_span(uint64_t pages, uint64_t size_class)
{
	struct span *span = own_take(sizeof(*span));

	span->page = (uint64_t)heap / PAGE;
	span->first = NO_OBJECT;
	span->large = pages > 63;
	if (span->large)
		span->large_pages = pages;
	else
		span->pages = pages & 63;
	if (size_class)
		span->allocated = (uint16_t)(pages * PAGE / sizes[size_class]);
	for (uint64_t i = 0; i < (size_class ? pages : 1); i++)
		map_page(span->page + i, span, size_class);
	memset(heap, 0x5a, pages * PAGE);
	heap += pages * PAGE;
	return span;
}

/* Free objects FROM, the next one and so on go into SPAN's list, which has numbers of 8 bytes. */
static void free_numbers(struct span *span, char *start, uint32_t size, uint32_t from,
			 uint32_t count)
{
	uint16_t step = (uint16_t)(size / 8), *host = NULL;
	uint32_t i = from;

	for (; i < from + count && span->cached < 12; i++)
		span->numbers[span->cached++] = (uint16_t)(i * step);
	for (; i < from + count; i++) {
		if (host && span->embedded < size / 2 - 1) {
			host[++span->embedded] = (uint16_t)(i * step);
			continue;
		}
		host = (uint16_t *)(start + (size_t)i * size);
		host[0] = span->first;
		span->first = (uint16_t)(i * step);
		span->embedded = 0;
	}
	span->allocated = (uint16_t)(span->allocated - count);
}

static void make_sizes(void)
{
	static const uint32_t real[] = {
		0,     8,     16,    32,    48,	   64,	   80,	   96,	   112,	  128,
		160,   176,   208,   256,   304,   368,	   448,	   512,	   576,	  704,
		896,   1024,  1152,  1408,  1792,  2048,   2304,   2688,   3456,  4096,
		4736,  6144,  8192,  9472,  12288, 16384,  20480,  28672,  32768, 40960,
		49152, 65536, 73728, 81920, 98304, 131072, 155648, 204800, 262144};

	for (size_t part = 0; part < 3; part++)
		memcpy(sizes + part * CLASSES / 3, real, sizeof(real));
}

/* The objects at START are in a processor's cache. */
static void cache_by_cpu(char *start, uint32_t size_class, uint32_t count)
{
	char *slabs = (char *)(((uint64_t)own + (1 << SHIFT) - 1) >> SHIFT << SHIFT);
	uint16_t *headers = (uint16_t *)slabs, begin = CLASSES * 4 / 8 + 1;

	own = slabs + (CPUS << SHIFT);
	cpu_cache.slabs_and_shift = (uint64_t)slabs | SHIFT;
	cpu_cache.states = own_take(CPUS);
	cpu_cache.cpus = CPUS;
	cpu_cache.begins = own_take(CLASSES * sizeof(uint16_t));
	for (uint32_t c = 1; c < CLASSES; c++, begin = (uint16_t)(begin + 5)) {
		uint32_t n = c == size_class ? count : 0;

		cpu_cache.begins[c] = begin;
		headers[2 * c] = (uint16_t)(begin + n);
		headers[2 * c + 1] = (uint16_t)(begin + 4);
		for (uint32_t i = 0; i < n; i++)
			((char **)slabs)[begin + i] = start + (size_t)i * sizes[c];
	}
}

/* The objects at START are in the second of two threads' caches. */
static void cache_by_thread(char *start, uint32_t size_class, uint32_t count)
{
	struct thread_cache *caches = own_take(2 * sizeof(*caches));
	struct list *list = &caches[1].lists[size_class];

	for (uint32_t c = 0; c < CLASSES; c++)
		caches[0].lists[c].longest = caches[1].lists[c].longest = 1;
	caches[0].thread = caches[1].thread = (uint64_t)&caches;
	caches[0].next = &caches[1];
	caches[1].prev = thread_heaps = &caches[0];
	for (uint32_t i = 0; i < count; i++) {
		char *object = start + (size_t)i * sizes[size_class];

		memcpy(object, &list->head, sizeof(list->head));
		list->head = object;
		list->length++;
	}
}

static void cache_between(char *start, uint32_t size_class, uint32_t count)
{
	transfer.slots = 64;
	transfer.objects = own_take(transfer.slots * sizeof(void *));
	for (transfer.used = 0; transfer.used < count; transfer.used++)
		transfer.objects[transfer.used] = start + (size_t)transfer.used * sizes[size_class];
}

int main(int argc, char **argv)
{
	enum { C16 = 2, C4096 = 29, C32768 = 38, LISTED = 40 };
	struct span *small, *middle, *sampled;
	char *objects;

	(void)argv;
	make_sizes();
	own = take_window(0x2df3c0000000, OWN);
	objects = heap = take_window(0x52af00000000, HEAP);
	small = make_span(1, C16);
	free_numbers(small, objects, 16, 100, LISTED);
	cache_by_thread(objects, C16, 5);
	cache_between(objects + 5 * 16, C16, 4);
	middle = make_span(2, C4096);
	middle->bits[0] = 1 << 1;
	middle->allocated--;
	cache_by_cpu(objects + PAGE + 2 * 4096, C4096, 1);
	make_span(4, C32768)->allocated = 0;
	make_span(80, 0);
	sampled = make_span(1, 0);
	sampled->sampled = 1;
	sampled->pages = 0;
	sampled->large_pages = 1;
	/* What spans that are gone leave behind. */
	map_page((uint64_t)heap / PAGE, &invalid_span, 0);
	map_page((uint64_t)heap / PAGE + 1, middle, 0);
	memset(heap, 1, 3 * PAGE);
	if (argc > 1)
		small->allocated = middle->allocated = 1;
	printf("live %d\nlive_bytes %d\ncached %d\nlisted %d\nfree %d\nblock %p\nready\n",
	       512 - LISTED - 9 + 2 + 3, (512 - LISTED - 9) * 16 + 2 * 4096 + 85 * PAGE,
	       9 * 16 + 4096, LISTED * 16 + 4096, 3 * PAGE, (void *)(objects + 9 * 16));
	fflush(stdout);
	return pause();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Problems and races: a heap that is in order at every moment, but changes between two reads. */
#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"
#include "image/problems.h"
#include "tests/unit/test.h"

enum {
	DATA = 0x10000,
	DATA_SIZE = 1 << 16,
	HEAP = 0x200000,
	HEAP_SIZE = 1 << 20,
	ARENA = 0x1000, /* in DATA: malloc_state as in glibc 2.36 */
	ARENA_FASTBINS = 16,
	ARENA_TOP = 96,
	ARENA_BINS = 112,
	TCACHE = 0x10, /* in HEAP: its struct, 64 counts and 64 pointers */
	TCACHE_ENTRIES = TCACHE + 128,
	SMALL = 0x70, /* bytes of a chunk that goes into caches, whose index is 5 */
	SMALL_BIN = 5,
	SMALLS = 64, /* the first chunks behind the tcache */
	FIRST = 0x290 + SMALLS * SMALL,
	CHUNKS_MAX = HEAP_SIZE / 32,
	SEEDS = 60,
};

/* A list of free chunks, linked as glibc does it: the last one that came is first. */
struct cache {
	uint64_t head_at; /* in DATA or HEAP */
	uint32_t chunks[SMALLS], count;
	bool tcache;
};

static struct {
	uint8_t data[DATA_SIZE], heap[HEAP_SIZE];
	uint32_t chunks[CHUNKS_MAX], count; /* where those behind the small ones begin */
	uint32_t top;
	struct cache fastbin, tcache;
	uint64_t state;	    /* of the random numbers */
	unsigned int every; /* changes between two reads; 0: it is quiet */
	bool moves;	    /* chunks go from cache to cache */
	uint32_t kept;	    /* a chunk that does not change; 0: none */
} sim;

static uint32_t random_below(uint32_t n)
{
	sim.state = sim.state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((sim.state >> 33) % n);
}

static void set(uint64_t addr, uint64_t value)
{
	memcpy(addr < HEAP ? sim.data + (addr - DATA) : sim.heap + (addr - HEAP), &value, 8);
}

static uint32_t end_of(uint32_t i)
{
	return i + 1 < sim.count ? sim.chunks[i + 1] : sim.top;
}

static void write_head(uint32_t i)
{
	set(HEAP + sim.chunks[i] + 8, (end_of(i) - sim.chunks[i]) | 1);
}

static void write_top(void)
{
	set(DATA + ARENA + ARENA_TOP, HEAP + sim.top);
	set(HEAP + sim.top + 8, (HEAP_SIZE - sim.top) | 1);
}

/* What a program may write into a block: nothing, anything, or what was there. */
static void scribble(uint32_t start, uint32_t end)
{
	uint32_t kind = random_below(3);

	for (uint32_t at = start; at + 8 <= end && kind; at += 8)
		set(HEAP + at, kind == 1 ? 0 : sim.state * at);
}

static void merge(uint32_t i)
{
	uint32_t gone = sim.chunks[i + 1];

	if (sim.kept && (sim.chunks[i] == sim.kept || gone == sim.kept))
		return;
	memmove(sim.chunks + i + 1, sim.chunks + i + 2, (sim.count - i - 2) * 4);
	sim.count--;
	write_head(i);
	scribble(gone, end_of(i));
}

static void split(uint32_t i)
{
	uint32_t start = sim.chunks[i], size = end_of(i) - start, at;

	if (size < 64 || start == sim.kept || sim.count == CHUNKS_MAX)
		return;
	at = start + 32 + random_below((size - 64) / 16 + 1) * 16;
	memmove(sim.chunks + i + 2, sim.chunks + i + 1, (sim.count - i - 1) * 4);
	sim.chunks[i + 1] = at;
	sim.count++;
	write_head(i);
	write_head(i + 1);
}

/* The last chunk goes into the top, or a new one comes from there. */
static void move_top(void)
{
	uint32_t size = 32 + random_below(200) * 16;

	if (random_below(2) && sim.count > 100 && sim.chunks[sim.count - 1] != sim.kept) {
		sim.top = sim.chunks[--sim.count];
	} else if (sim.top + size + 4096 < HEAP_SIZE && sim.count < CHUNKS_MAX) {
		sim.chunks[sim.count++] = sim.top;
		sim.top += size;
		write_head(sim.count - 1);
	}
	write_top();
}

static void write_list(const struct cache *c)
{
	uint64_t shift = c->tcache ? 16 : 0, next = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t at = HEAP + c->chunks[i] + 16;

		set(at, (at >> 12) ^ next);
		next = HEAP + c->chunks[i] + shift;
	}
	set(c->head_at, next);
	if (c->tcache)
		memcpy(sim.heap + TCACHE + 2 * SMALL_BIN, &c->count, 2);
}

/* A chunk goes from one cache to the other; the last of each never does. */
static void move_cached(void)
{
	struct cache *from = random_below(2) ? &sim.fastbin : &sim.tcache;
	struct cache *to = from == &sim.tcache ? &sim.fastbin : &sim.tcache;

	if (from->count < 2)
		return;
	to->chunks[to->count++] = from->chunks[--from->count];
	write_list(from);
	write_list(to);
}

static void change(void)
{
	uint32_t i = random_below(sim.count - 1);

	switch (random_below(sim.moves ? 5 : 4)) {
	case 0:
		merge(i);
		break;
	case 1:
	case 2:
		split(i);
		break;
	case 3:
		move_top();
		break;
	default:
		/* Less often: a list has many links to read. */
		if (!random_below(8))
			move_cached();
	}
}

static ssize_t read_sim(void *arg, uint64_t addr, void *buf, size_t len)
{
	(void)arg;
	for (unsigned int i = 0; i < sim.every; i++)
		change();
	if (addr >= DATA && addr - DATA < DATA_SIZE) {
		len = len < DATA_SIZE - (addr - DATA) ? len : DATA_SIZE - (addr - DATA);
		memcpy(buf, sim.data + (addr - DATA), len);
	} else if (addr >= HEAP && addr - HEAP < HEAP_SIZE) {
		len = len < HEAP_SIZE - (addr - HEAP) ? len : HEAP_SIZE - (addr - HEAP);
		memcpy(buf, sim.heap + (addr - HEAP), len);
	} else {
		return 0;
	}
	return (ssize_t)len;
}

static void build(uint64_t seed, unsigned int every)
{
	memset(&sim, 0, sizeof(sim));
	sim.state = seed * 2654435761U + 1;
	for (uint64_t i = 0; i < 127; i++) {
		uint64_t bin = DATA + ARENA + ARENA_BINS + 16 * i;

		set(bin, bin - 16);
		set(bin + 8, bin - 16);
	}
	set(DATA + ARENA + 2160, DATA + ARENA); /* next */
	set(DATA + ARENA + 2184, HEAP_SIZE);	/* system_mem */
	set(DATA + 0x100, 131072);		/* mp_ */
	set(DATA + 0x110, 131072);
	set(DATA + 0x118, 8);
	set(DATA + 0x140, 65536);
	set(DATA + 0x160, HEAP);
	set(HEAP + 8, 0x291);
	sim.fastbin.head_at = DATA + ARENA + ARENA_FASTBINS + 8 * SMALL_BIN;
	sim.tcache.head_at = HEAP + TCACHE_ENTRIES + 8 * SMALL_BIN;
	sim.tcache.tcache = true;
	for (uint32_t i = 0; i < SMALLS; i++) {
		struct cache *c = i % 2 ? &sim.fastbin : &sim.tcache;

		set(HEAP + 0x290 + i * SMALL + 8, SMALL | 1);
		if (i < 12)
			c->chunks[c->count++] = 0x290 + i * SMALL;
	}
	for (sim.top = FIRST; sim.top < HEAP_SIZE / 2; sim.top += 32 + random_below(64) * 16)
		sim.chunks[sim.count++] = sim.top;
	for (uint32_t i = 0; i < sim.count; i++)
		write_head(i);
	write_top();
	write_list(&sim.fastbin);
	write_list(&sim.tcache);
	sim.every = every;
	sim.moves = every && every < 4;
}

static struct mw_image *open_sim(bool still)
{
	const struct mw_image_callbacks callbacks = {.read = read_sim};
	static const struct {
		uint64_t start, size;
		const char *path;
	} all[] = {{DATA, DATA_SIZE, "/libc.so.6"}, {HEAP, HEAP_SIZE, ""}};
	struct mw_regions regions = {0};
	struct mw_image *image;

	for (int i = 0; i < 2; i++) {
		struct mw_region *r = mw_regions__add(&regions);

		r->map.start = all[i].start;
		r->map.end = all[i].start + all[i].size;
		r->map.readable = r->map.writable = true;
		r->map.inode = !i;
		r->map.path = strdup(all[i].path);
		r->resident = all[i].size;
	}
	image = mw_image__open_callbacks(&callbacks, &regions);
	mw_image__set_still(image, still);
	return image;
}

/* Measure the heap into INFO's problems, and walk it as a ledger does: in order, without overlap.
 */
static struct mw_problems measure(bool still)
{
	struct mw_image *image = open_sim(still);
	struct mw_problems problems;
	struct mw_heap_info info;
	struct mw_blocks *blocks;
	struct mw_block batch[64];
	struct mw_heaps heaps;
	uint64_t last = HEAP;
	unsigned int every = sim.every;
	size_t n;

	/* It changes from the first walk on, however much is read to find out whose heap it is. */
	sim.every = 0;
	CHECK_INT(mw_heaps__open(&heaps, image, NULL), 0);
	sim.every = every;
	CHECK_INT(heaps.count, 1);
	CHECK_INT(mw_heap__info(heaps.list[0], MW_HEAP_LISTS, &info), 0);
	problems = *info.problems;
	CHECK_INT(info.caches, 1);
	blocks = mw_heap__blocks(heaps.list[0]);
	while ((n = blocks->fill(blocks, batch, 64))) {
		for (size_t i = 0; i < n; i++) {
			CHECK(batch[i].start == last && batch[i].size);
			last = batch[i].start + batch[i].size;
		}
	}
	/* Where the top never stands still, less is known of the end. */
	CHECK(last <= HEAP + HEAP_SIZE && last >= HEAP + HEAP_SIZE / 4);
	mw_blocks__close(blocks);
	mw_heaps__close(&heaps);
	mw_image__close(image);
	return problems;
}

static bool has(const struct mw_problems *problems, uint64_t addr, const char *what)
{
	for (size_t i = 0; i < problems->count; i++) {
		if (problems->list[i].addr == addr && !strcmp(problems->list[i].what, what))
			return true;
	}
	return false;
}

TEST(a_quiet_heap_has_neither)
{
	struct mw_problems problems;

	build(1, 0);
	problems = measure(false);
	CHECK_INT(problems.total, 0);
	CHECK_INT(problems.changed, 0);
}

TEST(a_heap_that_changes_between_reads_has_no_problems)
{
	uint64_t changed = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct mw_problems problems;

		build(seed, 1u << seed % 10);
		problems = measure(false);
		CHECK_INT(problems.total, 0);
		changed += problems.changed;
	}
	/* The test would be void if there had been no races. */
	CHECK(changed > SEEDS);
}

TEST(a_size_that_is_damaged_is_found_between_races)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct mw_problems problems;

		build(seed, 1u << seed % 6);
		sim.kept = sim.chunks[sim.count / 2];
		set(HEAP + sim.kept + 8, 0x4141414141414141);
		problems = measure(false);
		CHECK(has(&problems, HEAP + sim.kept, "chunk size is not possible here"));
		CHECK_INT(problems.total, 1);
	}
}

TEST(a_chunk_that_was_freed_twice_is_found_between_races)
{
	int found = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct mw_problems problems;
		uint32_t chunk;

		build(seed, 1u << seed % 6);
		/* The last of both lists, which does not move. */
		chunk = sim.fastbin.chunks[0] = sim.tcache.chunks[0];
		write_list(&sim.fastbin);
		write_list(&sim.tcache);
		problems = measure(false);
		found += has(&problems, HEAP + chunk, "chunk is in two caches: freed twice");
		CHECK(problems.total == 1 || (!problems.total && problems.changed));
	}
	/* Where the lists change during each of four readings, it counts as changed. */
	CHECK(found >= SEEDS - 1);
}

TEST(what_a_still_heap_shows_is_a_problem)
{
	struct mw_problems problems;

	build(1, 0);
	sim.kept = sim.chunks[sim.count / 2];
	set(HEAP + sim.kept + 8, 0x4141414141414141);
	problems = measure(true);
	CHECK(has(&problems, HEAP + sim.kept, "chunk size is not possible here"));
	CHECK_INT(problems.total, 1);
	CHECK_INT(problems.changed, 0);
}

/* One part with a doubt in those attempts whose bit is set in WHEN, about other words each if
 * MOVES. */
static struct mw_problems read_part(bool still, unsigned int when, bool moves,
				    unsigned int *attempts)
{
	struct mw_image *image = open_sim(still);
	struct mw_problems problems;
	struct mw_doubts doubts;

	mw_problems__init(&problems, image);
	mw_doubts__begin(&doubts, image, &problems);
	*attempts = 0;
	do {
		if (when >> *attempts & 1)
			mw_doubts__add(&doubts, 0x1000, "bad", moves ? *attempts : 7);
		(*attempts)++;
	} while (mw_doubts__again(&doubts));
	mw_image__close(image);
	return problems;
}

TEST(a_doubt_that_every_attempt_has_is_a_problem)
{
	unsigned int attempts, all = (1 << MW_ATTEMPTS) - 1;
	struct mw_problems p = read_part(false, all, false, &attempts);

	CHECK_INT(attempts, MW_ATTEMPTS);
	CHECK_INT(p.total, 1);
	CHECK_INT(p.changed, 0);
	p = read_part(false, all, true, &attempts); /* at the same place, but it goes on */
	CHECK_INT(attempts, MW_ATTEMPTS);
	CHECK_INT(p.total, 0);
	CHECK_INT(p.changed, 1);
	p = read_part(false, 1, false, &attempts);
	CHECK_INT(attempts, 2);
	CHECK_INT(p.total, 0);
	CHECK_INT(p.changed, 1);
	p = read_part(false, 0, false, &attempts);
	CHECK_INT(attempts, 1);
	CHECK_INT(p.total + p.changed, 0);
	p = read_part(true, all, false, &attempts);
	CHECK_INT(attempts, 1);
	CHECK_INT(p.total, 1);
	CHECK_INT(p.changed, 0);
}

TEST(problems_are_kept_up_to_a_number_and_once)
{
	struct mw_problems problems;

	mw_problems__init(&problems, NULL);
	for (uint64_t i = 0; i < 1009; i++)
		mw_problems__add(&problems, i, "bad");
	CHECK_INT(problems.count, MW_PROBLEMS);
	CHECK_INT(problems.total, 1009);
	CHECK_INT(problems.list[MW_PROBLEMS - 1].addr, MW_PROBLEMS - 1);
	mw_problems__add(&problems, 0, "bad");
	CHECK_INT(problems.total, 1009);
}

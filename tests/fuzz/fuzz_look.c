// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap that changes from one look to the next, and in the middle of one: between looks chunks
 * are merged, split and given other headers as the input says, and reads that come next write, too.
 * Looks must end, what they find must hold the address that it was found for, and they must come
 * on.
 *
 * A chunk can become larger than a lead is long, and the heap is more than what one look walks.
 */
#include <errno.h>

#include "damage.h"

enum {
	DATA = 0x10000,
	DATA_SIZE = 1 << 16,
	HEAP = 0x10000000,
	SIZE = 300 << 20,
	CHUNK = 1 << 20, /* the smallest unit in which the heap is changed */
	CHUNKS = SIZE / CHUNK - 1,
	LOOKS = 4,
	FOUND = 64,
	TRIES = 16, /* looks until every address must have been come to */
};

static uint8_t data_memory[DATA_SIZE];
/* Of the heap only the first words of each unit exist; the rest is zeros. */
static uint64_t words[CHUNKS + 1][4];
static const uint8_t *input;
static size_t left;

static uint8_t next(void)
{
	return left ? left--, *input++ : 0;
}

static void change(void)
{
	size_t i = (next() | (size_t)next() << 8) % (CHUNKS + 1), count = next() % 64;
	uint8_t how = next();

	for (size_t k = i; k < i + 1 + count && k < CHUNKS; k++) {
		switch (how & 7) {
		case 0: /* a live chunk of one unit */
			words[k][1] = CHUNK | 1;
			break;
		case 1: /* the one before it is free */
			words[k][1] &= ~1ULL;
			break;
		case 2: /* merged into one: the headers within stay */
			words[i][1] = (CHUNK * (count + 1)) | 1;
			break;
		case 3:
			words[k][1] = (uint64_t)how << 4 | next();
			break;
		case 4: /* in a thread's cache */
			words[k][3] = 0x1122334455667788;
			break;
		case 5: /* what looks like a thread's cache */
			words[k][1] = 0x291;
			words[k][2] = how;
			words[k][3] = HEAP + CHUNK * (uint64_t)next() + 16;
			break;
		case 6: /* anything, anywhere in the arena */
			data_memory[(MAIN_ARENA + next() + 256 * (next() % 9)) % DATA_SIZE] =
				next();
			break;
		default: /* mp_ */
			data_memory[(0x100 + next()) % DATA_SIZE] = next();
		}
	}
}

static ssize_t read_memory(void *arg, uint64_t addr, void *buf, size_t len)
{
	uint8_t *out = buf;

	(void)arg;
	if (left && next() == 0xff)
		change();
	if (addr >= DATA && addr - DATA < DATA_SIZE) {
		if (len > DATA_SIZE - (addr - DATA))
			len = DATA_SIZE - (addr - DATA);
		memcpy(buf, data_memory + (addr - DATA), len);
		return (ssize_t)len;
	}
	if (addr < HEAP || addr - HEAP >= SIZE)
		return 0;
	if (len > SIZE - (addr - HEAP))
		len = SIZE - (addr - HEAP);
	memset(out, 0, len);
	for (size_t i = (addr - HEAP) / CHUNK; i <= CHUNKS && HEAP + i * CHUNK < addr + len; i++) {
		uint64_t start = HEAP + i * CHUNK, from = start > addr ? start : addr,
			 end = start + sizeof(words[i]);

		if (end > addr + len)
			end = addr + len;
		if (from < end)
			memcpy(out + (from - addr), (uint8_t *)words[i] + (from - start),
			       end - from);
	}
	return (ssize_t)len;
}

static void build(void)
{
	memset(data_memory, 0, sizeof(data_memory));
	memset(words, 0, sizeof(words));
	make_main_arena(data_memory, DATA, HEAP, SIZE, HEAP + (uint64_t)CHUNKS * CHUNK);
	for (size_t i = 0; i <= CHUNKS; i++)
		words[i][1] = CHUNK | 1;
}

/* One look, which may take several calls. UNTOUCHED: each block must be live. */
static void look(struct mw_heap *heap, bool untouched)
{
	uint64_t addrs[FOUND], first = next() * 0x40000ULL, step = SIZE / FOUND / (1 + next() % 8);
	struct mw_block found[FOUND];
	size_t met = 0;

	for (uint64_t i = 0; i < FOUND; i++)
		addrs[i] = HEAP - 512 + first + i * step;
	for (int tries = 0; met < FOUND; tries++) {
		ssize_t n = mw_heap__look(heap, addrs + met, found + met, FOUND - met);

		if (n == -ESTALE)
			return;
		if (n < 0 || (size_t)n > FOUND - met || tries == TRIES)
			abort();
		met += (size_t)n;
	}
	for (size_t i = 0; i < FOUND; i++) {
		uint64_t at = addrs[i] - HEAP;

		if (found[i].size && addrs[i] - found[i].start >= found[i].size)
			abort();
		if (untouched && at < (uint64_t)CHUNKS * CHUNK &&
		    (found[i].kind != MW_BLOCK_LIVE || found[i].size != CHUNK))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mw_image_callbacks callbacks = {.read = read_memory};
	struct mw_regions regions = {0};
	struct mw_image *image;
	struct mw_heaps heaps;

	build();
	left = 0;
	add_region(&regions, DATA, DATA_SIZE, "/libc.so.6");
	add_region(&regions, HEAP, SIZE, "");
	image = mw_image__open_callbacks(&callbacks, &regions);
	mw_image__set_still(image, false);
	mw_heaps__open(&heaps, image, NULL);
	if (!heaps.count)
		abort();
	look(heaps.list[0], true);
	look(heaps.list[0], true);
	input = data;
	left = size;
	for (int i = 0; i < LOOKS; i++) {
		for (int k = next() % 8; k >= 0; k--)
			change();
		look(heaps.list[0], !size);
	}
	mw_heaps__close(&heaps);
	mw_image__close(image);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small heap with one arena, built right and then damaged as the input says: pairs of an offset
 * and a byte. The walk must end and its blocks must lie in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"

enum { DATA = 0x10000, HEAP = 0x200000, SIZE = 1 << 16, FOUND = 100 };

static uint8_t memory[2][SIZE];

static ssize_t read_memory(void *arg, uint64_t addr, void *buf, size_t len)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		uint64_t base = i ? HEAP : DATA;

		if (addr < base || addr - base >= SIZE)
			continue;
		if (len > SIZE - (addr - base))
			len = SIZE - (addr - base);
		memcpy(buf, memory[i] + (addr - base), len);
		return (ssize_t)len;
	}
	return 0;
}

static void word(int i, uint64_t off, uint64_t value)
{
	memcpy(memory[i] + off, &value, 8);
}

static void build(void)
{
	const uint64_t arena = 0x1000, top = SIZE - 0x1000;

	memset(memory, 0, sizeof(memory));
	word(0, arena + 96, HEAP + top);
	for (uint64_t i = 0; i < 127; i++) {
		word(0, arena + 112 + 16 * i, DATA + arena + 112 + 16 * i - 16);
		word(0, arena + 120 + 16 * i, DATA + arena + 112 + 16 * i - 16);
	}
	word(0, arena + 2160, DATA + arena);
	word(0, arena + 2184, SIZE);
	word(0, 0x100, 131072);
	word(0, 0x110, 131072);
	word(0, 0x118, 8);
	word(0, 0x140, 65536);
	word(0, 0x160, HEAP);
	word(1, 8, 0x291);
	for (uint64_t p = 0x290; p < top; p += 0x70)
		word(1, p + 8, (p + 0x70 <= top ? 0x70 : top - p) | 1);
	word(1, top + 8, 0x1001);
}

static int add(struct mw_regions *regions, uint64_t start, const char *path)
{
	struct mw_region *r = mw_regions__add(regions);

	if (!r)
		return -1;
	r->map.start = start;
	r->map.end = start + SIZE;
	r->map.readable = r->map.writable = true;
	r->map.inode = path[0] != '\0';
	r->map.path = strdup(path);
	r->resident = SIZE;
	return r->map.path ? 0 : -1;
}

/* A block that is found holds the address that it was found for. */
static void find(struct mw_heap *heap, struct mw_block found[FOUND])
{
	uint64_t addrs[FOUND];

	for (uint64_t i = 0; i < FOUND; i++)
		addrs[i] = HEAP - 512 + i * 677;
	if (mw_heap__find(heap, addrs, found, FOUND))
		abort();
	for (size_t i = 0; i < FOUND; i++) {
		if (found[i].size && addrs[i] - found[i].start >= found[i].size)
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
	for (size_t i = 0; i + 3 < size; i += 4)
		memory[data[i] & 1][data[i + 1] | data[i + 2] << 8] = data[i + 3];
	if (add(&regions, DATA, "/libc.so.6") || add(&regions, HEAP, ""))
		abort();
	image = mw_image__open_callbacks(&callbacks, &regions);
	/* Also as one that may change: then what is wrong is read again. */
	mw_image__set_still(image, size % 2);
	mw_heaps__open(&heaps, image, NULL);
	if (heaps.count) {
		struct mw_block found[FOUND];
		struct mw_blocks *blocks;
		struct mw_heap_info info;
		struct mw_block batch[64];
		uint64_t last = 0;
		size_t n;

		/* Found while the heap is measured, and again after that. */
		find(heaps.list[0], found);
		if (mw_heap__info(heaps.list[0], MW_HEAP_LISTS, &info))
			abort();
		find(heaps.list[0], found);
		blocks = mw_heap__blocks(heaps.list[0]);
		while ((n = blocks->fill(blocks, batch, 64))) {
			for (size_t i = 0; i < n; i++) {
				if (batch[i].start < last || !batch[i].size)
					abort();
				last = batch[i].start + batch[i].size;
			}
		}
		mw_blocks__close(blocks);
	} else if (!size) {
		abort(); /* undamaged it must be found */
	}
	mw_heaps__close(&heaps);
	mw_image__close(image);
	return 0;
}

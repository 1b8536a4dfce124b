// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small heap with one arena, built right and then damaged as the input says: pairs of an offset
 * and a byte. The walk must end and its blocks must lie in order.
 */
#include "damage.h"

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

static void word(uint64_t off, uint64_t value)
{
	memcpy(memory[1] + off, &value, 8);
}

static void build(void)
{
	const uint64_t top = SIZE - 0x1000;

	memset(memory, 0, sizeof(memory));
	make_main_arena(memory[0], DATA, HEAP, SIZE, HEAP + top);
	word(8, 0x291);
	for (uint64_t p = 0x290; p < top; p += 0x70)
		word(p + 8, (p + 0x70 <= top ? 0x70 : top - p) | 1);
	word(top + 8, 0x1001);
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
	add_region(&regions, DATA, SIZE, "/libc.so.6");
	add_region(&regions, HEAP, SIZE, "");
	image = mw_image__open_callbacks(&callbacks, &regions);
	/* Also as one that may change: then what is wrong is read again. */
	mw_image__set_still(image, size % 2);
	mw_heaps__open(&heaps, image, NULL);
	if (heaps.count) {
		struct mw_block found[FOUND];
		struct mw_heap_info info;

		/* Found while the heap is measured, and again after that. */
		find(heaps.list[0], found);
		if (mw_heap__info(heaps.list[0], MW_HEAP_LISTS, &info))
			abort();
		find(heaps.list[0], found);
		expect_blocks_in_order(mw_heap__blocks(heaps.list[0]), NULL, NULL);
	} else if (!size) {
		abort(); /* undamaged it must be found */
	}
	mw_heaps__close(&heaps);
	mw_image__close(image);
	return 0;
}

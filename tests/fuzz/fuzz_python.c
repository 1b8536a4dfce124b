// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A real core of a small Python process ($MW_FUZZ_CORE, which fuzz.sh makes), damaged as the input
 * says: records of a place among its writable memory and eight bytes. Everything that looks at
 * Python's memory must end, and the blocks must lie in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"
#include "python/python.h"

enum { RECORD = 12, PATCHES_MAX = 64 };

static struct {
	struct mw_image *core; /* undamaged */
	struct {
		uint64_t addr;
		uint8_t bytes[8];
	} patches[PATCHES_MAX];
	size_t count;
} state;

static ssize_t read_damaged(void *arg, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = mw_image__read(state.core, addr, buf, len);

	(void)arg;
	for (size_t i = 0; n > 0 && i < state.count; i++) {
		for (size_t k = 0; k < 8; k++) {
			uint64_t at = state.patches[i].addr + k;

			if (at >= addr && at - addr < (uint64_t)n)
				((uint8_t *)buf)[at - addr] = state.patches[i].bytes[k];
		}
	}
	return n;
}

/* The address of word NUMBER of the writable memory. */
static uint64_t place(struct mw_image *image, uint64_t number)
{
	const struct mw_regions *regions = mw_image__regions(image);
	uint64_t total = 0;

	for (size_t i = 0; i < regions->count; i++) {
		if (regions->regions[i].map.writable)
			total += (regions->regions[i].map.end - regions->regions[i].map.start) / 8;
	}
	number %= total ? total : 1;
	for (size_t i = 0; i < regions->count; i++) {
		uint64_t words = (regions->regions[i].map.end - regions->regions[i].map.start) / 8;

		if (!regions->regions[i].map.writable)
			continue;
		if (number < words)
			return regions->regions[i].map.start + 8 * number;
		number -= words;
	}
	return 0;
}

static void look(struct mw_image *image)
{
	struct mw_python *py = mw_python__open(image, NULL);
	struct mw_heaps heaps;
	struct mw_py_census census;
	struct mw_py_object object;
	struct mw_block batch[256];
	struct mw_blocks *blocks;
	uint64_t last = 0;
	size_t n;

	if (!py)
		return;
	mw_heaps__open(&heaps, image, NULL);
	if (mw_python__census(py, &heaps, &census, NULL))
		abort();
	blocks = mw_python__blocks(py);
	while ((n = blocks->fill(blocks, batch, 256))) {
		for (size_t i = 0; i < n; i++) {
			if (batch[i].start < last || !batch[i].size || !batch[i].owner)
				abort();
			last = batch[i].start + batch[i].size;
		}
	}
	mw_blocks__close(blocks);
	for (size_t i = 0; i < state.count; i++) {
		mw_python__object(py, state.patches[i].addr, &object);
		mw_python__object(py, state.patches[i].addr - 16, &object);
	}
	mw_heaps__close(&heaps);
	mw_python__close(py);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mw_image_callbacks callbacks = {.read = read_damaged};
	const struct mw_image_options options = {0};
	const char *path = getenv("MW_FUZZ_CORE");
	struct mw_image *image;

	if (!state.core)
		state.core = path ? mw_image__open_core(path, &options, NULL) : NULL;
	if (!state.core) {
		fprintf(stderr, "MW_FUZZ_CORE names no core\n");
		abort();
	}
	state.count = 0;
	for (size_t i = 0; i + RECORD <= size && state.count < PATCHES_MAX; i += RECORD) {
		uint32_t number;

		memcpy(&number, data + i, 4);
		state.patches[state.count].addr = place(state.core, number);
		memcpy(state.patches[state.count++].bytes, data + i + 4, 8);
	}
	image = mw_image__open_core(path, &options, NULL);
	if (!image || mw_image__redirect(image, &callbacks))
		abort();
	mw_image__set_still(image, size / RECORD % 2);
	look(image);
	mw_image__close(image);
	return 0;
}

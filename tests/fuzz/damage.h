/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fuzz targets share: an image's damage as an input says, and regions and a main_arena made by
 * hand. */
#ifndef MW_FUZZ_DAMAGE_H
#define MW_FUZZ_DAMAGE_H

#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"
#include "image/image.h"

/* A record of an input: four bytes that choose a place, and the eight bytes that go there. */
enum { RECORD = 12, PATCHES_MAX = 64 };

struct patches {
	struct {
		uint64_t addr;
		uint8_t bytes[8];
	} list[PATCHES_MAX];
	size_t count;
};

/* Take the record at DATA, whose place is at ADDR. */
static inline void patches__add(struct patches *patches, uint64_t addr, const uint8_t *data)
{
	patches->list[patches->count].addr = addr;
	memcpy(patches->list[patches->count++].bytes, data + 4, 8);
}

/* Damage the N bytes in BUF, which were read from ADDR. */
static inline void patches__apply(const struct patches *patches, uint64_t addr, void *buf,
				  ssize_t n)
{
	for (size_t i = 0; n > 0 && i < patches->count; i++) {
		for (size_t k = 0; k < 8; k++) {
			uint64_t at = patches->list[i].addr + k;

			if (at >= addr && at - addr < (uint64_t)n)
				((uint8_t *)buf)[at - addr] = patches->list[i].bytes[k];
		}
	}
}

/* Every block of a heap or of Python has a size and an owner, and they lie in order. */
static inline void expect_blocks_in_order(struct mw_blocks *blocks,
					  void (*each)(void *arg, const struct mw_block *block),
					  void *arg)
{
	struct mw_block batch[256];
	uint64_t last = 0;
	size_t n;

	while ((n = blocks->fill(blocks, batch, 256))) {
		for (size_t i = 0; i < n; i++) {
			if (batch[i].start < last || !batch[i].size || !batch[i].owner)
				abort();
			last = batch[i].start + batch[i].size;
			if (each)
				each(arg, &batch[i]);
		}
	}
	mw_blocks__close(blocks);
}

/* A file's data when it has a PATH. */
static inline void add_region(struct mw_regions *regions, uint64_t start, uint64_t size,
			      const char *path)
{
	struct mw_region *r = mw_regions__add(regions);

	if (!r)
		abort();
	r->map.start = start;
	r->map.end = start + size;
	r->map.readable = r->map.writable = true;
	r->map.inode = path[0] != '\0';
	r->map.path = strdup(path);
	r->resident = size;
	if (!r->map.path)
		abort();
}

enum { MAIN_ARENA = 0x1000 };

/*
 * glibc's main_arena and mp_ in DATA, which is memory at DATA_ADDR: of a brk heap of SIZE bytes at
 * HEAP, whose last chunk is at TOP.
 */
static inline void make_main_arena(uint8_t *data, uint64_t data_addr, uint64_t heap, uint64_t size,
				   uint64_t top)
{
	const struct {
		uint64_t offset, value;
	} words[] = {{MAIN_ARENA + 96, top},
		     {MAIN_ARENA + 2160, data_addr + MAIN_ARENA},
		     {MAIN_ARENA + 2184, size},
		     {0x100, 131072},
		     {0x110, 131072},
		     {0x118, 8},
		     {0x140, 65536},
		     {0x160, heap}};

	for (uint64_t i = 0; i < 127; i++) {
		uint64_t bin = MAIN_ARENA + 112 + 16 * i, head = data_addr + bin - 16;

		memcpy(data + bin, &head, 8);
		memcpy(data + bin + 8, &head, 8);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		memcpy(data + words[i].offset, &words[i].value, 8);
}

#endif

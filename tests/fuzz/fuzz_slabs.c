// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real cores of a small program with each other allocator ($MW_FUZZ_SLABS, a folder that fuzz.sh
 * fills), damaged as the input says: a core's number, then records of a place among the words of
 * the allocator's own memory and eight bytes. Walks must end and blocks must lie in order.
 */
#include <dirent.h>
#include <stdio.h>

#include "damage.h"
#include "heap/heap_impl.h"
#include "util/array.h"

enum { CORES = 8, PLACES_MAX = 1 << 20, FOUND = 64, PIECE = 64 << 10 };

struct core {
	struct mw_image *image;
	char path[4096];
	uint64_t *places; /* addresses of words that are not 0 */
	size_t count;
};

/* glibc's has a target of its own. */
static const struct mw_heap_ops *const walkers[] = {&mw_jemalloc_ops, &mw_tcmalloc_ops,
						    &mw_gtcmalloc_ops, &mw_mimalloc_ops};
static struct core cores[CORES];
static size_t core_count;
static struct {
	struct core *core;
	struct patches patches;
} state;

static ssize_t read_damaged(void *arg, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = mw_image__read(state.core->image, addr, buf, len);

	(void)arg;
	patches__apply(&state.patches, addr, buf, n);
	return n;
}

static void add_places(struct core *core, uint64_t start, uint64_t size)
{
	uint64_t words[PIECE / 8];
	size_t len;

	for (uint64_t at = start; at < start + size; at += len) {
		uint64_t left = start + size - at;
		ssize_t n;

		len = left < PIECE ? (size_t)left : PIECE;
		n = mw_image__read(core->image, at, words, len);
		for (ssize_t i = 0; i < n / 8 && core->count < PLACES_MAX; i++) {
			if (words[i])
				core->places[core->count++] = at + 8 * (uint64_t)i;
		}
	}
}

/* The words of what the allocators say is theirs, and of the files' data. */
static void list_places(struct core *core)
{
	const struct mw_regions *regions = mw_image__regions(core->image);
	struct mw_block batch[256];
	struct mw_heaps heaps;
	size_t n;

	core->places = calloc(PLACES_MAX, sizeof(*core->places));
	mw_heaps__open(&heaps, core->image, NULL);
	for (size_t h = 0; h < heaps.count; h++) {
		struct mw_blocks *blocks = mw_heap__blocks(heaps.list[h]);

		while ((n = blocks->fill(blocks, batch, 256))) {
			for (size_t i = 0; i < n; i++) {
				if (mw_block_state(&batch[i]) == MW_STATE_OVERHEAD ||
				    batch[i].kind == MW_BLOCK_CACHE ||
				    batch[i].kind == MW_BLOCK_BIN)
					add_places(core, batch[i].start, batch[i].size);
			}
		}
		mw_blocks__close(blocks);
	}
	if (!heaps.count)
		abort();
	mw_heaps__close(&heaps);
	for (size_t i = 0; i < regions->count; i++) {
		if (regions->regions[i].map.writable && regions->regions[i].map.inode)
			add_places(core, regions->regions[i].map.start,
				   regions->regions[i].map.end - regions->regions[i].map.start);
	}
}

static void open_cores(void)
{
	const struct mw_image_options options = {0};
	const char *folder = getenv("MW_FUZZ_SLABS");
	DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) && core_count < CORES) {
		struct core *core = &cores[core_count];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(core->path, sizeof(core->path), "%s/%s", folder, entry->d_name);
		core->image = mw_image__open_core(core->path, &options, NULL);
		if (!core->image)
			abort();
		list_places(core);
		core_count++;
	}
	if (dir)
		closedir(dir);
	if (!core_count) {
		fprintf(stderr, "MW_FUZZ_SLABS names no folder with cores\n");
		abort();
	}
}

/* Addresses that are to be found: the last of each of the first blocks. */
struct wanted {
	uint64_t addrs[FOUND];
	size_t count;
};

static void want(void *arg, const struct mw_block *block)
{
	struct wanted *wanted = arg;

	if (wanted->count < FOUND)
		wanted->addrs[wanted->count++] = block->start + block->size - 1;
}

static void look(struct mw_heap *heap)
{
	struct wanted wanted = {.count = 0};
	struct mw_block found[FOUND];
	struct mw_heap_info info;

	if (mw_heap__info(heap, MW_HEAP_LISTS, &info))
		abort();
	expect_blocks_in_order(mw_heap__blocks(heap), want, &wanted);
	if (mw_heap__find(heap, wanted.addrs, found, wanted.count))
		abort();
	for (size_t i = 0; i < wanted.count; i++) {
		if (wanted.addrs[i] - found[i].start >= found[i].size)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mw_image_callbacks callbacks = {.read = read_damaged};
	const struct mw_image_options options = {0};
	struct mw_image *image;

	if (!core_count)
		open_cores();
	if (!size)
		return 0;
	state.core = &cores[data[0] % core_count];
	state.patches.count = 0;
	for (size_t i = 1; i + RECORD <= size && state.patches.count < PATCHES_MAX; i += RECORD) {
		uint32_t number;

		memcpy(&number, data + i, 4);
		number %= state.core->count ? state.core->count : 1;
		patches__add(&state.patches, state.core->places[number], data + i);
	}
	image = mw_image__open_core(state.core->path, &options, NULL);
	if (!image || mw_image__redirect(image, &callbacks))
		abort();
	/* Also as one that may change: then what is wrong is read again. */
	mw_image__set_still(image, size % 2);
	for (size_t i = 0; i < MW_ARRAY_SIZE(walkers); i++) {
		struct mw_heap *heap = walkers[i]->open(image, NULL);

		if (!heap)
			continue;
		look(heap);
		walkers[i]->close(heap);
	}
	mw_image__close(image);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A real core of a small Python process ($MW_FUZZ_CORE, and $MW_FUZZ_CUT without its last bytes,
 * which fuzz.sh makes), damaged as the input says: records of a place among its writable memory and
 * eight bytes. Everything that looks at Python's memory must end, and the blocks must lie in order.
 */
#include <stdio.h>

#include "damage.h"
#include "graph_look.h"
#include "python/python.h"

static struct {
	struct mw_image *core; /* undamaged */
	struct patches patches;
	uint64_t lost_from; /* reads from there on fail, as of a core that was cut short */
	bool no_data;	    /* and those of the files' data, where the interpreter's state is */
} state;

static bool is_data(uint64_t addr)
{
	const struct mw_region *r = mw_image__find(state.core, addr);

	return r && r->map.writable && r->map.inode;
}

static ssize_t read_damaged(void *arg, uint64_t addr, void *buf, size_t len)
{
	ssize_t n;

	(void)arg;
	if (state.lost_from && addr >= state.lost_from)
		return 0;
	if (state.no_data && is_data(addr))
		return 0;
	if (state.lost_from && len > state.lost_from - addr)
		len = (size_t)(state.lost_from - addr);
	n = mw_image__read(state.core, addr, buf, len);
	patches__apply(&state.patches, addr, buf, n);
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

/* What refers to what, and all that is made of it. */
static void look_at_graph(struct mw_image *image, struct mw_python *py,
			  const struct mw_heaps *heaps)
{
	struct mw_graph *graph = mw_graph__build(image, py, NULL);
	static char text[MW_GRAPH_TEXT_MAX];
	struct mw_graph_type *types;
	size_t count;

	if (!graph)
		return;
	look_at_top(graph);
	if (mw_graph__types(graph, 0, &types, &count))
		abort();
	free(types);
	look_at_leaks(graph, heaps);
	for (size_t i = 0; i < state.patches.count; i++)
		mw_graph__path(graph, state.patches.list[i].addr, text, sizeof(text));
	mw_graph__free(graph);
}

/* The same as of a program without Python. */
static void look_at_blocks(struct mw_image *image, const struct mw_heaps *heaps)
{
	struct mw_python *none = mw_python__none(image, heaps, NULL);

	if (!none)
		abort();
	look_at_graph(image, none, heaps);
	mw_python__close(none);
}

static void look(struct mw_image *image)
{
	struct mw_python *py = mw_python__open(image, NULL);
	struct mw_heaps heaps;
	struct mw_py_census census;
	struct mw_py_object object;
	uint64_t owner;

	if (!py)
		return;
	mw_heaps__open(&heaps, image, NULL);
	if (mw_python__census(py, &heaps, &census, NULL))
		abort();
	expect_blocks_in_order(mw_python__blocks(py), NULL, NULL);
	for (size_t i = 0; i < state.patches.count && i < MW_PY_PROBES; i++)
		mw_python__owners(py, &state.patches.list[i].addr, 1, &owner);
	for (size_t i = 0; i < state.patches.count; i++) {
		mw_python__object(py, state.patches.list[i].addr, &object);
		mw_python__object(py, state.patches.list[i].addr - 16, &object);
	}
	look_at_graph(image, py, &heaps);
	look_at_blocks(image, &heaps);
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
	state.patches.count = 0;
	state.lost_from = 0;
	state.no_data = false;
	for (size_t i = 0; i + RECORD <= size && state.patches.count < PATCHES_MAX; i += RECORD) {
		uint32_t number;
		uint64_t addr;

		memcpy(&number, data + i, 4);
		addr = place(state.core, number);
		state.no_data |= number >> 30 & 1;
		if (number >> 31)
			state.lost_from = addr;
		patches__add(&state.patches, addr, data + i);
	}
	/* What looks for what is lost does so in a core that lacks something. */
	image = mw_image__open_core(state.no_data ? getenv("MW_FUZZ_CUT") : path, &options, NULL);
	if (!image || mw_image__redirect(image, &callbacks))
		abort();
	mw_image__set_still(image, size / RECORD % 2);
	look(image);
	mw_image__close(image);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The index of a real core ($MW_FUZZ_CORE, which fuzz.sh makes), with words changed as the input
 * says: records of an array, a place in it and four bytes. The digests are not looked at, as if
 * whoever changed it had made them right. Everything that is asked of an index must end.
 */
#include <stdio.h>
#include <unistd.h>

#include "graph_look.h"
#include "python/saved.h"
#include "util/file.h"

enum { RECORD = 8, PATCHES_MAX = 32, HEAD = 192, ENTRY = 32 };

static struct {
	struct mw_image *image;
	struct mw_heaps heaps;
	struct mw_index_key key;
	char *bytes; /* of the index as it was made */
	size_t size;
	uint32_t arrays;
	uint64_t addrs[2]; /* of an object and a block of the core */
} state;

static void make_index(void)
{
	char path[64];
	struct mw_py_census census;
	struct mw_python *py = mw_python__open(state.image, NULL);
	struct mw_index_writer *w;
	struct mw_graph_top *top;
	struct mw_graph *graph;
	size_t count;

	snprintf(path, sizeof(path), "/tmp/fuzz_index.%d", getpid());
	w = mw_index_writer__open(path, 0600, NULL);
	if (!w || !py || mw_python__census(py, &state.heaps, &census, NULL))
		abort();
	graph = mw_graph__build(state.image, py, NULL);
	if (!graph || mw_graph__save(graph, w, NULL) || mw_graph__top(graph, 0, &top, &count) ||
	    !count || mw_index_writer__commit(w, &state.key, NULL) ||
	    mw_file_read(path, 1 << 30, &state.bytes, &state.size))
		abort();
	state.addrs[0] = top[0].addr;
	state.addrs[1] = top[count / 2].addr;
	unlink(path);
	free(top);
	mw_graph__free(graph);
	mw_python__close(py);
}

static void begin(void)
{
	const struct mw_image_options options = {0};
	const char *path = getenv("MW_FUZZ_CORE");

	state.image = path ? mw_image__open_core(path, &options, NULL) : NULL;
	if (!state.image || mw_heaps__open(&state.heaps, state.image, NULL)) {
		fprintf(stderr, "MW_FUZZ_CORE names no core\n");
		abort();
	}
	make_index();
	memcpy(&state.arrays, state.bytes + 12, 4);
}

/* Where array NUMBER begins and how many bytes it has; past the last one the whole file. */
static uint64_t find_array(uint32_t number, uint64_t *offset)
{
	uint64_t count;
	uint32_t size;
	const char *entry = state.bytes + HEAD + (size_t)number * ENTRY;

	*offset = 0;
	if (number >= state.arrays)
		return state.size;
	memcpy(&size, entry + 4, 4);
	memcpy(&count, entry + 8, 8);
	memcpy(offset, entry + 16, 8);
	return count * size;
}

static int see_referrer(void *arg, const struct mw_py_node *from,
			const struct mw_py_referent *referent, const struct mw_graph_root *root)
{
	char text[200];

	if (root)
		mw_graph_root__text(arg, root, text, sizeof(text));
	else if (referent)
		mw_graph__via(arg, from->object, referent, text, sizeof(text));
	return 0;
}

/* With ALL also what takes much longer than the rest. */
static void look_at_graph(struct mw_graph *graph, bool all)
{
	static char text[MW_GRAPH_TEXT_MAX];
	struct mw_graph_type *types;
	struct mw_graph_top *top;
	size_t count;

	look_at_top(graph);
	for (size_t i = 0; i < 2; i++) {
		mw_graph__path(graph, state.addrs[i], text, sizeof(text));
		mw_graph__referrers(graph, state.addrs[i], 100, see_referrer, graph);
		if (mw_graph__parts(graph, state.addrs[i], 0, &top, &count))
			abort();
		free(top);
		if (mw_graph__types(graph, i ? 0 : state.addrs[i], &types, &count))
			abort();
		free(types);
	}
	if (mw_graph__explain(graph, state.addrs, 2))
		abort();
	if (all)
		look_at_leaks(graph, &state.heaps);
}

static void look(struct mw_index *index, bool all)
{
	struct mw_python *py = mw_python__load(state.image, index, NULL);
	struct mw_graph *graph = py ? mw_graph__build(state.image, py, NULL) : NULL;
	struct mw_py_object object;
	struct mw_block batch[256];
	struct mw_py_sums sums;
	struct mw_blocks *blocks;
	size_t n;

	if (graph)
		look_at_graph(graph, all);
	mw_graph__free(graph);
	if (!py)
		return;
	blocks = mw_python__blocks(py);
	while (blocks && (n = blocks->fill(blocks, batch, 256))) {
		for (size_t i = 0; i < n; i++) {
			if (!batch[i].owner)
				abort();
		}
	}
	mw_blocks__close(blocks);
	mw_python__sums(py, &sums);
	for (size_t i = 0; i < 2; i++)
		mw_python__object(py, state.addrs[i], &object);
	mw_python__close(py);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_index *index;
	void *bytes;

	if (!state.image)
		begin();
	if (posix_memalign(&bytes, 64, state.size))
		abort();
	memcpy(bytes, state.bytes, state.size);
	for (size_t i = 0; i + RECORD <= size && i < PATCHES_MAX * RECORD; i += RECORD) {
		uint64_t offset, length = find_array(data[i] % (state.arrays + 1), &offset);
		uint32_t place =
			(uint32_t)data[i + 1] << 16 | (uint32_t)data[i + 2] << 8 | data[i + 3];

		if (length >= 4)
			memcpy((char *)bytes + offset + (length - 4) * place / (1 << 24) / 4 * 4,
			       data + i + 4, 4);
	}
	index = mw_index__of(bytes, state.size, &state.key, false, NULL);
	if (index)
		look(index, size % RECORD == 0);
	mw_index__close(index);
	free(bytes);
	return 0;
}

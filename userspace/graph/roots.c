// SPDX-License-Identifier: GPL-2.0-or-later
/* Where references begin: what a program can reach without going through a block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "util/array.h"

enum {
	RED_ZONE = 128, /* bytes below the stack pointer that a function may use (x86-64 psABI) */
	PIECE = 64 << 10,
	/* Static thread-local storage lies below the thread pointer, glibc's own part above. */
	TLS_BELOW = 256 << 10,
	TLS_ABOVE = 8 << 10,
	STACK_MAX = 64 << 20, /* bytes of a stack that are read */
};

unsigned int mw_graph_level(const struct mw_graph_root *root)
{
	/*
	 * A module's variable is two steps from its module; an attribute of it three or four. The
	 * structures of threads and interpreters have free lists, with what they once kept.
	 */
	static const uint8_t levels[] = {
		[MW_ROOT_MODULE] = 0,
		[MW_ROOT_FRAME] = 4,
		[MW_ROOT_LOCAL] = 5,
		[MW_ROOT_VALUE] = 7,
		[MW_ROOT_STATIC] = 8,
		[MW_ROOT_THREAD] = MW_GRAPH_DOUBTFUL,
		[MW_ROOT_STATE] = MW_GRAPH_DOUBTFUL,
		[MW_ROOT_RUNTIME] = MW_GRAPH_DOUBTFUL + 1,
		[MW_ROOT_STACK] = MW_GRAPH_DOUBTFUL + 2,
		[MW_ROOT_REGISTER] = MW_GRAPH_DOUBTFUL + 2,
		[MW_ROOT_MISSING] = MW_GRAPH_DOUBTFUL + 2,
	};

	return levels[root->kind];
}

int mw_graph_add_root(struct mw_graph *g, enum mw_graph_root_kind kind, uint64_t addr,
		      uint64_t name, uint64_t index)
{
	int64_t number = mw_python__number(g->py, addr);

	if (number < 0)
		return 0;
	if (mw_array_reserve(&g->roots, &g->root_capacity, g->root_count + 1, sizeof(*g->roots)))
		return -ENOMEM;
	g->roots[g->root_count++] = (struct mw_graph_root){
		.name = name, .index = index, .number = (uint32_t)number, .kind = kind};
	return 0;
}

/* ---- Python's ------------------------------------------------------------------------------- */

static int add_module(void *arg, uint64_t name, uint64_t module)
{
	return mw_graph_add_root(arg, MW_ROOT_MODULE, module, name, 0);
}

/* ---- words of memory ------------------------------------------------------------------------ */

/* From START on, where words other than zeros may be. FAILED: what is before START can't be read.
 */
static uint64_t next_words(struct mw_image *image, uint64_t start, uint64_t end, bool failed)
{
	const struct mw_region *r = failed ? NULL : mw_image__find(image, start);

	/* What a core leaves to the file is read from there. */
	return r && r->map.inode ? start : mw_image__next_held(image, start, 8, end);
}

int mw_graph_each_word(struct mw_graph *g, uint64_t start, uint64_t end, mw_graph_word_fn fn,
		       void *arg)
{
	uint64_t *words = malloc(PIECE);
	int ret = words ? 0 : -ENOMEM;
	bool failed = false;

	for (start = (start + 7) & ~7ULL;
	     !ret && start < end && (start = next_words(g->image, start, end, failed)) < end;) {
		uint64_t want = end - start < PIECE ? end - start : PIECE;
		ssize_t n = mw_image__read(g->image, start, words, want);

		for (ssize_t i = 0; i < n / 8 && !ret; i++)
			ret = fn(arg, start + 8 * (uint64_t)i, words[i]);
		failed = n <= 0;
		/* Behind a page that is missing others may be there. */
		start += n > 0 ? (uint64_t)n : 0;
		if (n < (ssize_t)want)
			start = (start | (MW_PAGE_SIZE - 1)) + 1;
	}
	free(words);
	return ret;
}

struct root_words {
	struct mw_graph *graph;
	enum mw_graph_root_kind kind;
	uint64_t index;
};

static int add_word(void *arg, uint64_t at, uint64_t word)
{
	const struct root_words *w = arg;

	return mw_graph_add_root(w->graph, w->kind, word, at, w->index);
}

/* Every word from START to END is taken for a reference. */
static int add_words(struct mw_graph *g, enum mw_graph_root_kind kind, uint64_t start, uint64_t end,
		     uint64_t index)
{
	struct root_words words = {g, kind, index};

	return mw_graph_each_word(g, start, end, add_word, &words);
}

/* ---- frames ---------------------------------------------------------------------------------- */

struct frame {
	struct mw_graph *graph;
	uint64_t code, thread;
};

static int add_of_frame(void *arg, const struct mw_py_referent *r)
{
	const struct frame *f = arg;

	return mw_graph_add_root(f->graph,
				 r->via == MW_PY_VIA_LOCAL ? MW_ROOT_LOCAL : MW_ROOT_VALUE, r->addr,
				 f->code, r->index);
}

/* From 3.14 on the low bits of what is on a stack are marks. */
static int add_slot(void *arg, uint64_t at, uint64_t word)
{
	const struct frame *f = arg;

	return mw_graph_add_root(f->graph, MW_ROOT_STACK, word & ~7ULL, at, f->thread);
}

static int add_frame(void *arg, const struct mw_py_frame_at *at)
{
	struct mw_graph *g = arg;
	struct frame frame = {g, at->code, at->thread};
	uint64_t start, end;
	int ret = at->is_object ? mw_graph_add_root(g, MW_ROOT_FRAME, at->addr, at->code, 0)
				: mw_python__frame_referents(g->py, at->addr, add_of_frame, &frame);

	mw_python__frame_stack(g->py, at, &start, &end);
	return ret ? ret : mw_graph_each_word(g, start, end, add_slot, &frame);
}

/* ---- state ----------------------------------------------------------------------------------- */

static int add_state(void *arg, const struct mw_py_state *state)
{
	return add_words(arg, state->thread ? MW_ROOT_THREAD : MW_ROOT_STATE, state->addr,
			 state->addr + state->size, state->thread);
}

/* The end of a file's data in REGION: of its .bss, when that is what REGION is. */
static uint64_t end_of_data(struct mw_graph *g, size_t region)
{
	const struct mw_region *all = mw_image__regions(g->image)->regions, *r = &all[region];
	const struct mw_region *first = r - 1;
	uint64_t end;

	if (r->map.inode)
		return r->map.end;
	if (!region || !first->map.inode || first->map.end != r->map.start)
		return 0;
	while (first > all && first->map.offset && first[-1].map.inode == r[-1].map.inode)
		first--;
	end = mw_image__elf_end(g->image, first->map.start);
	return end < r->map.end ? end : r->map.end;
}

/* The data of the file that the interpreter is in. */
static bool is_runtime(struct mw_graph *g, const struct mw_region *r)
{
	const char *base;

	if (!r->map.inode && r > mw_image__regions(g->image)->regions)
		r--;
	base = strrchr(r->map.path, '/');
	return base && !strcmp(base + 1, mw_python__info(g->py)->module);
}

static int add_static(struct mw_graph *g)
{
	const struct mw_regions *regions = mw_image__regions(g->image);
	int ret = 0;

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.writable && r->map.readable && !r->map.shared && !r->io)
			ret = add_words(g, is_runtime(g, r) ? MW_ROOT_RUNTIME : MW_ROOT_STATIC,
					r->map.start, end_of_data(g, i), 0);
	}
	return ret;
}

/* The words around AT, at most BELOW and ABOVE bytes of the region that it is in. */
static int add_words_around(struct mw_graph *g, uint64_t at, uint64_t below, uint64_t above,
			    uint64_t thread)
{
	const struct mw_region *r = mw_image__find(g->image, at);

	if (!r || !r->map.writable)
		return 0;
	below = at - r->map.start < below ? at - r->map.start : below;
	above = r->map.end - at < above ? r->map.end - at : above;
	return add_words(g, MW_ROOT_STACK, at - below, at + above, thread);
}

/* A thread's registers, its stack from its pointer on, and its static thread-local storage. */
static int add_thread(struct mw_graph *g, const struct mw_thread *thread)
{
	const struct mw_arch_registers *r = &thread->registers;
	uint64_t tid = (uint64_t)thread->tid;
	int ret = 0;

	for (size_t i = 0; i < r->word_count && !ret; i++)
		ret = mw_graph_add_root(g, MW_ROOT_REGISTER, r->words[i], 0, tid);
	if (!ret)
		ret = add_words_around(g, r->sp, RED_ZONE, STACK_MAX, tid);
	return ret ? ret : add_words_around(g, r->thread_pointer, TLS_BELOW, TLS_ABOVE, tid);
}

static int add_threads(struct mw_graph *g)
{
	size_t count;
	const struct mw_thread *threads = mw_image__threads(g->image, &count);
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		ret = add_thread(g, &threads[i]);
	return ret;
}

int mw_graph_roots(struct mw_graph *g)
{
	int ret = mw_python__each_module(g->py, add_module, g);

	if (!ret)
		ret = mw_python__each_frame(g->py, add_frame, g);
	if (!ret)
		ret = mw_python__each_state(g->py, add_state, g);
	if (!ret)
		ret = add_static(g);
	return ret ? ret : add_threads(g);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/slabs.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/search.h"

struct mw_slab *mw_slabs__add(struct mw_slabs *slabs, const struct mw_slab *slab)
{
	uint64_t bytes = (slabs->state_count + slab->count + 3) / 4;
	struct mw_slab *added;

	if (slabs->count >= MW_SLABS_MAX || slab->count > MW_SLAB_OBJECTS_MAX ||
	    mw_array_reserve(&slabs->list, &slabs->capacity, slabs->count + 1,
			     sizeof(*slabs->list)) ||
	    mw_array_reserve(&slabs->states, &slabs->state_capacity, bytes, 1))
		return NULL;
	added = &slabs->list[slabs->count++];
	*added = *slab;
	added->state = slabs->state_count;
	slabs->state_count += slab->count;
	for (uint32_t i = 0; i < slab->count; i++)
		mw_slabs__set(slabs, added, i, MW_OBJECT_LIVE);
	return added;
}

void mw_slabs__free(struct mw_slabs *slabs)
{
	free(slabs->list);
	free(slabs->states);
	memset(slabs, 0, sizeof(*slabs));
}

static int by_start(const void *a, const void *b)
{
	const struct mw_slab *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->state < y->state ? -1 : x->state > y->state;
}

size_t mw_slabs__sort(struct mw_slabs *slabs)
{
	size_t out = 0, dropped;

	if (slabs->count)
		qsort(slabs->list, slabs->count, sizeof(*slabs->list), by_start);
	for (size_t i = 0; i < slabs->count; i++) {
		if (!out || slabs->list[i].start >= slabs->list[out - 1].end)
			slabs->list[out++] = slabs->list[i];
	}
	dropped = slabs->count - out;
	slabs->count = out;
	return dropped;
}

static bool ends_before(const void *at, const void *key)
{
	return ((const struct mw_slab *)at)->end <= *(const uint64_t *)key;
}

static size_t index_at(const struct mw_slabs *slabs, uint64_t addr)
{
	return mw_search(slabs->list, slabs->count, sizeof(*slabs->list), ends_before, &addr);
}

struct mw_slab *mw_slabs__at(const struct mw_slabs *slabs, uint64_t addr)
{
	size_t i = index_at(slabs, addr);

	return i < slabs->count && slabs->list[i].start <= addr ? &slabs->list[i] : NULL;
}

static uint64_t objects_end(const struct mw_slab *slab)
{
	return slab->first + slab->size * slab->count;
}

const struct mw_slab *mw_slabs__object(const struct mw_slabs *slabs, uint64_t addr, uint32_t *i)
{
	const struct mw_slab *slab = mw_slabs__at(slabs, addr);

	if (!slab || !slab->count || addr < slab->first || addr >= objects_end(slab))
		return NULL;
	*i = (uint32_t)((addr - slab->first) / slab->size);
	return slab;
}

uint32_t mw_slabs__free_list(struct mw_slabs *slabs, const struct mw_slab *slab, uint64_t head,
			     const uint8_t *content)
{
	uint32_t n = 0;

	while (head && n < slab->count) {
		uint64_t offset = head - slab->first, i = offset / slab->size;

		if (head < slab->first || i >= slab->count || offset % slab->size ||
		    mw_slabs__state(slabs, slab, (uint32_t)i) == MW_OBJECT_FREE)
			break;
		mw_slabs__set(slabs, slab, (uint32_t)i, MW_OBJECT_FREE);
		head = mw_u64_at(content + offset);
		n++;
	}
	return n;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static const uint8_t kinds[] = {
	[MW_OBJECT_FREE] = MW_BLOCK_BIN,
	[MW_OBJECT_LIVE] = MW_BLOCK_LIVE,
	[MW_OBJECT_CACHED] = MW_BLOCK_CACHE,
	[MW_OBJECT_OWN] = MW_BLOCK_OVERHEAD,
};

static void set_block(const struct mw_slab_heap *heap, struct mw_block *b, uint64_t start,
		      uint64_t end, uint8_t kind, uint32_t arena)
{
	*b = (struct mw_block){
		.start = start,
		.size = end - start,
		.owner = heap->base.owners[kind],
		.arena = arena,
		.kind = kind,
	};
}

/* The block of SLAB that begins at AT, within it. Free objects side by side are one block. */
static void block_at(const struct mw_slab_heap *heap, const struct mw_slab *slab, uint64_t at,
		     struct mw_block *b)
{
	uint64_t end = objects_end(slab);
	enum mw_object_state state;
	uint32_t i, next;

	if (!slab->count) {
		set_block(heap, b, at, slab->end, slab->kind, slab->arena);
		return;
	}
	if (at < slab->first || at >= end) {
		set_block(heap, b, at, at < slab->first ? slab->first : slab->end,
			  MW_BLOCK_OVERHEAD, slab->arena);
		return;
	}
	i = (uint32_t)((at - slab->first) / slab->size);
	state = mw_slabs__state(&heap->slabs, slab, i);
	next = i + 1;
	while (state == MW_OBJECT_FREE && next < slab->count &&
	       mw_slabs__state(&heap->slabs, slab, next) == state)
		next++;
	set_block(heap, b, at, slab->first + slab->size * next, kinds[state], slab->arena);
	if (state == MW_OBJECT_LIVE && slab->size > heap->header)
		b->header = heap->header;
}

struct walker {
	struct mw_blocks base;
	const struct mw_slab_heap *heap;
	size_t slab;
	uint64_t at; /* within the slab; 0: at its start */
};

static size_t fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct walker *w = (struct walker *)blocks;
	const struct mw_slabs *slabs = &w->heap->slabs;
	size_t n = 0;

	while (n < max && w->slab < slabs->count) {
		const struct mw_slab *slab = &slabs->list[w->slab];

		block_at(w->heap, slab, w->at ? w->at : slab->start, &out[n]);
		w->at = out[n].start + out[n].size;
		n++;
		if (w->at >= slab->end) {
			w->slab++;
			w->at = 0;
		}
	}
	return n;
}

static void close_walker(struct mw_blocks *blocks)
{
	free(blocks);
}

/* ---- measuring ------------------------------------------------------------------------------ */

struct mw_heap_arena *mw_slab_heap__add_arena(struct mw_slab_heap *heap, uint64_t addr)
{
	struct mw_heap_arena *arena;

	if (mw_array_reserve(&heap->arenas, &heap->arena_capacity, heap->arena_count + 1,
			     sizeof(*heap->arenas)))
		return NULL;
	arena = &heap->arenas[heap->arena_count++];
	*arena = (struct mw_heap_arena){.addr = addr, .kind = MW_ARENA_SHARED};
	return arena;
}

void mw_slab_heap__sort(struct mw_slab_heap *heap, const char *what)
{
	size_t dropped = mw_slabs__sort(&heap->slabs);

	if (!dropped)
		return;
	if (mw_image__is_still(heap->base.image))
		mw_problems__add(&heap->base.problems, heap->slabs.list[0].start, what);
	else
		heap->base.problems.changed += dropped;
}

static void add(struct mw_heap_sum *sum, uint64_t count, uint64_t bytes)
{
	sum->count += count;
	sum->bytes += bytes;
}

static void add_slab(struct mw_slab_heap *heap, const struct mw_slab *slab)
{
	struct mw_heap_arena *a = &heap->arenas[slab->arena];
	uint64_t size = slab->end - slab->start, counts[4] = {0};

	a->system_bytes += size;
	a->heaps++;
	if (!slab->count) {
		add(&a->sums[slab->kind], 1, size);
		return;
	}
	for (uint32_t i = 0; i < slab->count; i++)
		counts[mw_slabs__state(&heap->slabs, slab, i)]++;
	for (unsigned int s = 0; s < 4; s++)
		add(&a->sums[kinds[s]], counts[s], counts[s] * slab->size);
	add(&a->sums[MW_BLOCK_OVERHEAD], 0, size - slab->size * slab->count);
}

static int measure(struct mw_slab_heap *heap)
{
	int ret = heap->measured ? 0 : heap->read(heap);

	if (ret || heap->measured)
		return ret;
	for (size_t i = 0; i < heap->slabs.count; i++) {
		if (heap->slabs.list[i].arena < heap->arena_count)
			add_slab(heap, &heap->slabs.list[i]);
	}
	for (size_t i = 0; i < heap->arena_count; i++) {
		struct mw_heap_arena *a = &heap->arenas[i];

		for (enum mw_block_kind kind = 0; kind < MW_BLOCK_KINDS; kind++) {
			const struct mw_block block = {.kind = (uint8_t)kind};

			if (mw_block_state(&block) == MW_STATE_LIVE || kind == MW_BLOCK_CACHE)
				a->in_use_bytes += a->sums[kind].bytes;
			else if (mw_block_state(&block) == MW_STATE_FREE)
				a->free_bytes += a->sums[kind].bytes;
		}
	}
	heap->measured = true;
	return 0;
}

/* ---- the interface -------------------------------------------------------------------------- */

int mw_slab_heap__info(struct mw_heap *base, enum mw_heap_detail detail, struct mw_heap_info *info)
{
	struct mw_slab_heap *heap = (struct mw_slab_heap *)base;
	int ret = detail >= MW_HEAP_SUMS ? measure(heap) : 0;

	info->version = heap->version;
	info->arenas = heap->arenas;
	info->arena_count = heap->arena_count;
	info->caches = heap->caches;
	info->no_settings = "they are not read of this allocator";
	return ret;
}

struct mw_blocks *mw_slab_heap__blocks(struct mw_heap *base)
{
	struct mw_slab_heap *heap = (struct mw_slab_heap *)base;
	struct walker *w = measure(heap) ? NULL : calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->base = (struct mw_blocks){fill, close_walker};
	w->heap = heap;
	return &w->base;
}

int mw_slab_heap__find(struct mw_heap *base, const uint64_t *addrs, struct mw_block *blocks,
		       size_t count)
{
	struct mw_slab_heap *heap = (struct mw_slab_heap *)base;
	int ret = measure(heap);

	for (size_t i = 0; !ret && i < count; i++) {
		const struct mw_slab *slab = mw_slabs__at(&heap->slabs, addrs[i]);
		uint64_t at;

		if (!slab)
			continue;
		at = slab->start;
		if (slab->count && addrs[i] >= objects_end(slab))
			at = objects_end(slab);
		else if (slab->count && addrs[i] >= slab->first)
			at = addrs[i] - (addrs[i] - slab->first) % slab->size;
		block_at(heap, slab, at, &blocks[i]);
	}
	return ret;
}

bool mw_slab_heap__span(const struct mw_heap *base, uint64_t addr, uint64_t *start, uint64_t *end)
{
	const struct mw_slab_heap *heap = (const struct mw_slab_heap *)base;
	const struct mw_slab *slab = mw_slabs__at(&heap->slabs, addr);

	if (!slab || slab->count < 2)
		return false;
	*start = slab->start;
	*end = slab->end;
	return true;
}

void mw_slab_heap__free(struct mw_slab_heap *heap)
{
	mw_slabs__free(&heap->slabs);
	free(heap->arenas);
}

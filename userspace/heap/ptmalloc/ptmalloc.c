// SPDX-License-Identifier: GPL-2.0-or-later
/* glibc's heap as heap.h has it: opening finds it, the first walk measures it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "util/array.h"
#include "util/search.h"

enum { BATCH = 512, RUNS_MAX = 1 << 24 };

int mw_ptmalloc__add_run(struct mw_ptmalloc *pt, const struct mw_run *run)
{
	int ret;

	if (run->start >= run->end || run->first >= run->end)
		return 0;
	if (pt->run_count >= RUNS_MAX)
		return -E2BIG;
	ret = mw_array_reserve(&pt->runs, &pt->run_capacity, pt->run_count + 1, sizeof(*pt->runs));
	if (ret)
		return ret;
	pt->runs[pt->run_count] = *run;
	pt->runs[pt->run_count++].limit = run->end;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct mw_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* In address order and apart from each other; of two that overlap the first one counts. */
static void sort_runs(struct mw_ptmalloc *pt, struct mw_doubts *doubts)
{
	size_t out = 0;

	if (pt->run_count)
		qsort(pt->runs, pt->run_count, sizeof(*pt->runs), by_start);
	for (size_t i = 0; i < pt->run_count; i++) {
		if (out && pt->runs[i].start < pt->runs[out - 1].end) {
			mw_doubts__add(doubts, pt->runs[i].start, "memory claimed by two arenas",
				       mw_seen(pt->runs[out - 1].start, pt->runs[out - 1].end));
			continue;
		}
		pt->runs[out++] = pt->runs[i];
	}
	pt->run_count = out;
}

static bool run_ends_before(const void *at, const void *key)
{
	return ((const struct mw_run *)at)->end <= *(const uint64_t *)key;
}

const struct mw_run *mw_ptmalloc__run_at(const struct mw_ptmalloc *pt, uint64_t addr)
{
	size_t i = mw_search(pt->runs, pt->run_count, sizeof(*pt->runs), run_ends_before, &addr);

	return i < pt->run_count && pt->runs[i].start <= addr ? &pt->runs[i] : NULL;
}

static bool is_below(const void *at, const void *key)
{
	return *(const uint64_t *)at < *(const uint64_t *)key;
}

size_t mw_ptmalloc__cached_from(const struct mw_ptmalloc *pt, uint64_t addr)
{
	return mw_search(pt->cached, pt->cached_count, sizeof(*pt->cached), is_below, &addr);
}

void mw_ptmalloc__set_block(const struct mw_ptmalloc *pt, struct mw_block *b,
			    enum mw_block_kind kind, uint64_t start, uint64_t size, uint32_t arena)
{
	bool live = kind == MW_BLOCK_LIVE || kind == MW_BLOCK_MMAPPED;

	*b = (struct mw_block){
		.start = start,
		.size = size,
		.owner = pt->base.owners[kind],
		.arena = arena,
		.header = live ? CHUNK_HEADER : 0,
		.kind = (uint8_t)kind,
		.lent = kind == MW_BLOCK_LIVE ? CHUNK_LENT : 0,
	};
}

/* ---- measuring ------------------------------------------------------------------------------ */

static void add(struct mw_heap_sum *sum, uint64_t bytes)
{
	sum->count++;
	sum->bytes += bytes;
}

/*
 * The first walk: sums into the arenas, all bytes of each into WALKED, candidates for tcaches, and
 * the blocks that PICKER wants.
 */
static int walk_once(struct mw_ptmalloc *pt, uint64_t *walked, struct mw_block_picker *picker)
{
	struct mw_blocks *blocks = mw_ptmalloc__walk(pt, 0, pt->run_count, true);
	struct mw_block batch[BATCH];
	size_t n;

	if (!blocks)
		return -ENOMEM;
	while ((n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n; i++) {
			const struct mw_block *b = &batch[i];

			mw_block_picker__see(picker, b);
			if (b->arena >= pt->arena_count)
				continue;
			walked[b->arena] += b->size;
			/* Of the top the arena itself says how large it is. */
			if (b->kind != MW_BLOCK_TOP)
				add(&pt->arenas[b->arena].sums[b->kind], b->size);
		}
	}
	mw_blocks__close(blocks);
	return 0;
}

static struct mw_heap_arena *arena_at(struct mw_ptmalloc *pt, uint64_t addr)
{
	const struct mw_run *s = mw_ptmalloc__run_at(pt, addr);

	return s && s->arena < pt->arena_count ? &pt->arenas[s->arena] : NULL;
}

/* Cached chunks were counted as live: move them to where they belong. */
static void settle(struct mw_ptmalloc *pt)
{
	for (size_t i = 0; i < pt->cached_count; i++) {
		uint64_t chunk = pt->cached[i] & ~(uint64_t)CACHED_MASK, head[2];
		enum mw_block_kind kind = pt->cached[i] & CACHED_MASK;
		struct mw_heap_arena *arena = arena_at(pt, chunk);
		struct mw_heap_sum *live;

		if (!arena || !mw_image__read_all(pt->base.image, chunk, head, sizeof(head)))
			continue;
		head[1] &= ~(uint64_t)CHUNK_FLAGS;
		live = &arena->sums[MW_BLOCK_LIVE];
		if (!live->count || live->bytes < head[1])
			continue;
		live->count--;
		live->bytes -= head[1];
		/* Those of fastbins were summed when their lists were read. */
		if (kind != MW_BLOCK_FASTBIN)
			add(&arena->sums[kind], head[1]);
	}
	for (size_t i = 0; pt->arenas && i < pt->arena_count; i++) {
		struct mw_heap_arena *a = &pt->arenas[i];

		/* mallinfo2's fordblks and uordblks */
		a->free_bytes = a->sums[MW_BLOCK_FASTBIN].bytes + a->sums[MW_BLOCK_BIN].bytes +
				a->sums[MW_BLOCK_TOP].bytes;
		a->in_use_bytes =
			a->system_bytes > a->free_bytes ? a->system_bytes - a->free_bytes : 0;
	}
}

/*
 * Compare with the arena's own sums. WALKED is a sum over runs that were found with the arena: as
 * long as the arena has not changed since, they must agree.
 */
static void check_arena(struct mw_ptmalloc *pt, uint32_t i, uint64_t walked)
{
	struct mw_heap_arena *a = &pt->arenas[i];
	struct mw_doubts doubts;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		/* sysmalloc() counts what others got from sbrk between as its own, mmap's not. */
		if (walked == a->system_bytes ||
		    walked - a->sums[MW_BLOCK_UNKNOWN].bytes == a->system_bytes)
			continue;
		if (!mw_image__is_still(pt->base.image))
			mw_ptmalloc__refresh_arena(pt, i);
		if (a->changed)
			mw_doubts__add_race(&doubts);
		else
			mw_doubts__add(&doubts, a->addr, "arena's chunks do not add up to its size",
				       mw_seen(walked, a->system_bytes));
	} while (mw_doubts__again(&doubts));
}

/* Have chunks been mapped or unmapped since they were found? */
static bool mmapped_changed(struct mw_ptmalloc *pt)
{
	struct mw_glibc_settings now = pt->settings;

	return !mw_image__is_still(pt->base.image) &&
	       (mw_glibc_settings__refresh(&now, pt->base.image) ||
		now.n_mmaps != pt->settings.n_mmaps ||
		now.mmapped_bytes != pt->settings.mmapped_bytes ||
		mw_image__has_remapped(pt->base.image));
}

static void check_mmapped(struct mw_ptmalloc *pt)
{
	struct mw_doubts doubts;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		if (!pt->settings.mp_addr || mw_ptmalloc__mmapped_agrees(pt))
			continue;
		if (mmapped_changed(pt))
			mw_doubts__add_race(&doubts);
		else
			mw_doubts__add(&doubts, pt->settings.mp_addr,
				       "mmapped chunks found differ from glibc's own count",
				       pt->mmapped.bytes);
	} while (mw_doubts__again(&doubts));
}

/* One walk over the heap, which also finds the blocks that PICKER wants. Done once. */
static int measure(struct mw_ptmalloc *pt, struct mw_block_picker *picker)
{
	uint64_t *walked = calloc(pt->arena_count + 1, sizeof(*walked));
	int ret = walked ? walk_once(pt, walked, picker) : -ENOMEM;

	if (!ret)
		ret = mw_ptmalloc__read_caches(pt);
	if (!ret) {
		settle(pt);
		for (size_t i = 0; i < pt->arena_count; i++)
			check_arena(pt, (uint32_t)i, walked[i]);
		check_mmapped(pt);
		pt->measured = true;
	}
	free(walked);
	return ret;
}

static int be_measured(struct mw_ptmalloc *pt)
{
	struct mw_block_picker nothing = {0};

	return pt->measured ? 0 : measure(pt, &nothing);
}

/* ---- the interface -------------------------------------------------------------------------- */

static void ptmalloc_close(struct mw_heap *heap)
{
	struct mw_ptmalloc *pt = (struct mw_ptmalloc *)heap;

	free(pt->bins);
	free(pt->arenas);
	free(pt->runs);
	free(pt->cached);
	free(pt->tcache_chunks);
	free(pt->marks);
	free(pt->heads);
	free(pt);
}

int mw_ptmalloc__find_runs(struct mw_ptmalloc *pt, bool mmapped)
{
	struct mw_doubts doubts;
	int ret;

	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	do {
		pt->arena_count = pt->run_count = 0;
		ret = pt->lost ? mw_ptmalloc__read_lost(pt) : mw_ptmalloc__read_arenas(pt);
		if (!ret)
			sort_runs(pt, &doubts);
	} while (!ret && mw_doubts__again(&doubts));
	if (ret || !mmapped)
		return ret;
	ret = mw_ptmalloc__find_mmapped(pt);
	/* They were looked for between the others, so that none can overlap. */
	mw_doubts__begin(&doubts, pt->base.image, &pt->base.problems);
	sort_runs(pt, &doubts);
	mw_doubts__dismiss(&doubts);
	return ret;
}

static struct mw_heap *ptmalloc_open(struct mw_image *image, struct mw_err *err)
{
	struct mw_ptmalloc *pt = calloc(1, sizeof(*pt));
	int ret;

	if (!pt) {
		mw_err_no_memory(err, NULL);
		errno = ENOMEM;
		return NULL;
	}
	mw_heap__init(&pt->base, &mw_ptmalloc_ops, image);
	ret = mw_ptmalloc__find(pt, err);
	pt->lost = ret == -ENOENT && mw_image__is_cut(image);
	if (ret && !pt->lost)
		goto cleanup;
	ret = mw_ptmalloc__find_runs(pt, true);
	if (ret == -ENOENT) /* ERR says it */
		goto cleanup;
	if (ret) {
		mw_err_set(err, ret, "no-memory", NULL, "heap can't be walked: %s", strerror(-ret));
		goto cleanup;
	}
	return &pt->base;

cleanup:
	ptmalloc_close(&pt->base);
	errno = -ret;
	return NULL;
}

static void list_settings(struct mw_ptmalloc *pt, struct mw_heap_info *info)
{
	const struct mw_glibc_settings *s = &pt->settings;
	const struct mw_heap_setting all[SETTINGS] = {
		{"mmap_threshold", "mmap threshold", s->dynamic ? " (moves by itself)" : " (fixed)",
		 MW_SETTING_BYTES, s->mmap_threshold},
		{"trim_threshold", "trim threshold", "", MW_SETTING_BYTES, s->trim_threshold},
		{"top_pad", "top pad", "", MW_SETTING_BYTES, s->top_pad},
		{"dynamic", NULL, "", MW_SETTING_FLAG, s->dynamic},
		{"mmap_max", "mmapped at most", " chunks", MW_SETTING_COUNT, s->n_mmaps_max},
		{"arena_max", NULL, "", MW_SETTING_COUNT, s->arena_max},
		{"arena_test", NULL, "", MW_SETTING_COUNT, s->arena_test},
	};

	if (!s->mp_addr) {
		info->no_settings = "mp_ was not found";
		return;
	}
	memcpy(pt->shown, all, sizeof(all));
	info->settings = pt->shown;
	info->setting_count = SETTINGS;
}

static int ptmalloc_info(struct mw_heap *heap, enum mw_heap_detail detail,
			 struct mw_heap_info *info)
{
	struct mw_ptmalloc *pt = (struct mw_ptmalloc *)heap;
	int ret = detail >= MW_HEAP_SUMS ? be_measured(pt) : 0;

	if (!ret && detail >= MW_HEAP_LISTS)
		ret = mw_ptmalloc__read_bins(pt);
	info->version = pt->version;
	info->arenas = pt->arenas;
	info->arena_count = pt->arena_count;
	info->mmapped = pt->mmapped;
	info->caches = pt->tcaches;
	info->bins = pt->bins;
	info->bin_count = pt->bin_count;
	list_settings(pt, info);
	return ret;
}

static struct mw_blocks *ptmalloc_blocks(struct mw_heap *heap)
{
	struct mw_ptmalloc *pt = (struct mw_ptmalloc *)heap;

	return be_measured(pt) ? NULL : mw_ptmalloc__walk(pt, 0, pt->run_count, false);
}

/* The blocks that are wanted, from those runs alone that have any. */
static int walk_runs_of(struct mw_ptmalloc *pt, struct mw_block_picker *picker)
{
	while (picker->next < picker->count) {
		const struct mw_run *s = mw_ptmalloc__run_at(pt, picker->addrs[picker->next]);
		struct mw_block batch[BATCH];
		struct mw_blocks *blocks;
		size_t n;

		if (!s) {
			picker->next++;
			continue;
		}
		blocks = mw_ptmalloc__walk(pt, (size_t)(s - pt->runs), 1, false);
		if (!blocks)
			return -ENOMEM;
		while (picker->next < picker->count && picker->addrs[picker->next] < s->end &&
		       (n = blocks->fill(blocks, batch, BATCH))) {
			for (size_t i = 0; i < n; i++)
				mw_block_picker__see(picker, &batch[i]);
		}
		mw_blocks__close(blocks);
		while (picker->next < picker->count && picker->addrs[picker->next] < s->end)
			picker->next++;
	}
	return 0;
}

static int ptmalloc_find(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
			 size_t count)
{
	struct mw_ptmalloc *pt = (struct mw_ptmalloc *)heap;
	struct mw_block_picker picker = {addrs, blocks, count, 0};
	int ret;

	if (pt->measured)
		return walk_runs_of(pt, &picker);
	ret = measure(pt, &picker);
	if (ret)
		return ret;
	/* That walk did not know yet what is in caches. */
	for (size_t i = 0; i < count; i++) {
		struct mw_block *b = &blocks[i];
		size_t k = mw_ptmalloc__cached_from(pt, b->start);

		if (b->size && b->kind == MW_BLOCK_LIVE && k < pt->cached_count &&
		    (pt->cached[k] & ~(uint64_t)CACHED_MASK) == b->start)
			mw_ptmalloc__set_block(pt, b, pt->cached[k] & CACHED_MASK, b->start,
					       b->size, b->arena);
	}
	return 0;
}

/*
 * mtrim() and systrim() of malloc/malloc.c: of a chunk in a bin the whole pages behind its links,
 * of the main arena's top all but the smallest chunk. Tops of thread arenas stay.
 */
static bool ptmalloc_trims(const struct mw_heap *heap, const struct mw_block *block,
			   uint64_t *start, uint64_t *end)
{
	enum { LINKS = 48 };
	const struct mw_ptmalloc *pt = (const struct mw_ptmalloc *)heap;
	bool top = block->kind == MW_BLOCK_TOP;

	if (!top && block->kind != MW_BLOCK_BIN)
		return false;
	if (top &&
	    (block->arena >= pt->arena_count || pt->arenas[block->arena].kind != MW_ARENA_MAIN))
		return false;
	*start = block->start + (top ? CHUNK_MIN + 1 : LINKS);
	*start = (*start + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	*end = (block->start + block->size) & ~(uint64_t)(PAGE_BYTES - 1);
	return *start < *end;
}

const struct mw_heap_ops mw_ptmalloc_ops = {
	.name = "glibc",
	.kinds = 1 << MW_BLOCK_LIVE | 1 << MW_BLOCK_MMAPPED | 1 << MW_BLOCK_TCACHE |
		 1 << MW_BLOCK_FASTBIN | 1 << MW_BLOCK_BIN | 1 << MW_BLOCK_TOP |
		 1 << MW_BLOCK_OVERHEAD | 1 << MW_BLOCK_RESERVE | 1 << MW_BLOCK_UNKNOWN,
	.open = ptmalloc_open,
	.close = ptmalloc_close,
	.info = ptmalloc_info,
	.blocks = ptmalloc_blocks,
	.find = ptmalloc_find,
	.trims = ptmalloc_trims,
	.look = mw_ptmalloc__look,
};

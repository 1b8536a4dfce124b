// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc_impl.h"
#include "util/array.h"

enum { BATCH = 512, RUNS_MAX = 1 << 24 };

void mw_ptmalloc__problem(struct mw_ptmalloc *pt, uint64_t addr, const char *what)
{
	/* The second walk finds what the first one found already. */
	if (pt->info.arenas && !pt->reading_bins)
		return;
	if (pt->info.problem_count < MW_PTMALLOC_PROBLEMS)
		pt->problems[pt->info.problem_count++] = (struct mw_ptmalloc_problem){addr, what};
	pt->info.problem_total++;
}

void mw_ptmalloc__evidence(struct mw_ptmalloc *pt, const char *what)
{
	for (size_t i = 0; i + 1 < MW_PTMALLOC_EVIDENCE; i++) {
		if (!pt->info.evidence[i]) {
			pt->info.evidence[i] = what;
			return;
		}
	}
}

int mw_ptmalloc__add_run(struct mw_ptmalloc *pt, const struct mw_run *run)
{
	int ret;

	if (run->start >= run->end || run->first >= run->end)
		return 0;
	if (pt->run_count >= RUNS_MAX)
		return -E2BIG;
	ret = mw_array_reserve(&pt->runs, &pt->run_capacity, pt->run_count + 1, sizeof(*pt->runs));
	if (!ret)
		pt->runs[pt->run_count++] = *run;
	return ret;
}

static int by_start(const void *a, const void *b)
{
	const struct mw_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* In address order and apart from each other; of two that overlap the first one counts. */
static void sort_runs(struct mw_ptmalloc *pt)
{
	size_t out = 0;

	if (pt->run_count)
		qsort(pt->runs, pt->run_count, sizeof(*pt->runs), by_start);
	for (size_t i = 0; i < pt->run_count; i++) {
		if (out && pt->runs[i].start < pt->runs[out - 1].end) {
			mw_ptmalloc__problem(pt, pt->runs[i].start, "memory claimed by two arenas");
			continue;
		}
		pt->runs[out++] = pt->runs[i];
	}
	pt->run_count = out;
}

static void add(struct mw_ptmalloc_cell *cell, uint64_t bytes)
{
	cell->count++;
	cell->bytes += bytes;
}

static void tally(struct mw_ptmalloc_arena *arena, const struct mw_block *b)
{
	arena->walked_bytes += b->size;
	if (b->state == MW_BLOCK_LIVE)
		add(&arena->live, b->size);
	else if (!strcmp(b->owner, "glibc/free/bin"))
		add(&arena->bin, b->size);
	else if (!strcmp(b->owner, "glibc/overhead"))
		arena->overhead_bytes += b->size;
	else if (!strcmp(b->owner, "anon/unknown"))
		arena->gap_bytes += b->size;
}

/* The first walk: sums, and the chunks that hold tcache structs. */
static int measure(struct mw_ptmalloc *pt)
{
	struct mw_blocks *blocks = mw_ptmalloc__blocks(pt);
	struct mw_block batch[BATCH];
	size_t n;

	if (!blocks)
		return -ENOMEM;
	pt->prepass = true;
	while ((n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n; i++) {
			if (batch[i].arena < pt->arena_count)
				tally(&pt->arenas[batch[i].arena], &batch[i]);
		}
	}
	mw_blocks__close(blocks);
	pt->prepass = false;
	return 0;
}

const struct mw_run *mw_ptmalloc__run_at(const struct mw_ptmalloc *pt, uint64_t addr)
{
	size_t low = 0, high = pt->run_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pt->runs[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < pt->run_count && pt->runs[low].start <= addr ? &pt->runs[low] : NULL;
}

static struct mw_ptmalloc_arena *arena_at(struct mw_ptmalloc *pt, uint64_t addr)
{
	const struct mw_run *s = mw_ptmalloc__run_at(pt, addr);

	return s && s->arena < pt->arena_count ? &pt->arenas[s->arena] : NULL;
}

/* Cached chunks were counted as live: move them to where they belong. */
static void settle(struct mw_ptmalloc *pt)
{
	size_t out = 0;

	if (pt->cached_count)
		qsort(pt->cached, pt->cached_count, sizeof(*pt->cached), by_value);
	for (size_t i = 0; i < pt->cached_count; i++) {
		uint64_t chunk = pt->cached[i] & ~(uint64_t)CACHED_MASK, head[2];
		struct mw_ptmalloc_arena *arena = arena_at(pt, chunk);
		unsigned int kind = pt->cached[i] & CACHED_MASK;

		if (out && (pt->cached[out - 1] & ~(uint64_t)CACHED_MASK) == chunk) {
			mw_ptmalloc__problem(pt, chunk, "chunk is in two caches: freed twice");
			continue;
		}
		pt->cached[out++] = pt->cached[i];
		if (!arena || !mw_image__read_all(pt->image, chunk, head, sizeof(head)))
			continue;
		head[1] &= ~(uint64_t)CHUNK_FLAGS;
		if (arena->live.bytes < head[1])
			continue;
		arena->live.count--;
		arena->live.bytes -= head[1];
		if (kind == CACHED_TCACHE)
			add(&arena->tcache, head[1]);
		else if (kind == CACHED_STRUCT)
			arena->overhead_bytes += head[1];
	}
	pt->cached_count = out;
	for (size_t i = 0; pt->arenas && i < pt->arena_count; i++) {
		struct mw_ptmalloc_arena *a = &pt->arenas[i];

		a->free_bytes = a->fastbin.bytes + a->bin.bytes + a->top_bytes;
		a->in_use_bytes =
			a->system_bytes > a->free_bytes ? a->system_bytes - a->free_bytes : 0;
	}
}

static void check_sums(struct mw_ptmalloc *pt)
{
	const struct mw_ptmalloc_settings *s = &pt->info.settings;

	for (size_t i = 0; i < pt->arena_count; i++) {
		uint64_t walked = pt->arenas[i].walked_bytes;

		/* sysmalloc() counts what others got from sbrk between as its own, mmap's not. */
		if (walked != pt->arenas[i].system_bytes &&
		    walked - pt->arenas[i].gap_bytes != pt->arenas[i].system_bytes)
			mw_ptmalloc__problem(pt, pt->arenas[i].addr,
					     "arena's chunks do not add up to its size");
	}
	if (s->addr && !mw_ptmalloc__mmapped_agrees(pt))
		mw_ptmalloc__problem(pt, s->addr,
				     "mmapped chunks found differ from glibc's own count");
}

struct mw_ptmalloc *mw_ptmalloc__open(struct mw_image *image, struct mw_err *err)
{
	struct mw_ptmalloc *pt = calloc(1, sizeof(*pt));
	int ret;

	if (!pt) {
		mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	pt->image = image;
	ret = mw_ptmalloc__find(pt, err);
	if (ret)
		goto cleanup;
	ret = mw_ptmalloc__read_arenas(pt);
	if (!ret) {
		sort_runs(pt);
		ret = mw_ptmalloc__find_mmapped(pt);
	}
	if (!ret) {
		sort_runs(pt);
		ret = measure(pt);
	}
	if (!ret)
		ret = mw_ptmalloc__read_tcaches(pt);
	if (ret) {
		mw_err_set(err, ret, "no-memory", NULL, "heap can't be walked: %s", strerror(-ret));
		goto cleanup;
	}
	settle(pt);
	check_sums(pt);
	pt->info.arenas = pt->arenas;
	pt->info.arena_count = pt->arena_count;
	pt->info.problems = pt->problems;
	return pt;

cleanup:
	mw_ptmalloc__close(pt);
	errno = -ret;
	return NULL;
}

void mw_ptmalloc__close(struct mw_ptmalloc *pt)
{
	if (!pt)
		return;
	free(pt->bins);
	free(pt->arenas);
	free(pt->runs);
	free(pt->cached);
	free(pt->tcache_chunks);
	free(pt);
}

const struct mw_ptmalloc_info *mw_ptmalloc__info(const struct mw_ptmalloc *pt)
{
	return &pt->info;
}

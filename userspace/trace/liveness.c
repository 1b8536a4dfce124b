// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "arch/arch.h"
#include "heap/ptmalloc.h"
#include "image/image.h"
#include "trace/liveness.h"

enum {
	BATCH = 512,
	/* How much larger than asked for the program's part of a chunk may be; a mapping of its
	   own: by a page. */
	SLACK = 64,
	SLACK_MMAPPED = MW_PAGE_SIZE + 64,
};

struct mw_liveness {
	struct mw_liveness_query *list;
	size_t count;
	double seconds;
	pthread_t thread;
	atomic_bool stop, known;
};

/*
 * Of NEXT on, those that lie in or before BLOCK: their liveness is known now. Returns the first
 * behind it.
 */
static struct mw_liveness_query *judge(struct mw_liveness_query *next,
				       const struct mw_liveness_query *end,
				       const struct mw_block *block)
{
	/* A chunk lends the next one's first word to its program. */
	uint64_t start = block->start + block->header, room = block->size - block->header + 8;

	/* Before it: in a place that the walk left out, of which nothing is known. */
	while (next < end && next->addr < block->start)
		next++;
	for (; next < end && next->addr - block->start < block->size; next++) {
		bool mmapped = block->arena == MW_BLOCK_NO_ARENA;

		next->gone = block->state != MW_BLOCK_LIVE || next->addr != start ||
			     room < next->size ||
			     room - next->size > (mmapped ? SLACK_MMAPPED : SLACK);
		next->there = !next->gone;
	}
	return next;
}

/*
 * Those of which no block tells: a mapping of its own was unmapped, or the walk has left out a
 * place.
 */
static void judge_unmapped(struct mw_image *image, struct mw_liveness_query *liveness)
{
	char byte;

	if (!liveness->gone && !liveness->there)
		liveness->gone = mw_image__read(image, liveness->addr, &byte, 1) == 0;
}

static void look_at(struct mw_liveness *f, struct mw_liveness_query *first,
		    const struct mw_liveness_query *end)
{
	struct mw_liveness_query *next = first;
	struct mw_image *image = mw_image__open_process(first->pid, 0, NULL);
	struct mw_ptmalloc *pt = NULL;
	struct mw_blocks *blocks;
	struct mw_block *batch;
	size_t n;

	if (image) {
		mw_image__stop_with(image, &f->stop);
		pt = mw_ptmalloc__open(image, NULL);
	}
	blocks = pt ? mw_ptmalloc__blocks(pt) : NULL;
	batch = blocks ? calloc(BATCH, sizeof(*batch)) : NULL;
	while (batch && next < end && !f->stop && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n; i++)
			next = judge(next, end, &batch[i]);
	}
	for (next = first; batch && next < end && !f->stop; next++)
		judge_unmapped(image, next);
	free(batch);
	mw_blocks__close(blocks);
	mw_ptmalloc__close(pt);
	mw_image__close(image);
}

static void *look(void *arg)
{
	struct mw_liveness *f = arg;
	struct timespec used;

	for (size_t i = 0, end; i < f->count && !f->stop; i = end) {
		for (end = i; end < f->count && f->list[end].pid == f->list[i].pid; end++)
			;
		look_at(f, &f->list[i], &f->list[end]);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	f->seconds = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
	f->known = true;
	return NULL;
}

struct mw_liveness *mw_liveness__begin(struct mw_liveness_query *list, size_t count)
{
	struct mw_liveness *f = calloc(1, sizeof(*f));

	if (!f) {
		free(list);
		return NULL;
	}
	f->list = list;
	f->count = count;
	if (!pthread_create(&f->thread, NULL, look, f))
		return f;
	free(list);
	free(f);
	return NULL;
}

bool mw_liveness__are_known(struct mw_liveness *f)
{
	return f->known;
}

const struct mw_liveness_query *mw_liveness__list(const struct mw_liveness *f, size_t *count,
						  double *seconds)
{
	*count = f->count;
	*seconds = f->seconds;
	return f->list;
}

void mw_liveness__end(struct mw_liveness *f)
{
	if (!f)
		return;
	f->stop = true;
	pthread_join(f->thread, NULL);
	free(f->list);
	free(f);
}

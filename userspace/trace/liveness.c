// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "arch/arch.h"
#include "heap/heap.h"
#include "image/image.h"
#include "trace/block_print.h"
#include "trace/liveness.h"
#include "util/cleanup.h"

enum {
	/* How much larger than asked for the program's part of a chunk may be; of a mapping: by a
	   page. */
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

/* BLOCK holds QUERY's address; size 0: no heap has one there. */
static void judge(struct mw_liveness_query *query, const struct mw_block *block)
{
	uint64_t room = mw_block_usable(block);
	bool alive;

	/* Not there, or in a part that could not be read (swap, a race): nothing is known. */
	if (!block->size || block->kind == MW_BLOCK_UNKNOWN)
		return;
	alive = mw_block_state(block) == MW_STATE_LIVE &&
		query->addr == block->start + block->header && room >= query->size &&
		room - query->size <= (block->kind == MW_BLOCK_MMAPPED ? SLACK_MMAPPED : SLACK);
	query->state = alive ? MW_LIVENESS_ALIVE : MW_LIVENESS_FREED;
}

/* QUERY is in no block: its mapping was unmapped, or the walk has left that memory out. */
static void judge_unmapped(struct mw_image *image, struct mw_liveness_query *query)
{
	char byte;

	if (query->state == MW_LIVENESS_UNKNOWN && !mw_image__read(image, query->addr, &byte, 1))
		query->state = MW_LIVENESS_FREED;
}

/* COUNT queries of one process, by its heaps. Out of memory they stay unknown. */
static void judge_process(struct mw_liveness *f, struct mw_liveness_query *queries, size_t count,
			  struct mw_image *image, const struct mw_heaps *heaps)
{
	_cleanup_free_ uint64_t *addrs = calloc(count, sizeof(*addrs));
	_cleanup_free_ struct mw_block *blocks = calloc(count, sizeof(*blocks));
	int ret = addrs && blocks ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < count; i++)
		addrs[i] = queries[i].addr;
	for (size_t h = 0; !ret && h < heaps->count; h++) {
		ret = mw_heap__find(heaps->list[h], addrs, blocks, count);
		for (size_t i = 0; !ret && !f->stop && i < count; i++)
			judge(&queries[i], &blocks[i]);
	}
	for (size_t i = 0; !ret && i < count && heaps->count && !f->stop; i++) {
		judge_unmapped(image, &queries[i]);
		if (queries[i].state == MW_LIVENESS_ALIVE && queries[i].wants_print)
			queries[i].print = mw_block_print(image, queries[i].addr, queries[i].size);
	}
}

static void walk_heap(struct mw_liveness *f, struct mw_liveness_query *first,
		      const struct mw_liveness_query *end)
{
	struct mw_image *image = mw_image__open_process(first->pid, 0, NULL);
	struct mw_heaps heaps;

	if (!image)
		return;
	mw_image__stop_with(image, &f->stop);
	if (!mw_heaps__open(&heaps, image, NULL)) {
		judge_process(f, first, (size_t)(end - first), image, &heaps);
		mw_heaps__close(&heaps);
	}
	mw_image__close(image);
}

static void *walk_heaps(void *arg)
{
	struct mw_liveness *f = arg;
	struct timespec used;

	for (size_t i = 0, end; i < f->count && !f->stop; i = end) {
		for (end = i; end < f->count && f->list[end].pid == f->list[i].pid; end++)
			;
		walk_heap(f, &f->list[i], &f->list[end]);
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
	if (!pthread_create(&f->thread, NULL, walk_heaps, f))
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

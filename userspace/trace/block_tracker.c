// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <stdlib.h>

#include "trace/block_tracker.h"
#include "trace/bpf_map.h"
#include "trace/liveness.h"
#include "util/clock.h"

enum {
	BATCH = 1024,
	WALK_SHARE = 100, /* heap walks take at most one part in so many of the time */
};

/* Seconds: a block that was just made stands for older ones, of which it says nothing. */
static const double AGE_MIN = 1;

struct mw_block_tracker {
	int sites, outstanding; /* maps */
	struct mw_tracked *tracked;
	struct mw_liveness *walk; /* NULL: no heap is walked now */
	double next_walk;
};

struct mw_block_tracker *mw_block_tracker__new(int sites, int outstanding, uint64_t period)
{
	struct mw_block_tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->sites = sites;
	t->outstanding = outstanding;
	t->tracked = mw_tracked__new(period);
	if (t->tracked)
		return t;
	free(t);
	return NULL;
}

void mw_block_tracker__free(struct mw_block_tracker *t)
{
	if (!t)
		return;
	mw_liveness__end(t->walk);
	mw_tracked__free(t->tracked);
	free(t);
}

struct window {
	struct mw_tracked *tracked;
	const double *scales;
};

static void on_site(uint64_t id, const void *value, void *arg)
{
	const struct window *window = arg;

	mw_tracked__add_counts(window->tracked, id, value, window->scales);
}

static void on_block(uint64_t key, const void *value, void *arg)
{
	const struct window *window = arg;

	mw_tracked__add_block(window->tracked, key, value, window->scales);
}

void mw_block_tracker__reset(struct mw_block_tracker *t)
{
	struct window window = {t->tracked, NULL};

	mw_liveness__end(t->walk);
	t->walk = NULL;
	mw_bpf_map__each(t->sites, sizeof(struct mw_site_counts), on_site, &window);
	mw_bpf_map__take_all(t->outstanding, sizeof(struct mw_alloc_record), NULL, NULL);
	mw_tracked__reset(t->tracked);
}

static void put_back(struct mw_block_tracker *t)
{
	size_t count;
	const struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);
	struct mw_alloc_record records[BATCH];
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t keys[BATCH];

	for (size_t i = 0; i < count; i += BATCH) {
		uint32_t n = count - i < BATCH ? (uint32_t)(count - i) : BATCH;

		for (uint32_t k = 0; k < n; k++) {
			keys[k] = blocks[i + k].key;
			records[k] = blocks[i + k].record;
		}
		bpf_map_update_batch(t->outstanding, keys, records, &n, &opts);
	}
}

void mw_block_tracker__window(struct mw_block_tracker *t, double seconds, const double *scales)
{
	struct window window = {t->tracked, scales};

	mw_tracked__begin_window(t->tracked);
	mw_bpf_map__each(t->sites, sizeof(struct mw_site_counts), on_site, &window);
	mw_bpf_map__take_all(t->outstanding, sizeof(struct mw_alloc_record), on_block, &window);
	mw_tracked__end_window(t->tracked, seconds);
	put_back(t);
}

static int by_address(const void *a, const void *b)
{
	const struct mw_liveness_query *x = a, *y = b;

	return x->pid != y->pid	   ? (x->pid < y->pid ? -1 : 1)
	       : x->addr < y->addr ? -1
				   : x->addr > y->addr;
}

/* BLOCK is gone: the probes need not look out for it. */
static void forget(struct mw_block_tracker *t, const struct mw_tracked_block *block)
{
	bpf_map_delete_elem(t->outstanding, &block->key);
}

/* The blocks whose heaps can be walked now. */
struct questions {
	struct mw_block_tracker *tracker;
	pid_t (*pid_of)(void *arg, uint32_t space);
	void *arg;
	double now;
	struct mw_liveness_query *list;
	size_t count;
};

/* False: BLOCK's address space is gone. */
static bool ask(struct mw_tracked_block *block, void *arg)
{
	struct questions *q = arg;
	pid_t pid = q->pid_of(q->arg, (uint32_t)(block->key >> MW_SPACE_SHIFT));

	if (pid < 0) {
		forget(q->tracker, block);
		return false;
	}
	block->blind |= !pid;
	if (pid > 0 && q->now - (double)block->record.time / 1e9 >= AGE_MIN)
		q->list[q->count++] = (struct mw_liveness_query){
			.pid = pid,
			.addr = (block->key & ((1ULL << MW_SPACE_SHIFT) - 1)) << 3,
			.size = block->record.size,
			.key = block->key,
			.time = block->record.time,
		};
	return true;
}

static void begin_walk(struct mw_block_tracker *t, pid_t (*pid_of)(void *arg, uint32_t space),
		       void *arg)
{
	struct questions q = {t, pid_of, arg, mw_monotonic(), NULL, 0};
	size_t count;

	mw_tracked__blocks(t->tracked, &count);
	q.list = calloc(count + 1, sizeof(*q.list));
	if (!q.list)
		return;
	mw_tracked__filter(t->tracked, ask, &q);
	if (!q.count) {
		free(q.list);
		return;
	}
	qsort(q.list, q.count, sizeof(*q.list), by_address);
	t->walk = mw_liveness__begin(q.list, q.count);
}

static bool is_seen(struct mw_tracked_block *block, void *arg)
{
	if (!block->seen)
		forget(arg, block);
	return block->seen;
}

static void end_walk(struct mw_block_tracker *t)
{
	size_t count;
	double seconds;
	const struct mw_liveness_query *list = mw_liveness__list(t->walk, &count, &seconds);

	mw_tracked__begin_walk(t->tracked);
	for (size_t i = 0; i < count; i++)
		mw_tracked__learn(t->tracked, list[i].key, list[i].time, list[i].state);
	mw_tracked__filter(t->tracked, is_seen, t);
	t->next_walk = mw_monotonic() + seconds * WALK_SHARE;
	mw_liveness__end(t->walk);
	t->walk = NULL;
}

void mw_block_tracker__check(struct mw_block_tracker *t, pid_t (*pid_of)(void *arg, uint32_t space),
			     void *arg)
{
	if (t->walk && mw_liveness__are_known(t->walk))
		end_walk(t);
	if (!t->walk && mw_monotonic() >= t->next_walk)
		begin_walk(t, pid_of, arg);
}

const struct mw_tracked *mw_block_tracker__settle(struct mw_block_tracker *t)
{
	mw_tracked__settle(t->tracked, mw_monotonic());
	return t->tracked;
}

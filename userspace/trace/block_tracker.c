// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <math.h>
#include <stdlib.h>

#include "image/image.h"
#include "trace/block_print.h"
#include "trace/block_tracker.h"
#include "trace/bpf_map.h"
#include "trace/liveness.h"
#include "util/clock.h"
#include "util/log.h"

enum { BATCH = 1024 };

/* Seconds until the first walk of the heaps, and from one to the next. */
static const double FIRST_WALK = 3, NEXT_WALK = 5;
/* What walks may take of a processor. */
static const double WALK_SHARE = 0.1;
/* Seconds: a block that was just made stands for older ones, of which it says nothing. */
static const double AGE_MIN = 1;

struct mw_block_tracker {
	int sites, outstanding; /* maps */
	struct mw_tracked *tracked;
	mw_pid_of_space_fn pid_of;
	void *arg;
	struct mw_liveness *walk; /* NULL: no heap is walked now */
	double next_walk, walked_at;
	double watched_at; /* probes stay in: up to when their blocks were watched */
	bool stays;
};

struct mw_block_tracker *mw_block_tracker__new(int sites, int outstanding, uint64_t period,
					       mw_pid_of_space_fn pid_of, void *arg)
{
	struct mw_block_tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->sites = sites;
	t->outstanding = outstanding;
	t->pid_of = pid_of;
	t->arg = arg;
	t->next_walk = mw_monotonic() + FIRST_WALK;
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

void mw_block_tracker__begin(struct mw_block_tracker *t, const double *cpu, uint32_t slots)
{
	mw_tracked__begin(t->tracked, cpu, slots);
	t->next_walk = mw_monotonic() + FIRST_WALK;
}

static uint32_t space_of(const struct mw_tracked_block *block)
{
	return (uint32_t)(block->key >> MW_SPACE_SHIFT);
}

static uint64_t address_of(const struct mw_tracked_block *block)
{
	return (block->key & ((1ULL << MW_SPACE_SHIFT) - 1)) << 3;
}

/* ---- windows --------------------------------------------------------------------------------- */

static void on_site(uint64_t id, const void *value, void *arg)
{
	mw_tracked__add_counts(arg, id, value);
}

static void on_block(uint64_t key, const void *value, void *arg)
{
	mw_tracked__add_block(arg, key, value);
}

/* Content of blocks that are new, as soon as it is known that they outlive their window. */
static void take_prints(struct mw_block_tracker *t)
{
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);
	struct mw_image *image = NULL;
	pid_t open = 0;

	for (size_t i = 0; i < count; i++) {
		struct mw_tracked_block *b = &blocks[i];
		pid_t pid = b->print || b->windows > 1 ? 0 : t->pid_of(t->arg, space_of(b));

		if (pid <= 0)
			continue;
		if (pid != open) {
			mw_image__close(image);
			image = mw_image__open_process(pid, 0, NULL);
			open = pid;
		}
		if (image)
			mw_tracked__print(t->tracked, b,
					  mw_block_print(image, address_of(b), b->size));
	}
	mw_image__close(image);
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
			const struct mw_tracked_block *b = &blocks[i + k];

			keys[k] = b->key;
			records[k] = (struct mw_alloc_record){b->size, b->time, b->site};
		}
		bpf_map_update_batch(t->outstanding, keys, records, &n, &opts);
	}
}

void mw_block_tracker__window(struct mw_block_tracker *t, double seconds, const double *scales,
			      const double *cpu)
{
	mw_tracked__begin_window(t->tracked, seconds, scales, cpu, MW_SLOTS);
	mw_bpf_map__each(t->sites, sizeof(struct mw_site_counts), on_site, t->tracked);
	mw_bpf_map__take_all(t->outstanding, sizeof(struct mw_alloc_record), on_block, t->tracked);
	mw_tracked__end_window(t->tracked, mw_monotonic());
	take_prints(t);
	put_back(t);
}

/* Probes stay in: what they have not seen to go lives. */
static void watch_blocks(struct mw_block_tracker *t)
{
	double now = mw_monotonic();
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);

	mw_tracked__watched(t->tracked, now - t->watched_at);
	t->watched_at = now;
	for (size_t i = 0; i < count; i++) {
		struct mw_alloc_record record;

		if (bpf_map_lookup_elem(t->outstanding, &blocks[i].key, &record) ||
		    record.time != blocks[i].time)
			mw_tracked__found(t->tracked, &blocks[i], MW_LIVENESS_FREED, 0, now);
	}
	mw_tracked__sweep(t->tracked, NULL, NULL);
}

void mw_block_tracker__stay(struct mw_block_tracker *t, bool stays, const double *cpu)
{
	double one[MW_SLOTS];

	if (stays) {
		t->watched_at = mw_monotonic();
		t->stays = true;
		return;
	}
	for (size_t i = 0; i < MW_SLOTS; i++)
		one[i] = 1;
	watch_blocks(t);
	t->stays = false;
	mw_block_tracker__window(t, 0, one, cpu);
}

/* ---- walks of the heaps ---------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct mw_liveness_query *x = a, *y = b;

	return x->pid != y->pid	   ? (x->pid < y->pid ? -1 : 1)
	       : x->addr < y->addr ? -1
				   : x->addr > y->addr;
}

/* BLOCK is gone: the probes need not look out for it. */
static void forget(void *arg, const struct mw_tracked_block *block)
{
	const struct mw_block_tracker *t = arg;

	bpf_map_delete_elem(t->outstanding, &block->key);
}

static void begin_walk(struct mw_block_tracker *t)
{
	double now = mw_monotonic();
	struct mw_liveness_query *list;
	size_t count, n = 0;
	struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);

	t->next_walk = now + NEXT_WALK;
	list = calloc(count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++) {
		struct mw_tracked_block *b = &blocks[i];
		pid_t pid = t->pid_of(t->arg, space_of(b));

		if (pid < 0)
			mw_tracked__found(t->tracked, b, MW_LIVENESS_FREED, 0, now);
		if (pid > 0 && now - (double)b->time / 1e9 >= AGE_MIN)
			list[n++] = (struct mw_liveness_query){
				.pid = pid,
				.addr = address_of(b),
				.size = b->size,
				.key = b->key,
				.time = b->time,
				.wants_print = b->print != 0,
			};
	}
	mw_tracked__sweep(t->tracked, forget, t);
	if (!n) {
		free(list);
		t->walked_at = now;
		return;
	}
	qsort(list, n, sizeof(*list), by_address);
	t->walk = mw_liveness__begin(list, n);
}

static void end_walk(struct mw_block_tracker *t)
{
	double now = mw_monotonic(), seconds;
	size_t count, found[3] = {0};
	const struct mw_liveness_query *list = mw_liveness__list(t->walk, &count, &seconds);

	for (size_t i = 0; i < count; i++) {
		const struct mw_liveness_query *q = &list[i];
		struct mw_tracked_block *b = mw_tracked__find(t->tracked, q->key, q->time);

		found[q->state]++;
		if (b)
			mw_tracked__found(t->tracked, b, q->state, q->print, now);
	}
	mw_tracked__sweep(t->tracked, forget, t);
	mw_detail(
		"heap walked in %.0f ms of CPU: of %zu sampled blocks %zu live, %zu are free, of %zu "
		"nothing is known",
		1e3 * seconds, count, found[MW_LIVENESS_ALIVE], found[MW_LIVENESS_FREED],
		found[MW_LIVENESS_UNKNOWN]);
	t->walked_at = now;
	t->next_walk = now + fmax(NEXT_WALK, seconds / WALK_SHARE);
	mw_liveness__end(t->walk);
	t->walk = NULL;
}

void mw_block_tracker__check(struct mw_block_tracker *t, bool now)
{
	if (t->walk && mw_liveness__are_known(t->walk))
		end_walk(t);
	if (!t->walk && (now || mw_monotonic() >= t->next_walk))
		begin_walk(t);
}

void mw_block_tracker__mark(struct mw_block_tracker *t)
{
	mw_tracked__mark(t->tracked, mw_monotonic());
}

double mw_block_tracker__walked_at(const struct mw_block_tracker *t)
{
	/* Probes that stay in look all the time. */
	return t->stays ? mw_monotonic() : t->walked_at;
}

const struct mw_tracked *mw_block_tracker__settle(struct mw_block_tracker *t, const double *cpu,
						  uint32_t slots, double bias)
{
	if (t->stays)
		watch_blocks(t);
	mw_tracked__settle(t->tracked, mw_monotonic(), t->stays ? NULL : cpu, slots, bias);
	return t->tracked;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "image/image.h"
#include "trace/block_print.h"
#include "trace/block_tracker.h"
#include "trace/blocks.h"
#include "trace/bpf_map.h"
#include "trace/liveness.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"

/* Seconds until the first walk of the heaps, and from one to the next. */
static const double FIRST_WALK = 3, NEXT_WALK = 5;
/* What walks may take of a processor. */
static const double WALK_SHARE = 0.1;
/* Seconds: a block that was just made stands for older ones, of which it says nothing. */
static const double AGE_MIN = 1;

enum { OPENED_MAX = 8, PRINTS_MAX = 256 };
/* A window may become longer by so much for prints. */
static const double PRINTS_SECONDS = 0.003;

/* A process whose blocks are read when a window ends. */
struct opened {
	uint32_t space;
	pid_t pid;
	struct mw_image *image;
	const struct mw_pymalloc *pools;
};

struct printed {
	uint64_t key, time, print;
};

struct mw_block_tracker {
	enum mw_layer layer;
	int sites;		      /* map */
	const struct mw_blocks *seen; /* by the programs */
	struct mw_tracked *tracked;
	mw_pid_of_space_fn pid_of;
	mw_pools_of_space_fn pools_of;
	void *arg;
	struct opened opened[OPENED_MAX]; /* by address space */
	struct printed prints[PRINTS_MAX];
	size_t print_count;
	uint64_t prints_since; /* CLOCK_MONOTONIC, ns */
	double prints_until;
	struct mw_liveness *walks;
	struct mw_heap_looks looks;
	double next_walk, walked_at;
	double watched_at; /* probes stay in: up to when their blocks were watched */
	double stays_since;
	uint64_t began, ended; /* counting in the last window, CLOCK_MONOTONIC ns */
	bool stays;
};

struct mw_block_tracker *mw_block_tracker__new(enum mw_layer layer, int sites,
					       const struct mw_blocks *seen, uint64_t period,
					       mw_pid_of_space_fn pid_of,
					       mw_pools_of_space_fn pools_of, void *arg)
{
	struct mw_block_tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->layer = layer;
	t->sites = sites;
	t->seen = seen;
	t->pid_of = pid_of;
	t->pools_of = pools_of;
	t->arg = arg;
	t->next_walk = mw_monotonic() + FIRST_WALK;
	t->looks.whole_seconds = -1;
	t->tracked = mw_tracked__new(period);
	t->walks = mw_liveness__new();
	if (t->tracked && t->walks)
		return t;
	mw_block_tracker__free(t);
	return NULL;
}

void mw_block_tracker__free(struct mw_block_tracker *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < OPENED_MAX; i++)
		mw_image__close(t->opened[i].image);
	mw_liveness__free(t->walks);
	mw_tracked__free(t->tracked);
	free(t);
}

void mw_block_tracker__begin(struct mw_block_tracker *t, const double *cpu, uint32_t slots)
{
	mw_tracked__begin(t->tracked, mw_monotonic(), cpu, slots);
	t->next_walk = mw_monotonic() + FIRST_WALK;
}

void mw_block_tracker__set_sampling(struct mw_block_tracker *t, const struct mw_sampling *sampling)
{
	mw_tracked__set_sampling(t->tracked, sampling);
}

static uint32_t space_of(const struct mw_tracked_block *block)
{
	return (uint32_t)(block->key >> MW_SPACE_SHIFT);
}

static uint64_t address_of(uint64_t key)
{
	return (key & ((1ULL << MW_SPACE_SHIFT) - 1)) << 3;
}

/* ---- windows --------------------------------------------------------------------------------- */

static void on_site(uint64_t id, const void *value, void *arg)
{
	const struct mw_site_counts *counts = value;
	const struct mw_block_tracker *t = arg;

	if (mw_layer_of(counts->kind) == t->layer)
		mw_tracked__add_counts(t->tracked, id, counts);
}

/* Nanoseconds, and a part of the window. */
enum { MOMENT = 1000000, MOMENT_SHARE = 4 };

void mw_block_tracker__count(struct mw_block_tracker *t, bool on)
{
	*(on ? &t->began : &t->ended) = (uint64_t)(mw_monotonic() * 1e9);
}

static bool is_of_last_moment(const struct mw_block_tracker *t, uint64_t time)
{
	uint64_t part = (t->ended - t->began) / MOMENT_SHARE;

	return t->layer == MW_LAYER_PYTHON && t->ended > t->began &&
	       time + (part < MOMENT ? part : MOMENT) > t->ended;
}

static void on_block(uint64_t key, const struct mw_alloc_record *block, void *arg)
{
	const struct mw_block_tracker *t = arg;

	if (!is_of_last_moment(t, block->time))
		mw_tracked__add_block(t->tracked, key, block);
}

/* An image of the process of SPACE; NULL: it can't be read. */
static struct opened *open_space(struct mw_block_tracker *t, uint32_t space)
{
	pid_t pid = t->pid_of(t->arg, space);
	struct opened *o = &t->opened[space % OPENED_MAX];

	if (o->image && o->space == space && o->pid == pid)
		return o;
	mw_image__close(o->image);
	*o = (struct opened){.space = space, .pid = pid};
	if (pid > 0)
		o->image = mw_image__open_process(pid, 0, NULL);
	if (o->image && t->layer == MW_LAYER_PYTHON)
		o->pools = t->pools_of(t->arg, space, &pid);
	return o->image ? o : NULL;
}

static uint64_t print_of(struct mw_block_tracker *t, uint64_t key, uint64_t size)
{
	struct opened *o = open_space(t, (uint32_t)(key >> MW_SPACE_SHIFT));

	if (!o)
		return 0;
	if (t->layer != MW_LAYER_PYTHON)
		return mw_block_print(o->image, address_of(key), size);
	return o->pools ? mw_pymalloc_print(o->pools, o->image, address_of(key), size) : 0;
}

static void take_print(uint64_t key, const struct mw_alloc_record *block, void *arg)
{
	struct mw_block_tracker *t = arg;

	if (block->time < t->prints_since || t->print_count == PRINTS_MAX ||
	    mw_monotonic() > t->prints_until)
		return;
	t->prints[t->print_count++] = (struct printed){
		.key = key, .time = block->time, .print = print_of(t, key, block->size)};
}

void mw_block_tracker__prepare(struct mw_block_tracker *t)
{
	for (size_t i = 0; i < OPENED_MAX; i++) {
		struct opened *o = &t->opened[i];

		if (o->image && mw_image__refresh(o->image)) {
			mw_image__close(o->image);
			o->image = NULL;
		}
	}
}

void mw_block_tracker__take_prints(struct mw_block_tracker *t, uint64_t since)
{
	t->print_count = 0;
	t->prints_since = since;
	t->prints_until = mw_monotonic() + PRINTS_SECONDS;
	mw_blocks__each(t->seen, take_print, t);
}

/* Those that are still there were not freed while their prints were taken. */
static void give_prints(struct mw_block_tracker *t)
{
	for (size_t i = 0; i < t->print_count; i++) {
		const struct printed *p = &t->prints[i];
		struct mw_tracked_block *b = mw_tracked__find(t->tracked, p->key, p->time);

		if (b)
			mw_tracked__print(t->tracked, b, p->print);
	}
	t->print_count = 0;
}

static void put_back(struct mw_block_tracker *t)
{
	size_t count;
	const struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);

	for (size_t i = 0; i < count; i++) {
		const struct mw_tracked_block *b = &blocks[i];
		struct mw_alloc_record record = {b->size, b->time, b->site};

		mw_blocks__put(t->seen, b->key, &record);
	}
}

void mw_block_tracker__window(struct mw_block_tracker *t, double seconds, const double *scales,
			      const double *cpu)
{
	mw_tracked__begin_window(t->tracked, mw_monotonic(), seconds, scales, cpu, MW_SLOTS);
	mw_bpf_map__each(t->sites, sizeof(struct mw_site_counts), on_site, t);
	mw_blocks__take_all(t->seen, on_block, t);
	mw_tracked__end_window(t->tracked);
	give_prints(t);
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

		if (!mw_blocks__find(t->seen, blocks[i].key, &record) ||
		    record.time != blocks[i].time)
			mw_tracked__found(t->tracked, &blocks[i], MW_LIVENESS_FREED, 0, 0, now);
	}
	mw_tracked__sweep(t->tracked, now, NULL, NULL);
}

void mw_block_tracker__stay(struct mw_block_tracker *t, bool stays, const double *cpu)
{
	double one[MW_SLOTS];

	if (stays) {
		t->watched_at = t->stays_since = mw_monotonic();
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

	mw_blocks__remove(t->seen, block->key);
}

static void read_pools(struct mw_block_tracker *t)
{
	double began = mw_monotonic();
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);

	for (size_t i = 0; i < count; i++) {
		if (t->pid_of(t->arg, space_of(&blocks[i])) < 0)
			mw_tracked__found(t->tracked, &blocks[i], MW_LIVENESS_FREED, 0, 0, began);
	}
	mw_pymalloc_blocks__judge(t->tracked, t->pools_of, t->arg, AGE_MIN);
	t->walked_at = mw_monotonic();
	mw_tracked__sweep(t->tracked, t->walked_at, forget, t);
	t->next_walk = t->walked_at + fmax(NEXT_WALK, (t->walked_at - began) / WALK_SHARE);
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
			mw_tracked__found(t->tracked, b, MW_LIVENESS_FREED, 0, 0, now);
		if (pid > 0 && now - (double)b->time / 1e9 >= AGE_MIN)
			list[n++] = (struct mw_liveness_query){
				.pid = pid,
				.addr = address_of(b->key),
				.size = b->size,
				.key = b->key,
				.time = b->time,
				.wants_print = b->print != 0,
			};
	}
	mw_tracked__sweep(t->tracked, now, forget, t);
	if (!n) {
		free(list);
		t->walked_at = now;
		return;
	}
	qsort(list, n, sizeof(*list), by_address);
	mw_liveness__begin(t->walks, list, n);
}

static void end_walk(struct mw_block_tracker *t)
{
	double now = mw_monotonic();
	size_t count, found[3] = {0};
	struct mw_look look;
	const struct mw_liveness_query *list = mw_liveness__end(t->walks, &count, &look);

	for (size_t i = 0; i < count; i++) {
		const struct mw_liveness_query *q = &list[i];
		struct mw_tracked_block *b = mw_tracked__find(t->tracked, q->key, q->time);

		found[q->state]++;
		if (b && q->looked_at > 0)
			mw_tracked__found(t->tracked, b, q->state, q->room, q->print, q->looked_at);
	}
	mw_tracked__sweep(t->tracked, now, forget, t);
	mw_detail(
		"heap walked in %.0f ms of CPU, %llu MiB read: of %zu sampled blocks %zu live, %zu "
		"are free, of %zu nothing is known%s%s",
		1e3 * look.seconds, (unsigned long long)look.bytes >> 20, count,
		found[MW_LIVENESS_ALIVE], found[MW_LIVENESS_FREED], found[MW_LIVENESS_UNKNOWN],
		*look.note ? ": " : "", look.note);
	t->looks.count++;
	t->looks.cpu_seconds += look.seconds;
	t->looks.bytes += look.bytes;
	snprintf(t->looks.note, sizeof(t->looks.note), "%s", look.note);
	if (look.whole >= 0)
		t->looks.whole_seconds = look.whole;
	/* A look that found out nothing is none. */
	if (look.whole >= 0 && found[MW_LIVENESS_UNKNOWN] < count)
		t->walked_at = now;
	t->next_walk = now + fmax(NEXT_WALK, look.seconds / WALK_SHARE);
}

void mw_block_tracker__check(struct mw_block_tracker *t, bool now)
{
	if (mw_liveness__are_known(t->walks))
		end_walk(t);
	if (mw_liveness__is_looking(t->walks) || !(now || mw_monotonic() >= t->next_walk))
		return;
	if (t->layer == MW_LAYER_PYTHON)
		read_pools(t);
	else
		begin_walk(t);
}

void mw_block_tracker__set_live_bytes(struct mw_block_tracker *t, uint32_t slot,
				      const struct mw_live_growth *live)
{
	mw_tracked__set_live_bytes(t->tracked, slot, mw_live_fine(t->layer), live);
}

const struct mw_heap_looks *mw_block_tracker__looks(const struct mw_block_tracker *t)
{
	return &t->looks;
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

/* ---- survivors ------------------------------------------------------------------------------- */

struct listing {
	const struct mw_block_tracker *tracker;
	struct mw_survivors *out;
	double now;
	int ret;
};

static void list_survivor(struct listing *l, uint64_t key, uint64_t site, double size,
			  double weight)
{
	const struct mw_block_tracker *t = l->tracker;
	struct mw_survivors *out = l->out;
	pid_t pid;

	if (out->count == MW_SURVIVORS_MAX ||
	    !t->pools_of(t->arg, (uint32_t)(key >> MW_SPACE_SHIFT), &pid))
		return;
	l->ret = mw_array_reserve(&out->list, &out->capacity, out->count + 1, sizeof(*out->list));
	if (!l->ret)
		out->list[out->count++] = (struct mw_survivor){
			.pid = pid,
			.addr = address_of(key),
			.site = site,
			.count = weight,
			.bytes = weight * size,
		};
}

static void list_seen(uint64_t key, const struct mw_alloc_record *block, void *arg)
{
	struct listing *l = arg;
	const struct mw_block_tracker *t = l->tracker;

	/* Older ones are tracked, and stand for others. */
	if (block->site && (double)block->time / 1e9 >= t->stays_since &&
	    l->now - (double)block->time / 1e9 >= AGE_MIN)
		list_survivor(l, key, block->site, (double)block->size,
			      mw_tracked__weight(t->tracked, block->size));
}

int mw_block_tracker__survivors(const struct mw_block_tracker *t, struct mw_survivors *out)
{
	struct listing l = {.tracker = t, .out = out, .now = mw_monotonic()};
	size_t count;
	const struct mw_tracked_block *blocks = mw_tracked__blocks(t->tracked, &count);

	for (size_t i = 0; i < count && !l.ret; i++) {
		const struct mw_tracked_block *b = &blocks[i];

		if (b->kept > 0)
			list_survivor(&l, b->key, b->site, (double)b->size,
				      b->kept * b->scale * b->weight);
	}
	if (t->stays && !l.ret)
		mw_blocks__each(t->seen, list_seen, &l);
	return l.ret;
}

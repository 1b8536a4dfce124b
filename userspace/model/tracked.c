// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "model/tracked.h"
#include "model/weight.h"
#include "util/array.h"
#include "util/search.h"
#include "util/u64map.h"

enum {
	BLOCKS_MAX = 8192, /* more are thinned out */
	WINDOWS_MIN = 2,   /* that a block must live through where its heap can't be walked */
};

struct mw_tracked_counts {
	struct mw_tracked_site estimates;
	struct mw_site_counts last;
	double deaths; /* in windows, of blocks that were there at the window's beginning */
};

struct mw_tracked {
	uint64_t period, random;
	struct mw_u64map sites; /* by id, struct mw_tracked_counts */
	struct mw_tracked_block *blocks;
	size_t count, capacity;
	size_t old; /* the first of them, in the order of keys: from before this window */
};

struct mw_tracked *mw_tracked__new(uint64_t period)
{
	struct mw_tracked *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->period = period;
	t->random = 88172645463325252ULL;
	return t;
}

void mw_tracked__free(struct mw_tracked *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++)
		free(t->sites.slots[i].value);
	mw_u64map__free(&t->sites);
	free(t->blocks);
	free(t);
}

void mw_tracked__reset(struct mw_tracked *t)
{
	t->count = t->old = 0;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct mw_tracked_counts *site = t->sites.slots[i].value;

		if (site)
			*site = (struct mw_tracked_counts){.last = site->last};
	}
}

static struct mw_tracked_counts *site_of(struct mw_tracked *t, uint64_t id)
{
	struct mw_tracked_counts *site = mw_u64map__find(&t->sites, id);

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	if (site && mw_u64map__set(&t->sites, id, site)) {
		free(site);
		return NULL;
	}
	return site;
}

static int by_key(const void *a, const void *b)
{
	const struct mw_tracked_block *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static bool is_before(const void *at, const void *key)
{
	return ((const struct mw_tracked_block *)at)->key < *(const uint64_t *)key;
}

/* All blocks into the order of their keys: those that find() can find. */
static void sort(struct mw_tracked *t)
{
	if (t->count)
		qsort(t->blocks, t->count, sizeof(*t->blocks), by_key);
	t->old = t->count;
}

static struct mw_tracked_block *find(struct mw_tracked *t, uint64_t key, uint64_t time_ns)
{
	size_t i = mw_search(t->blocks, t->old, sizeof(*t->blocks), is_before, &key);

	return i < t->old && t->blocks[i].key == key && t->blocks[i].record.time == time_ns
		       ? &t->blocks[i]
		       : NULL;
}

void mw_tracked__begin_window(struct mw_tracked *t)
{
	sort(t);
	for (size_t i = 0; i < t->count; i++)
		t->blocks[i].seen = false;
}

void mw_tracked__add_counts(struct mw_tracked *t, uint64_t id, const struct mw_site_counts *now,
			    const double *scales)
{
	struct mw_tracked_counts *site = now->kind == MW_KIND_ALLOC ? site_of(t, id) : NULL;
	const double unit = 1 << MW_COUNT_SHIFT;

	if (!site)
		return;
	if (scales && now->slot < MW_SLOTS) {
		struct mw_tracked_site *e = &site->estimates;
		double scale = scales[now->slot];

		e->allocs += scale * (double)(now->allocs - site->last.allocs) / unit;
		e->alloc_bytes += scale * (double)(now->alloc_bytes - site->last.alloc_bytes);
		e->temporaries +=
			scale * (double)(now->temporaries - site->last.temporaries) / unit;
	}
	site->last = *now;
}

void mw_tracked__add_block(struct mw_tracked *t, uint64_t key, const struct mw_alloc_record *record,
			   const double *scales)
{
	struct mw_tracked_block *known = find(t, key, record->time);
	struct mw_tracked_counts *site;

	if (known) {
		known->seen = true;
		return;
	}
	site = record->site ? site_of(t, record->site) : NULL;
	if (!site || site->last.slot >= MW_SLOTS ||
	    mw_array_reserve(&t->blocks, &t->capacity, t->count + 1, sizeof(*t->blocks)))
		return;
	t->blocks[t->count++] = (struct mw_tracked_block){
		.key = key,
		.record = *record,
		.weight = scales[site->last.slot] * mw_sample_weight(record->size, t->period),
		.seen = true,
		.site = site,
	};
}

static bool one_in_two(struct mw_tracked *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random >> 63;
}

static void thin_out(struct mw_tracked *t)
{
	size_t kept = 0;

	if (t->count <= BLOCKS_MAX)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (one_in_two(t))
			continue;
		t->blocks[kept] = t->blocks[i];
		t->blocks[kept++].weight *= 2;
	}
	t->count = kept;
}

void mw_tracked__end_window(struct mw_tracked *t, double seconds)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];

		if (i < t->old) {
			b->watched += seconds;
			b->site->estimates.watched += seconds;
			b->site->deaths += !b->seen;
		}
		b->windows++;
		if (b->seen)
			t->blocks[kept++] = *b;
	}
	t->count = kept;
	thin_out(t);
	t->old = 0;
}

const struct mw_tracked_block *mw_tracked__blocks(const struct mw_tracked *t, size_t *count)
{
	*count = t->count;
	return t->blocks;
}

void mw_tracked__filter(struct mw_tracked *t, mw_tracked_keep_fn keep, void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (keep(&t->blocks[i], arg))
			t->blocks[kept++] = t->blocks[i];
	}
	t->count = kept;
	t->old = 0;
}

void mw_tracked__begin_walk(struct mw_tracked *t)
{
	sort(t);
}

void mw_tracked__learn(struct mw_tracked *t, uint64_t key, uint64_t time_ns,
		       enum mw_liveness_state state)
{
	struct mw_tracked_block *b = find(t, key, time_ns);

	if (!b)
		return;
	b->seen = state != MW_LIVENESS_FREED;
	b->was_alive |= state == MW_LIVENESS_ALIVE;
	b->blind = state != MW_LIVENESS_ALIVE;
}

double mw_tracked_block__weight(const struct mw_tracked_block *b, double now)
{
	double unseen = now - (double)b->record.time / 1e9 - b->watched;
	double watched = b->site->estimates.watched;
	double rate = watched > 0 ? b->site->deaths / watched : 0;

	if (!b->was_alive && !(b->blind && b->windows > WINDOWS_MIN))
		return 0;
	return b->weight * exp(-rate * (unseen > 0 ? unseen : 0));
}

void mw_tracked__settle(struct mw_tracked *t, double now)
{
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct mw_tracked_counts *site = t->sites.slots[i].value;

		if (site)
			site->estimates.alive = site->estimates.alive_bytes =
				site->estimates.alive_variance = 0;
	}
	for (size_t i = 0; i < t->count; i++) {
		const struct mw_tracked_block *b = &t->blocks[i];
		struct mw_tracked_site *e = &b->site->estimates;
		double weight = mw_tracked_block__weight(b, now), size = (double)b->record.size;

		e->alive += weight;
		e->alive_bytes += weight * size;
		e->alive_variance += weight * fmax(b->weight - 1, 0) * size * size;
	}
}

const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *t, uint64_t id)
{
	const struct mw_tracked_counts *site = mw_u64map__find(&t->sites, id);

	return site ? &site->estimates : NULL;
}

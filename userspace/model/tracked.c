// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/tracked_impl.h"
#include "util/array.h"

enum { BLOCKS_MAX = 16384 }; /* more are thinned out */

struct mw_tracked *mw_tracked__new(uint64_t period)
{
	struct mw_tracked *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->sampling.period = period;
	t->random = 88172645463325252ULL;
	t->width = 1;
	return t;
}

void mw_tracked__free(struct mw_tracked *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct tracked_site *site = t->sites.slots[i].value;

		if (site)
			free(site->sizes);
		free(site);
	}
	mw_u64map__free(&t->sites);
	for (size_t i = 0; i < MW_SLOTS; i++) {
		free(t->live[i]);
		free(t->sizes[i]);
	}
	free(t->blocks);
	free(t);
}

void mw_tracked__set_sampling(struct mw_tracked *t, const struct mw_sampling *sampling)
{
	t->sampling = *sampling;
}

double mw_tracked__weight(const struct mw_tracked *t, uint64_t size)
{
	return mw_sampling__weight(&t->sampling, size);
}

struct tracked_site *mw_tracked_site_of(struct mw_tracked *t, uint64_t id)
{
	struct tracked_site *site = mw_u64map__find(&t->sites, id);

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	if (site && mw_u64map__set(&t->sites, id, site)) {
		free(site);
		return NULL;
	}
	if (site)
		site->now.generations.width = t->width;
	return site;
}

static int by_key(const void *a, const void *b)
{
	const struct mw_tracked_block *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static struct mw_tracked_block *find(struct mw_tracked *t, size_t count, uint64_t key)
{
	const struct mw_tracked_block wanted = {.key = key};

	return count ? bsearch(&wanted, t->blocks, count, sizeof(wanted), by_key) : NULL;
}

/* ---- windows --------------------------------------------------------------------------------- */

void mw_tracked__begin(struct mw_tracked *t, double now, const double *own, uint32_t slots)
{
	t->began_at = t->last_at = t->now = now;
	for (uint32_t i = 0; i < slots && i < MW_SLOTS; i++)
		t->began[i] = t->own[i] = own[i];
}

/* The time of the watch fits into generations. */
static void widen_generations(struct mw_tracked *t)
{
	while (t->now - t->began_at >= MW_GENERATIONS * t->width) {
		for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
			struct tracked_site *site = t->sites.slots[i].value;

			if (site)
				mw_generations__widen(&site->now.generations);
		}
		t->width *= 2;
	}
}

/*
 * A window in which the target idles shows that nothing dies then. So what it has used of its own
 * CPU time counts, in seconds of the whole time's mean use.
 */
static double exposure(const struct mw_tracked *t, uint32_t slot)
{
	double used = t->own[slot] - t->began[slot], passed = t->now - t->began_at;

	if (!(t->seconds > 0) || !(used > 0) || !(t->scales[slot] > 0))
		return t->seconds;
	return fmin(t->gap[slot] / t->scales[slot] * passed / used, t->seconds);
}

void mw_tracked__begin_window(struct mw_tracked *t, double now, double seconds,
			      const double *scales, const double *own, uint32_t slots)
{
	t->last_at = t->now;
	t->now = now;
	widen_generations(t);
	t->seconds = seconds;
	t->watched += seconds;
	t->window++;
	for (uint32_t i = 0; i < slots && i < MW_SLOTS; i++) {
		t->scales[i] = scales[i];
		t->gap[i] = own[i] - t->own[i];
		t->own[i] = own[i];
		t->exposed[i] = exposure(t, i);
	}
	t->old = t->count;
	for (size_t i = 0; i < t->count; i++)
		t->blocks[i].seen = false;
}

/*
 * Windows vary by what a site does and by chance of sampling, and both show in how much one differs
 * from the next; so much is the variance of what they stand for. A rate that changes slowly adds
 * nothing.
 */
static void add_variance(struct mw_tracked *t, struct tracked_site *site, double bytes,
			 uint32_t slot)
{
	double gap = t->gap[slot], rate = gap > 0 ? bytes / gap : 0, step;

	if (site->window + 1 != t->window) {
		/* It was in none of the windows between. */
		site->variance += site->rate * site->rate * gap * gap / 2;
		site->rate = 0;
	}
	step = (rate - site->rate) * gap;
	site->variance += step * step / 2;
	site->rate = rate;
	site->window = t->window;
}

/*
 * What the site made and freed in the window stands for the time since the one before, so it goes
 * to all generations from then on; what its blocks stand for, too, each to one of them by chance.
 */
static void add_generations(struct mw_tracked *t, struct tracked_site *site, double born,
			    double bytes, double freed)
{
	double step = t->width / 2, steps = floor((t->now - t->last_at) / step) + 1;

	for (double i = 0; i < steps; i++) {
		struct mw_generation *g =
			mw_generations__at(&site->now.generations, t->now - i * step - t->began_at);

		g->born += (float)(born / steps);
		g->born_bytes += (float)(bytes / steps);
		g->freed += (float)(freed / steps);
	}
}

void mw_tracked__add_counts(struct mw_tracked *t, uint64_t id, const struct mw_site_counts *now)
{
	struct tracked_site *site = now->kind == MW_KIND_ALLOC || now->kind == MW_KIND_PYTHON
					    ? mw_tracked_site_of(t, id)
					    : NULL;
	const double unit = 1 << MW_COUNT_SHIFT;
	double scale;

	if (!site || now->slot >= MW_SLOTS)
		return;
	scale = t->scales[now->slot];
	if (now->allocs != site->last.allocs) {
		double bytes = scale * (double)(now->alloc_bytes - site->last.alloc_bytes);

		site->sums.allocs += scale * (double)(now->allocs - site->last.allocs) / unit;
		site->sums.alloc_bytes += bytes;
		if (t->seconds > 0) {
			double samples = (double)(now->samples - site->last.samples);
			double calls = scale * (double)(now->allocs - site->last.allocs) / unit;

			add_variance(t, site, bytes, now->slot);
			if (samples > 0)
				site->by_chance += bytes * fmax(bytes / samples - bytes / calls, 0);
		} else
			site->by_chance += 1048576.0 * (double)(now->alloc_variance -
								site->last.alloc_variance);
	}
	add_generations(t, site, scale * (double)(now->allocs - site->last.allocs) / unit,
			scale * (double)(now->alloc_bytes - site->last.alloc_bytes),
			scale * (double)(now->frees - site->last.frees) / unit);
	site->sums.resized += scale * (double)(now->resized - site->last.resized) / unit;
	site->sums.frees += scale * (double)(now->frees - site->last.frees) / unit;
	site->sums.freed_bytes += scale * (double)(now->freed_bytes - site->last.freed_bytes);
	site->sums.temporaries +=
		scale * (double)(now->temporaries - site->last.temporaries) / unit;
	site->last = *now;
}

static uint64_t random_of(struct mw_tracked *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static double made_at(struct mw_tracked *t, uint64_t time)
{
	double part = (double)(random_of(t) >> 11) / 0x1p53;
	double made = t->seconds > 0 ? t->now - part * (t->now - t->last_at) : (double)time / 1e9;

	return made - t->began_at;
}

void mw_tracked__add_block(struct mw_tracked *t, uint64_t key, const struct mw_alloc_record *record)
{
	struct mw_tracked_block *known = find(t, t->old, key);
	struct tracked_site *site;
	double weight;

	if (known && known->time == record->time) {
		known->seen = true;
		return;
	}
	site = record->site ? mw_tracked_site_of(t, record->site) : NULL;
	if (!site || site->last.slot >= MW_SLOTS ||
	    mw_array_reserve(&t->blocks, &t->capacity, t->count + 1, sizeof(*t->blocks)))
		return;
	weight = t->scales[site->last.slot] * mw_tracked__weight(t, record->size);
	t->blocks[t->count++] = (struct mw_tracked_block){
		.key = key,
		.time = record->time,
		.size = record->size,
		.site = record->site,
		.slot = site->last.slot,
		.kind = site->last.kind,
		.weight = weight,
		.made = made_at(t, record->time),
		.seen = true,
	};
	mw_tracked_count_size(t, site, &t->blocks[t->count - 1]);
	site->blocks++;
	site->squares += weight * (double)record->size * weight * (double)record->size;
}

/* Of too many every second one, at random, stands for two. */
static void thin_out(struct mw_tracked *t)
{
	size_t kept = 0;

	if (t->count <= BLOCKS_MAX)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (random_of(t) >> 63)
			continue;
		t->blocks[kept] = t->blocks[i];
		t->blocks[kept++].weight *= 2;
	}
	t->count = kept;
}

/* SEEN: in a window, not by a walk. */
static void bury(struct mw_tracked *t, const struct mw_tracked_block *block, double now, bool seen)
{
	struct tracked_site *site = mw_tracked_site_of(t, block->site);

	if (!site)
		return;
	mw_generations__at(&site->now.generations, block->made)->freed += (float)block->weight;
	if (block->seen_at > 0)
		mw_deaths__add(seen ? &site->seen_dying : &site->found_dead,
			       now - (double)block->time / 1e9);
	mw_amount__add(&site->dead, block->weight, (double)block->size);
	if (mw_tracked_is_new(t, block))
		mw_amount__add(&site->new_dead, block->weight, (double)block->size);
}

/* Blocks that were put into the kernel's map before the window, and are gone, were seen to go. */
void mw_tracked__end_window(struct mw_tracked *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		struct tracked_site *site = i < t->old ? mw_tracked_site_of(t, b->site) : NULL;

		if (site) {
			double age = t->now - (double)b->time / 1e9, seconds = t->exposed[b->slot];

			b->watched += seconds;
			site->now.watched += seconds;
			mw_tracked_deaths__add(&site->deaths, age, seconds, !b->seen);
			if (b->same)
				mw_tracked_deaths__add(&site->same_deaths, age, seconds, !b->seen);
			site->is_steady_known = false;
		}
		b->windows++;
		if (b->seen)
			t->blocks[kept++] = *b;
		else
			bury(t, b, t->now, true);
	}
	t->count = kept;
	thin_out(t);
	if (t->count)
		qsort(t->blocks, t->count, sizeof(*t->blocks), by_key);
	t->old = t->count;
}

void mw_tracked__watched(struct mw_tracked *t, double seconds)
{
	for (size_t i = 0; i < t->count; i++)
		t->blocks[i].watched += seconds;
}

/* ---- walks of the heap ----------------------------------------------------------------------- */

struct mw_tracked_block *mw_tracked__blocks(const struct mw_tracked *t, size_t *count)
{
	*count = t->count;
	return t->blocks;
}

struct mw_tracked_block *mw_tracked__find(struct mw_tracked *t, uint64_t key, uint64_t time)
{
	struct mw_tracked_block *block = find(t, t->count, key);

	return block && block->time == time ? block : NULL;
}

void mw_tracked__sweep(struct mw_tracked *t, double now,
		       void (*dropped)(void *arg, const struct mw_tracked_block *block), void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		struct tracked_site *site = mw_tracked_site_of(t, b->site);
		/* Blocks of this site keep their content: another one is in its place. */
		bool replaced = b->other && site && mw_tracked_is_telling(site) &&
				mw_tracked_is_steady(site);

		if (b->seen && !replaced) {
			t->blocks[kept++] = *b;
			continue;
		}
		b->seen = false;
		bury(t, b, replaced ? b->seen_at : now, false);
		if (dropped)
			dropped(arg, b);
	}
	t->count = t->old = kept;
}

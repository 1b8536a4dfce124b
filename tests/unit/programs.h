/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Simulated programs: objects are really made and freed, and each is seen by chance, as sampling
 * by bytes does. What leaks is known because it was made so.
 */
#ifndef MW_TEST_PROGRAMS_H
#define MW_TEST_PROGRAMS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/sites.h"
#include "tests/unit/all_seen.h"

enum kind {
	LEAK_FAST,
	LEAK_SLOW,
	LEAK_BURSTS, /* 24 in the watch on average, whenever they like, or fewer when it is short */
	LEAK_BATCH,  /* 24 at some time in each 24th of the watch */
	LEAK_CHURN,  /* one in ten objects stays */
	LEAK_SPIKES, /* with much that comes and goes in between */
	LEAK_LATE,   /* from a third of the watch on, where there was churn before */
	CACHE_30,    /* full after 30 % of the watch */
	CACHE_70,
	CACHE_KEYS, /* every key once: ever fewer are new */
	LOADER,	    /* all goes at the end of each period */
	STARTUP,
	CHURN,
	QUEUE,	    /* fluctuates around a mean, first in first out */
	QUEUE_SLOW, /* objects stay in it for a tenth of the watch */
	KINDS,
};

static const char *const kind_names[KINDS] = {
	"leak_fast",   "leak_slow", "leak_bursts", "leak_batch", "leak_churn",
	"leak_spikes", "leak_late", "cache_30",	   "cache_70",	 "cache_keys",
	"loader",      "startup",   "churn",	   "queue",	 "queue_slow",
};

static uint64_t rng_state;

/* splitmix64 */
static uint64_t rng_next(void)
{
	uint64_t z = rng_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* In (0, 1]. */
static double rng_unit(void)
{
	return ((double)(rng_next() >> 11) + 1) / 0x1p53;
}

static double rng_normal(void)
{
	return sqrt(-2 * log(rng_unit())) * cos(2 * M_PI * rng_unit());
}

static unsigned int rng_poisson(double rate)
{
	double limit = exp(-rate), product = rng_unit();
	unsigned int n = 0;

	if (rate > 30)
		return (unsigned int)fmax(0, rate + sqrt(rate) * rng_normal() + 0.5);
	for (; product > limit; product *= rng_unit())
		n++;
	return n;
}

struct object {
	uint64_t number;   /* among all the site made */
	double born, dies; /* seconds */
	bool dead;
};

struct program {
	enum kind kind;
	struct mw_site_stats *site;
	double size, chance; /* bytes of an object; of its being seen */
	double length;	     /* of the queue */
	unsigned int next;   /* tick of the next batch */
	uint64_t made, head; /* objects; those before HEAD are gone */
	struct object *seen;
	size_t count, capacity, first; /* before FIRST all are dead */
};

struct world {
	struct mw_sites *sites;
	struct program programs[KINDS];
	size_t count;
	unsigned int ticks; /* how long the watch will be */
	double pace;	    /* seconds a tick */
	double now;
	unsigned int periods; /* of the loader, in the whole watch */
};

static void world_open(struct world *w, uint64_t seed, unsigned int ticks, double pace,
		       double interval)
{
	memset(w, 0, sizeof(*w));
	rng_state = seed * 7919 + ticks;
	w->sites = mw_sites__new();
	w->ticks = ticks;
	w->pace = pace;
	w->periods = 3 + (unsigned int)(seed % 5);
	for (int k = 0; k < KINDS; k++) {
		struct program *p = &w->programs[k];
		struct mw_frame frame = {MW_FRAME_PYTHON, 88, kind_names[k], "/srv/app.py", 0};

		p->kind = (enum kind)k;
		p->size = 500 + (double)(rng_next() % 1500);
		p->chance = interval > 0 ? 1 - exp(-p->size / interval) : 1;
		p->length = k == QUEUE_SLOW ? 6.0 * ticks : 150;
		p->site = mw_sites__intern(w->sites, 1, &frame, 1, 0);
		p->site->first_seen = 0;
	}
}

static void world_close(struct world *w)
{
	for (int k = 0; k < KINDS; k++)
		free(w->programs[k].seen);
	mw_sites__free(w->sites);
}

/* Make N objects that live LIFE seconds each (mean of an exponential; 0: until told). */
static void make_objects(struct world *w, struct program *p, unsigned int n, double life)
{
	struct mw_site_totals *t = &p->site->totals;

	for (unsigned int i = 0; i < n; i++, p->made++) {
		double weight = 1 / p->chance;

		if (p->chance < 1 && rng_unit() > p->chance)
			continue;
		if (p->count == p->capacity) {
			p->capacity = p->capacity ? 2 * p->capacity : 64;
			p->seen = realloc(p->seen, p->capacity * sizeof(*p->seen));
		}
		p->seen[p->count++] = (struct object){
			.number = p->made,
			.born = w->now - w->pace * (1 - (double)i / n),
			.dies = life > 0 ? w->now - life * log(rng_unit()) : INFINITY,
		};
		t->allocs += weight;
		t->alloc_bytes += weight * p->size;
		t->live_variance += p->size * p->size * (1 - p->chance) * weight * weight;
		t->samples++;
	}
}

/* Free what is before the program's head or has lived its time. */
static void free_objects(const struct world *w, struct program *p)
{
	struct mw_site_totals *t = &p->site->totals;

	for (size_t i = p->first; i < p->count; i++) {
		struct object *o = &p->seen[i];
		double weight = 1 / p->chance;

		if (o->dead || (o->number >= p->head && o->dies > w->now))
			continue;
		o->dead = true;
		t->frees += weight;
		t->freed_bytes += weight * p->size;
		t->live_variance -= p->size * p->size * (1 - p->chance) * weight * weight;
	}
	while (p->first < p->count && p->seen[p->first].dead)
		p->first++;
	all_seen(t);
}

/* Drop the oldest until at most LIMIT are left. */
static void keep_newest(struct program *p, double limit)
{
	if ((double)(p->made - p->head) > limit)
		p->head = p->made - (uint64_t)limit;
}

static void program_tick(struct world *w, struct program *p, unsigned int tick)
{
	double watch = w->ticks, mean = p->kind == QUEUE_SLOW ? 6 * watch : 150;
	double memory = fmax(2, watch / 15);
	unsigned int period = w->ticks / w->periods;

	switch (p->kind) {
	case LEAK_FAST:
		make_objects(w, p, rng_poisson(100), 0);
		break;
	case LEAK_SLOW:
		make_objects(w, p, rng_poisson(12), 0);
		break;
	case LEAK_BURSTS:
		if (rng_unit() < fmin(0.7, 24 / watch))
			make_objects(w, p, rng_poisson(80 * fmax(1 / 0.7, watch / 24)), 0);
		break;
	case LEAK_BATCH:
		if (tick >= p->next) {
			unsigned int slot = (unsigned int)fmax(2, watch / 24);

			make_objects(w, p, rng_poisson(80.0 * slot), 0);
			p->next = (tick / slot + 1) * slot + (unsigned int)(rng_next() % slot);
		}
		break;
	case LEAK_CHURN:
		make_objects(w, p, rng_poisson(40), 0);
		make_objects(w, p, rng_poisson(360), w->pace);
		break;
	case LEAK_SPIKES:
		make_objects(w, p, rng_poisson(40), 0);
		if (tick % (2 + w->ticks / 8) == 0)
			make_objects(w, p, (unsigned int)(20 * watch), 0.7 * w->pace);
		break;
	case LEAK_LATE:
		make_objects(w, p, rng_poisson(tick > watch / 3 ? 60 : 0), 0);
		make_objects(w, p, rng_poisson(60), w->pace);
		break;
	case CACHE_30:
	case CACHE_70:
		make_objects(w, p, rng_poisson(60), 0);
		keep_newest(p, 60 * watch * (p->kind == CACHE_30 ? 0.3 : 0.7));
		break;
	case CACHE_KEYS:
		make_objects(w, p, rng_poisson(100 * exp(-5.0 * tick / watch)), 0);
		break;
	case LOADER:
		make_objects(w, p, rng_poisson(60), 0);
		if (tick % period == 0)
			p->head = p->made;
		break;
	case STARTUP:
		make_objects(w, p, rng_poisson(tick <= watch / 10 ? 200 : 0), 0);
		make_objects(w, p, rng_poisson(0.2), 5 * w->pace);
		break;
	case CHURN:
		make_objects(w, p, rng_poisson(400), 1.5 * w->pace);
		break;
	case QUEUE:
	case QUEUE_SLOW:
		make_objects(w, p, rng_poisson(60), 0);
		p->length +=
			(mean - p->length) / memory + 0.4 * mean * sqrt(2 / memory) * rng_normal();
		p->length = fmax(p->length, 0);
		keep_newest(p, p->length);
		break;
	case KINDS:
		break;
	}
	free_objects(w, p);
}

/* What was made up to a part of the watch, and what is left of it. */
static void count_cohorts(const struct world *w, struct program *p)
{
	static const double parts[MW_SITE_COHORTS] = {1, 0.5, 0.25};

	for (int c = 0; c < MW_SITE_COHORTS; c++) {
		struct mw_site_cohort *cohort = &p->site->cohorts[c];
		double born = 0, alive = 0;

		for (size_t i = 0; i < p->count && p->seen[i].born <= parts[c] * w->now; i++) {
			born += 1 / p->chance;
			alive += p->seen[i].dead ? 0 : 1 / p->chance;
		}
		*cohort = (struct mw_site_cohort){
			.before = parts[c] * w->now,
			.born = born,
			.born_bytes = born * p->size,
			.alive = alive,
			.alive_bytes = alive * p->size,
		};
	}
}

static void world_tick(struct world *w, unsigned int tick, unsigned int kinds)
{
	w->now = tick * w->pace;
	for (int k = 0; k < KINDS; k++) {
		if (kinds & 1u << k)
			program_tick(w, &w->programs[k], tick);
	}
	mw_sites__tick(w->sites, w->now);
}

static void world_cohorts(struct world *w)
{
	for (int k = 0; k < KINDS; k++)
		count_cohorts(w, &w->programs[k]);
}

enum {
	LEAKS = 1u << LEAK_FAST | 1u << LEAK_SLOW | 1u << LEAK_BURSTS | 1u << LEAK_BATCH |
		1u << LEAK_CHURN | 1u << LEAK_SPIKES | 1u << LEAK_LATE,
	OTHERS = (1u << KINDS) - 1 - LEAKS,
};

static const unsigned int lengths[] = {15, 30, 64, 100, 250, 500};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

/*
 * One byte in so many starts a sample. A short watch gets more samples a second, so that there is
 * something to judge.
 */
static double interval_of(unsigned int ticks)
{
	return 16384 * fmin(1, ticks / 100.0);
}

static void run_world(struct world *w, uint64_t seed, unsigned int ticks, double interval,
		      unsigned int kinds)
{
	world_open(w, seed, ticks, 1, interval);
	for (unsigned int t = 1; t <= ticks; t++)
		world_tick(w, t, kinds);
	world_cohorts(w);
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Suspects under a budget, over simulated programs that know what they leak: windows of probes see
 * a part of the time, walks of the heap come every few seconds, the allocator gives the block that
 * was freed last out first, and the heap grows when it is full.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/suspects.h"
#include "model/totals.h"
#include "model/tracked.h"
#include "model/weight.h"
#include "tests/unit/test.h"

enum { PLACES = 1 << 18, SLOTS = 1 << 16, SITES_MAX = 4, NONE = -1 };

/* Bytes; seconds. What ran before the watch has its caches full. */
static const double PERIOD = 4096, BEFORE = 150, WALK = 5, TICK = 2.5, SLOT = 0.01, WINDOW = 0.2;
static const double MIB_MIN = 1048576 / 60.0;

enum fate {
	LEAKS,
	AT_ONCE,   /* dies after a moment */
	BY_CHANCE, /* after LIFE on average */
	IN_TURN,   /* after LIFE */
	TOGETHER,  /* at the end of every LIFE */
	FILLS,	   /* a cache of random keys: ever less is made, LIFE until it is 1/e, all stays */
};

struct maker {
	const char *name;
	enum fate fate;
	double rate; /* bytes a second */
	double size, life;
	double from, until; /* seconds, in which it makes anything; 0: to the end */
	double part;	    /* of what it makes leaks, whatever the FATE of the others */
};

struct program {
	struct maker makers[SITES_MAX];
	enum { DIFFERENT, ALIKE, UNTOUCHED } content; /* UNTOUCHED: what was there before */
	double coverage;			      /* share of the time in which probes are in */
};

struct place {
	uint64_t number;
	int site, next, mapped; /* NEXT: in its slot; MAPPED: where it is in the programs' map */
	uint64_t time;		/* 0: nobody is there */
};

/* The programs' map: of blocks, even when another one is there by now. */
struct entry {
	int place, site;
	uint64_t time;
};

struct run {
	const struct program *program;
	uint64_t seed, number, since;
	struct place *places;
	int *free_list, *slots;
	size_t place_count, free_count, site_count, slot;
	bool counting;
	struct mw_tracked *tracked;
	struct mw_site_counts counts[SITES_MAX];
	struct entry *map;
	size_t map_count;
	double period, live, heap, closed, owed[SITES_MAX];
	double made[SITES_MAX], gone[SITES_MAX]; /* bytes, of what was made in the watch */
	struct mw_resident resident;
	struct mw_sites *sites;
	struct mw_label_groups *groups;
	struct mw_suspicions named;
};

static double uniform(struct run *r)
{
	r->seed = r->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(r->seed >> 11) / 9007199254740992.0;
}

static double weight_of(const struct run *r, int site)
{
	return mw_sample_weight((uint64_t)r->program->makers[site].size, (uint64_t)r->period);
}

static void unmap(struct run *r, int place)
{
	int at = r->places[place].mapped;

	if (at == NONE)
		return;
	r->map[at] = r->map[--r->map_count];
	r->places[r->map[at].place].mapped = at;
	r->places[place].mapped = NONE;
}

static void map_block(struct run *r, int place, int site, uint64_t time)
{
	r->places[place].mapped = (int)r->map_count;
	r->map[r->map_count++] = (struct entry){place, site, time};
}

static void release(struct run *r, int place)
{
	struct place *p = &r->places[place];
	double weight = weight_of(r, p->site);

	r->live -= r->program->makers[p->site].size;
	if (p->time > (uint64_t)(BEFORE * 1e9))
		r->gone[p->site] += r->program->makers[p->site].size;
	if (r->counting && p->mapped != NONE) {
		if (r->map[p->mapped].time >= r->since) {
			r->counts[p->site].frees += (uint64_t)(weight * 1024);
			r->counts[p->site].freed_bytes +=
				(uint64_t)(weight * r->program->makers[p->site].size);
		}
		unmap(r, place);
	}
	p->time = 0;
	r->free_list[r->free_count++] = place;
}

static double dies_at(struct run *r, const struct maker *m, double now)
{
	if (m->fate == LEAKS || m->fate == FILLS || (m->part > 0 && uniform(r) < m->part))
		return INFINITY;
	switch (m->fate) {
	case BY_CHANCE:
		return now - m->life * log(1 - uniform(r));
	case IN_TURN:
		return now + m->life;
	case TOGETHER:
		return (floor(now / m->life) + 1) * m->life;
	default:
		return now + 0.02 * uniform(r);
	}
}

static void make(struct run *r, int site, double now)
{
	const struct maker *m = &r->program->makers[site];
	int place = r->free_count ? r->free_list[--r->free_count] : (int)r->place_count++;
	struct place *p = &r->places[place];
	double dies = dies_at(r, m, now), weight = weight_of(r, site);

	if (r->counting)
		unmap(r, place);
	p->site = site;
	p->time = (uint64_t)(now * 1e9) + 1;
	p->number = ++r->number;
	r->live += m->size;
	r->made[site] += now > BEFORE ? m->size : 0;
	while (r->live > r->heap)
		r->heap += 4096;
	if (dies / SLOT < SLOTS) {
		size_t at = (size_t)(dies / SLOT);
		int *slot = &r->slots[at > r->slot ? at : r->slot + 1];

		p->next = *slot;
		*slot = place;
	}
	if (!r->counting || uniform(r) >= 1 / weight)
		return;
	r->counts[site].samples++;
	r->counts[site].allocs += (uint64_t)(weight * 1024);
	r->counts[site].alloc_bytes += (uint64_t)(weight * m->size);
	map_block(r, place, site, p->time);
}

static uint64_t print_of(const struct run *r, int place)
{
	uint64_t words[MW_PRINT_WORDS] = {0};

	uint64_t number =
		r->program->content == UNTOUCHED ? (uint64_t)place + 1 : r->places[place].number;

	for (uint64_t i = 0; i < MW_PRINT_WORDS - 2 && r->program->content != ALIKE; i++)
		words[i] = (number * 31 + i) * 0x2545f4914f6cdd1dULL;
	return mw_print_of(words);
}

static void begin_window(struct run *r, double now)
{
	const struct mw_tracked_block *blocks;
	size_t count;

	while (r->map_count)
		unmap(r, r->map[0].place);
	blocks = mw_tracked__blocks(r->tracked, &count);
	for (size_t i = 0; i < count; i++)
		map_block(r, (int)blocks[i].key - 1, (int)blocks[i].site - 1, blocks[i].time);
	r->since = (uint64_t)(now * 1e9);
	r->counting = true;
}

static void end_window(struct run *r, double now)
{
	double seconds = now - (double)r->since / 1e9, scale = (now - r->closed) / seconds;
	struct mw_tracked_block *blocks;
	size_t count;

	r->closed = now;
	r->counting = false;
	mw_tracked__begin_window(r->tracked, now, seconds, &scale, &now, 1);
	for (size_t i = 0; i < r->site_count; i++)
		mw_tracked__add_counts(r->tracked, i + 1, &r->counts[i]);
	for (size_t i = 0; i < r->map_count; i++) {
		const struct entry *e = &r->map[i];
		struct mw_alloc_record record = {(uint64_t)r->program->makers[e->site].size,
						 e->time, (uint64_t)e->site + 1};

		mw_tracked__add_block(r->tracked, (uint64_t)e->place + 1, &record);
	}
	mw_tracked__end_window(r->tracked);
	blocks = mw_tracked__blocks(r->tracked, &count);
	for (size_t i = 0; i < count; i++)
		mw_tracked__print(r->tracked, &blocks[i], print_of(r, (int)blocks[i].key - 1));
}

/* Is there a block as large? */
static bool has_block_of(const struct run *r, int place, double size)
{
	const struct place *p = &r->places[place];

	return p->time && fabs(r->program->makers[p->site].size - size) <= 64;
}

static void walk(struct run *r, double now)
{
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(r->tracked, &count);

	for (size_t i = 0; i < count; i++) {
		int place = (int)blocks[i].key - 1;

		if (now - (double)blocks[i].time / 1e9 >= 1)
			mw_tracked__found(r->tracked, &blocks[i],
					  has_block_of(r, place, (double)blocks[i].size)
						  ? MW_LIVENESS_ALIVE
						  : MW_LIVENESS_FREED,
					  0, print_of(r, place), now);
	}
	mw_tracked__sweep(r->tracked, now, NULL, NULL);
}

static size_t tick(struct run *r, double now, struct mw_suspect *out)
{
	double elapsed = now - BEFORE;

	mw_tracked__settle(r->tracked, now, &now, 1, 0);
	for (size_t i = 0; i < mw_sites__count(r->sites); i++) {
		struct mw_site_stats *site =
			(struct mw_site_stats *)(uintptr_t)mw_sites__at(r->sites, i);
		const struct mw_tracked_site *seen = mw_tracked__site(r->tracked, i + 1);

		site->totals = (struct mw_site_totals){.samples = r->counts[i].samples};
		site->generations.width = 0;
		if (!seen)
			continue;
		site->flags |= MW_SITE_TRACKED | MW_SITE_WINDOWS;
		mw_totals__add_tracked(&site->totals, seen);
		mw_generations__add(&site->generations, &seen->generations);
		if (site->first_seen <= 0)
			site->first_seen = elapsed;
	}
	mw_sites__tick(r->sites, elapsed);
	mw_resident__add(&r->resident, elapsed, r->heap + 65536 * uniform(r));
	CHECK(!mw_label_groups__update(r->groups, r->sites, NULL));
	return mw_suspects__find(r->groups, &r->resident, elapsed, &r->named, out, SITES_MAX);
}

static void open_run(struct run *r, const struct program *program, uint64_t seed)
{
	memset(r, 0, sizeof(*r));
	r->program = program;
	r->seed = seed * 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < 8; i++)
		uniform(r);
	r->period = PERIOD;
	r->places = calloc(PLACES, sizeof(*r->places));
	r->free_list = calloc(PLACES, sizeof(*r->free_list));
	r->map = calloc(PLACES, sizeof(*r->map));
	r->slots = malloc(SLOTS * sizeof(*r->slots));
	for (size_t i = 0; i < SLOTS; i++)
		r->slots[i] = NONE;
	for (size_t i = 0; i < PLACES; i++)
		r->places[i].mapped = NONE;
	r->tracked = mw_tracked__new((uint64_t)r->period);
	r->sites = mw_sites__new();
	r->groups = mw_label_groups__new(0);
	for (; r->site_count < SITES_MAX && program->makers[r->site_count].name; r->site_count++) {
		struct mw_frame frame = {MW_FRAME_PYTHON, 7, program->makers[r->site_count].name,
					 "/srv/app.py", 0};

		mw_sites__intern(r->sites, 0, &frame, 1, 0);
		r->counts[r->site_count].kind = MW_KIND_ALLOC;
	}
}

static void close_run(struct run *r)
{
	mw_label_groups__free(r->groups);
	mw_sites__free(r->sites);
	mw_tracked__free(r->tracked);
	free(r->places);
	free(r->free_list);
	free(r->map);
	free(r->slots);
}

/* What the program does from NOW on, for a slot of time. */
static void pass(struct run *r, double now)
{
	int place = r->slots[r->slot], next;

	for (; place != NONE; place = next) {
		next = r->places[place].next;
		release(r, place);
	}
	for (size_t i = 0; i < r->site_count; i++) {
		const struct maker *m = &r->program->makers[i];

		if (now < m->from || (m->until > 0 && now >= m->until))
			continue;
		r->owed[i] += m->rate * SLOT / m->size *
			      (m->fate == FILLS ? exp(-(now - m->from) / m->life) : 1);
		/* By chance, around as many. */
		for (double n = r->owed[i]; n > 0 && uniform(r) < n; n--) {
			make(r, (int)i, now + SLOT * uniform(r));
			r->owed[i]--;
		}
	}
}

/* Is TRUE_BYTES what PART says it is, within three stated errors, or with what is UNKNOWN more? */
static bool holds(double part, double variance, double unknown, double true_bytes)
{
	double error = 3 * sqrt(variance);

	return true_bytes >= part - error && true_bytes <= part + unknown + error;
}

/* How many sites' numbers of kept and freed bytes are wrong. */
static unsigned int count_wrong(const struct run *r, unsigned int *all)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < r->site_count; i++) {
		const struct mw_tracked_site *seen = mw_tracked__site(r->tracked, i + 1);
		double kept = r->made[i] - r->gone[i];

		if (!seen || !(seen->allocated.calls > 0))
			continue;
		*all += 2;
		wrong += !holds(seen->kept.bytes, seen->kept.variance,
				seen->unknown.bytes + 3 * sqrt(seen->unknown.variance), kept);
		wrong += !holds(seen->freed.bytes, seen->freed.variance,
				seen->unknown.bytes + 3 * sqrt(seen->unknown.variance), r->gone[i]);
		if (getenv("MW_SEEDS") && wrong)
			printf("  %s: kept %.0f +-%.0f is %.0f, freed %.0f +-%.0f is %.0f, unknown %.0f\n",
			       r->program->makers[i].name, seen->kept.bytes,
			       sqrt(seen->kept.variance), kept, seen->freed.bytes,
			       sqrt(seen->freed.variance), r->gone[i], seen->unknown.bytes);
	}
	return wrong;
}

struct result {
	unsigned int numbers, wrong_numbers;
	double named;		/* seconds until the first site is a suspect; INFINITY: never */
	const char *false_name; /* another one that was */
	double false_at;
};

static struct result watch(const struct program *program, uint64_t seed, double seconds)
{
	struct result result = {.named = INFINITY};
	double next_window = BEFORE + 0.1, next_walk = BEFORE + 3, opened = 0;
	double next_tick = BEFORE + TICK, gap = WINDOW / program->coverage - WINDOW;
	struct run r;

	open_run(&r, program, seed);
	for (; r.slot < (BEFORE + seconds) / SLOT; r.slot++) {
		double now = (double)r.slot * SLOT;
		struct mw_suspect found[SITES_MAX];
		size_t n = 0;

		pass(&r, now);
		if (now < BEFORE) {
			r.closed = now;
			mw_tracked__begin(r.tracked, now, &now, 1);
			continue;
		}
		if (!opened && now >= next_window) {
			begin_window(&r, now);
			opened = now;
		} else if (opened > 0 && now >= opened + WINDOW) {
			end_window(&r, now);
			opened = 0;
			next_window = now + gap * (0.6 + 0.8 * uniform(&r));
		}
		if (now >= next_walk && !opened) {
			walk(&r, now);
			next_walk = now + WALK;
			/* What is kept is what this look has found. */
			mw_tracked__settle(r.tracked, now, &now, 1, 0);
			result.wrong_numbers += count_wrong(&r, &result.numbers);
		}
		if (now >= next_tick) {
			n = tick(&r, now, found);
			next_tick += TICK;
		}
		for (size_t i = 0; i < n; i++) {
			bool leak = strstr(found[i].label, "leak") != NULL;

			if (getenv("MW_SEEDS"))
				printf("  %5.1f %s\n", now - BEFORE, found[i].sentence);
			if (leak)
				result.named = fmin(result.named, now - BEFORE);
			else if (!result.false_name) {
				result.false_at = now - BEFORE;
				for (size_t k = 0; k < r.site_count; k++) {
					if (strstr(found[i].label, program->makers[k].name))
						result.false_name = program->makers[k].name;
				}
			}
		}
	}
	close_run(&r);
	return result;
}

/* WITHIN: seconds until the leak is named, in 19 of 20 runs; 0: there is none. */
static void check(const char *what, const struct program *program, double seconds, double within)
{
	uint64_t seeds = getenv("MW_SEEDS") ? strtoull(getenv("MW_SEEDS"), NULL, 10) : 20;
	unsigned int late = 0, wrong = 0, numbers = 0, wrong_numbers = 0;
	double sum = 0, last = 0;

	if (getenv("MW_CASE") && !strstr(what, getenv("MW_CASE")))
		return;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct result r = watch(program, seed, seconds);

		late += within > 0 && r.named > within;
		sum += r.named;
		last = fmax(last, r.named);
		if (r.false_name && getenv("MW_SEEDS"))
			printf("  seed %u: %s at %.0f s\n", (unsigned int)seed, r.false_name,
			       r.false_at);
		wrong += r.false_name != NULL;
		numbers += r.numbers;
		wrong_numbers += r.wrong_numbers;
	}
	if (getenv("MW_SEEDS"))
		printf("%-32s late %u, wrong %u of %u; named after %.1f s on average, %.0f at most; "
		       "numbers %u wrong of %u\n",
		       what, late, wrong, (unsigned int)seeds, sum / (double)seeds, last,
		       wrong_numbers, numbers);
	if (wrong_numbers > numbers / 100)
		TEST_FAIL("%s: %u of %u numbers are wrong", what, wrong_numbers, numbers);
	if (late > seeds / 20 || wrong > seeds / 100)
		TEST_FAIL("%s: late %u, wrong %u of %u", what, late, wrong, (unsigned int)seeds);
}

TEST(leak_of_10_mib_a_minute)
{
	struct maker leak = {"leak", LEAKS, 10 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker churn = {"churn", AT_ONCE, 10 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker cache = {"cache", BY_CHANCE, 10 * MIB_MIN, 2000, 20, 0, 0, 0};

	check("10, alone, 30 %", &(struct program){{leak}, DIFFERENT, 0.3}, 45, 45);
	check("10, alone, alike", &(struct program){{leak}, ALIKE, 0.3}, 45, 45);
	check("10, churn, 30 %", &(struct program){{leak, churn, cache}, DIFFERENT, 0.3}, 45, 45);
	churn.rate *= 30;
	check("10, 30 x churn, 10 %", &(struct program){{leak, churn, cache}, DIFFERENT, 0.1}, 45,
	      45);
	churn.rate *= 3;
	check("10, 100 x churn, 4 %", &(struct program){{leak, churn}, DIFFERENT, 0.04}, 45, 45);
}

TEST(leak_of_2_mib_a_minute)
{
	struct maker leak = {"leak", LEAKS, 2 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker churn = {"churn", AT_ONCE, 20 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker fifo = {"fifo", IN_TURN, 10 * MIB_MIN, 2000, 30, 0, 0, 0};

	check("2, churn, 30 %", &(struct program){{leak, churn, fifo}, DIFFERENT, 0.3}, 180, 180);
	churn.rate *= 10;
	check("2, 100 x churn, 10 %", &(struct program){{leak, churn, fifo}, DIFFERENT, 0.1}, 180,
	      180);
	check("2, 100 x churn, 4 %", &(struct program){{leak, churn}, DIFFERENT, 0.04}, 180, 180);
}

TEST(one_in_ten_stays)
{
	struct maker third = {"leak", IN_TURN, 30 * MIB_MIN, 1600, 1, 0, 0, 1 / 3.0};
	struct maker churn = {"churn", AT_ONCE, 1000 * MIB_MIN, 1700, 0, 0, 0, 0};

	check("third, 10", &(struct program){{third, churn}, DIFFERENT, 0.1}, 60, 45);
	check("third, 4", &(struct program){{third, churn}, DIFFERENT, 0.04}, 60, 45);
	check("third, 2", &(struct program){{third, churn}, DIFFERENT, 0.02}, 60, 60);
	struct maker leak = {"leak", AT_ONCE, 100 * MIB_MIN, 1500, 0, 0, 0, 0.1};

	check("a tenth leaks", &(struct program){{leak}, DIFFERENT, 0.1}, 60, 50);
}

TEST(healthy_programs)
{
	struct maker cache = {"cache", BY_CHANCE, 40 * MIB_MIN, 2000, 20, 0, 0, 0};
	struct maker long_cache = {"long cache", BY_CHANCE, 10 * MIB_MIN, 2000, 50, 0, 0, 0};
	struct maker fifo = {"fifo", IN_TURN, 20 * MIB_MIN, 2000, 30, 0, 0, 0};
	struct maker loader = {"loader", TOGETHER, 60 * MIB_MIN, 3000, 7, 0, 0, 0};
	struct maker fresh = {"fresh fifo", IN_TURN, 20 * MIB_MIN, 2000, 30, BEFORE, 0, 0};
	struct maker filling = {"filling", LEAKS, 40 * MIB_MIN, 2000, 0, BEFORE, BEFORE + 25, 0};
	struct maker starts = {"starts", LEAKS, 200 * MIB_MIN, 2000, 0, BEFORE, BEFORE + 8, 0};

	check("caches", &(struct program){{cache, long_cache}, DIFFERENT, 0.2}, 180, 0);
	check("caches, 4 %", &(struct program){{cache, long_cache}, DIFFERENT, 0.04}, 180, 0);
	check("caches, alike", &(struct program){{cache, long_cache}, ALIKE, 0.2}, 180, 0);
	check("fifo, loader", &(struct program){{fifo, loader}, DIFFERENT, 0.2}, 180, 0);
	check("fifo, loader, alike", &(struct program){{fifo, loader}, ALIKE, 0.2}, 180, 0);
	check("fresh fifo", &(struct program){{fresh, loader}, DIFFERENT, 0.2}, 120, 0);
	check("fresh fifo, alike", &(struct program){{fresh, loader}, ALIKE, 0.2}, 120, 0);
	check("filling, starts", &(struct program){{filling, starts}, DIFFERENT, 0.2}, 120, 0);
}

/* What is 64 MiB when it is full; slower ones can't be told from a leak in two minutes. */
/* Who writes little to a block leaves there what the one before it had: a print knows none. */
TEST(blocks_that_nobody_writes_to)
{
	struct maker leak = {"leak", LEAKS, 10 * MIB_MIN, 1000, 0, 0, 0, 0};
	struct maker churn = {"churn", AT_ONCE, 200 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker cache = {"cache", BY_CHANCE, 40 * MIB_MIN, 2000, 20, 0, 0, 0};
	struct maker ring = {"ring", IN_TURN, 200 * MIB_MIN, 100, 0.3, 0, 0, 0};

	check("churn", &(struct program){{churn, cache}, UNTOUCHED, 0.2}, 60, 0);
	check("ring", &(struct program){{ring}, UNTOUCHED, 0.02}, 60, 0);
	check("ring, alike", &(struct program){{ring}, ALIKE, 0.02}, 60, 0);
	check("leak", &(struct program){{leak, churn}, UNTOUCHED, 0.2}, 60, 45);
}

TEST(caches_that_fill_ever_more_slowly)
{
	static const double lives[] = {15, 90};
	struct maker leak = {"leak", LEAKS, 10 * MIB_MIN, 1500, 0, 0, 0, 0};
	struct maker churn = {"churn", AT_ONCE, 60 * MIB_MIN, 1500, 0, 0, 0, 0};

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct maker fills = {
			"fills", FILLS, 64 * 1048576 / lives[i], 3000, lives[i], BEFORE, 0, 0};
		double within = lives[i] < 60 ? 120 : 45;

		check("fills", &(struct program){{fills, churn}, DIFFERENT, 0.2}, 90, 0);
		check("fills and leak", &(struct program){{fills, churn, leak}, DIFFERENT, 0.3},
		      within, within);
	}
}

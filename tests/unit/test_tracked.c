// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kept, freed and unknown over simulated programs that know their truth: windows see a hundredth of
 * the time, walks of the heap come every few seconds, and the allocator gives the block that was
 * freed last out first.
 */
#include <math.h>
#include <stdlib.h>

#include "model/tracked.h"
#include "model/weight.h"
#include "tests/unit/test.h"

enum { SITE = 7, BLOCKS = 1 << 17, RING = 1 << 17 };

static const double RATE = 2000, GAP = 0.7, WINDOW = 0.05, WALK = 5, SIZE = 900;
static const uint64_t PERIOD = 4096;

struct program {
	double keep;	/* share that is kept for good */
	double life;	/* seconds that the others live: 0: at once; FIFO when above */
	bool by_chance; /* they die by chance, with that mean */
	bool alike;	/* all blocks have the same content */
	bool changes;	/* all content of a block changes while it lives */
	bool grows;	/* a part of it does */
	double begins;	/* seconds: nothing is allocated before */
};

/* One block's place: who is there, and until when. */
struct place {
	uint64_t time; /* ns; 0: free */
	double until;
	uint64_t number;
};

struct run {
	const struct program *program;
	uint64_t seed, made, since; /* ns: when the window was opened */
	struct place *places;
	uint32_t *free_list, *order;
	size_t place_count, free_count, first, last;
	struct mw_tracked *tracked;
	struct mw_site_counts counts;
	double kept, freed, allocated, closed, expired_at;
	struct {
		uint32_t place;
		uint64_t time;
	} * sampled;
	size_t sampled_count;
};

static double uniform(struct run *r)
{
	r->seed = r->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(r->seed >> 11) / 9007199254740992.0;
}

static double weight(void)
{
	return mw_sample_weight((uint64_t)SIZE, PERIOD);
}

static void release(struct run *r, uint32_t place, bool counting)
{
	struct place *p = &r->places[place];

	r->freed++;
	r->kept--;
	/* Seen by a probe: tracked ones go from the list of the window, counted ones are counted.
	 */
	for (size_t i = 0; counting && i < r->sampled_count; i++) {
		if (r->sampled[i].place == place) {
			if (r->sampled[i].time >= r->since) {
				r->counts.frees += (uint64_t)(weight() * 1024);
				r->counts.freed_bytes += (uint64_t)(weight() * SIZE);
			}
			r->sampled[i] = r->sampled[--r->sampled_count];
			break;
		}
	}
	p->time = 0;
	r->free_list[r->free_count++] = place;
}

static void allocate(struct run *r, double now, bool counting)
{
	const struct program *g = r->program;
	uint32_t place = r->free_count ? r->free_list[--r->free_count] : (uint32_t)r->place_count++;
	struct place *p = &r->places[place];
	bool keep = uniform(r) < g->keep;

	p->time = (uint64_t)(now * 1e9) + 1;
	p->number = ++r->made;
	p->until = keep		  ? INFINITY
		   : g->by_chance ? now - g->life * log(1 - uniform(r))
				  : now + g->life;
	r->allocated++;
	r->kept++;
	/* The kernel's map has one block a place. */
	for (size_t i = 0; counting && i < r->sampled_count; i++) {
		if (r->sampled[i].place == place)
			r->sampled[i--] = r->sampled[--r->sampled_count];
	}
	if (!keep)
		r->order[r->last++ % RING] = place;
	if (counting && uniform(r) < 1 / weight()) {
		r->counts.samples++;
		r->counts.allocs += (uint64_t)(weight() * 1024);
		r->counts.alloc_bytes += (uint64_t)(weight() * SIZE);
		r->sampled[r->sampled_count].place = place;
		r->sampled[r->sampled_count++].time = p->time;
	}
	if (!keep && g->life <= 0) {
		r->last--;
		release(r, place, counting);
	}
}

static void expire(struct run *r, double now, bool counting)
{
	const struct program *g = r->program;

	if (g->by_chance) {
		/* All are looked through: not at every step. */
		if (now < r->expired_at + 0.05)
			return;
		r->expired_at = now;
		for (size_t i = r->first; i < r->last; i++) {
			uint32_t place = r->order[i % RING];

			if (r->places[place].until > now)
				continue;
			release(r, place, counting);
			r->order[i % RING] = r->order[r->first++ % RING];
		}
		return;
	}
	while (r->first < r->last && r->places[r->order[r->first % RING]].until <= now)
		release(r, r->order[r->first++ % RING], counting);
}

static uint64_t key_of(uint32_t place)
{
	return place * 16ULL + 1;
}

/* Zeros with a few words of its own, as most content is; or nothing but zeros. */
static uint64_t print_of(const struct run *r, uint64_t key, double now)
{
	uint64_t number = r->places[(key - 1) / 16].number;
	uint64_t words[MW_PRINT_WORDS] = {0};

	for (uint64_t i = 0; i < MW_PRINT_WORDS - 2 && !r->program->alike; i++)
		words[i] = (number * 31 + i) * 0x2545f4914f6cdd1dULL;
	/* A list grows: its last words change. One that is written anew all the time: all do. */
	for (uint64_t i = 0; i < MW_PRINT_WORDS && r->program->changes; i++)
		words[i] += (uint64_t)(now * 10) * 0x9e3779b97f4a7c15ULL * (i + 1);
	words[MW_PRINT_WORDS - 1] = r->program->grows ? (uint64_t)now : 0;
	return mw_print_of(words);
}

static void end_window(struct run *r, double now)
{
	double scale = (now - r->closed) / (now - (double)r->since / 1e9), own = now;
	struct mw_tracked_block *blocks;
	size_t count;

	r->closed = now;
	mw_tracked__begin_window(r->tracked, WINDOW, &scale, &own, 1);
	mw_tracked__add_counts(r->tracked, SITE, &r->counts);
	for (size_t i = 0; i < r->sampled_count; i++) {
		struct mw_alloc_record record = {(uint64_t)SIZE, r->sampled[i].time, SITE};

		mw_tracked__add_block(r->tracked, key_of(r->sampled[i].place), &record);
	}
	mw_tracked__end_window(r->tracked, now);
	blocks = mw_tracked__blocks(r->tracked, &count);
	for (size_t i = 0; i < count; i++)
		mw_tracked__print(r->tracked, &blocks[i], print_of(r, blocks[i].key, now));
}

/* The kernel's map as a window begins: blocks that are tracked. */
static void begin_window(struct run *r)
{
	size_t count;
	const struct mw_tracked_block *blocks = mw_tracked__blocks(r->tracked, &count);

	r->sampled_count = 0;
	for (size_t i = 0; i < count; i++) {
		r->sampled[r->sampled_count].place = (uint32_t)((blocks[i].key - 1) / 16);
		r->sampled[r->sampled_count++].time = blocks[i].time;
	}
}

static void walk(struct run *r, double now)
{
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(r->tracked, &count);

	for (size_t i = 0; i < count; i++) {
		const struct place *p = &r->places[(blocks[i].key - 1) / 16];

		mw_tracked__found(r->tracked, &blocks[i],
				  p->time ? MW_LIVENESS_ALIVE : MW_LIVENESS_FREED,
				  print_of(r, blocks[i].key, now), now);
	}
	mw_tracked__sweep(r->tracked, NULL, NULL);
}

static void simulate(struct run *r, const struct program *program, uint64_t seed, double seconds)
{
	double next_window = 0.1, next_walk = 3, opened = -1, own;

	memset(r, 0, sizeof(*r));
	r->program = program;
	r->seed = seed * 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < 8; i++)
		uniform(r);
	r->places = calloc(BLOCKS * 2, sizeof(*r->places));
	r->free_list = calloc(BLOCKS * 2, sizeof(*r->free_list));
	r->order = calloc(RING, sizeof(*r->order));
	r->sampled = calloc(1 << 17, sizeof(*r->sampled));
	r->tracked = mw_tracked__new(PERIOD);
	r->counts.kind = MW_KIND_ALLOC;
	for (double now = 0.001; now < seconds; now += 1 / RATE) {
		if (opened < 0 && now >= next_window) {
			begin_window(r);
			r->since = (uint64_t)(now * 1e9);
			opened = now;
		}
		expire(r, now, opened >= 0);
		if (now >= program->begins)
			allocate(r, now, opened >= 0);
		if (opened >= 0 && now >= opened + WINDOW) {
			end_window(r, now);
			opened = -1;
			next_window = now + GAP * (0.6 + 0.8 * uniform(r));
		}
		if (now >= next_walk && opened < 0) {
			walk(r, now);
			next_walk += WALK;
		}
	}
	own = seconds;
	mw_tracked__settle(r->tracked, seconds, &own, 1, 0);
}

static void end(struct run *r)
{
	mw_tracked__free(r->tracked);
	free(r->places);
	free(r->free_list);
	free(r->order);
	free(r->sampled);
}

struct result {
	int runs, bad_allocated, bad_kept, bad_freed, bad_sum;
	double unknown, error; /* shares of what was allocated, on average */
};

/* Is PART what TRUTH says, within three stated errors and what is said to be unknown? */
static bool is_off(const struct mw_amount *part, double truth, const struct mw_amount *unknown)
{
	double error = 3 * sqrt(part->variance), bytes = truth * SIZE;

	return part->bytes > bytes + error || part->bytes + unknown->bytes < bytes - error;
}

static struct result judge(const struct program *program, int runs, double seconds)
{
	struct result o = {.runs = runs};

	for (int seed = 1; seed <= runs; seed++) {
		static const struct mw_amount nothing;
		const struct mw_tracked_site *s;
		struct run r;

		simulate(&r, program, (uint64_t)seed, seconds);
		s = mw_tracked__site(r.tracked, SITE);
		CHECK(s != NULL);
		o.bad_allocated += is_off(&s->allocated, r.allocated, &nothing);
		o.bad_kept += is_off(&s->kept, r.kept, &s->unknown);
		o.bad_freed += is_off(&s->freed, r.freed, &s->unknown);
		o.bad_sum += fabs(s->kept.bytes + s->freed.bytes + s->unknown.bytes -
				  s->allocated.bytes) > 1e-6 * s->allocated.bytes;
		o.unknown += s->unknown.bytes / s->allocated.bytes / runs;
		o.error += sqrt(s->allocated.variance) / s->allocated.bytes / runs;
		end(&r);
	}
	return o;
}

/* The truth is met, and no more than UNKNOWN of what was allocated is said to be unknown. */
static void check(const struct program *program, double seconds, double unknown)
{
	struct result o = judge(program, 20, seconds);

	if (o.bad_allocated || o.bad_kept || o.bad_freed || o.bad_sum || o.unknown > unknown ||
	    o.error > 0.15)
		TEST_FAIL(
			"of %d: allocated %d, kept %d, freed %d, sums %d are off; %.2f unknown, error "
			"%.3f",
			o.runs, o.bad_allocated, o.bad_kept, o.bad_freed, o.bad_sum, o.unknown,
			o.error);
}

TEST(program_that_only_keeps_frees_nothing)
{
	struct run r;

	check(&(struct program){.keep = 1}, 30, 0.2);
	check(&(struct program){.keep = 1, .alike = true}, 30, 0.2);
	check(&(struct program){.keep = 1, .changes = true}, 30, 1);
	simulate(&r, &(struct program){.keep = 1}, 1, 30);
	CHECK(mw_tracked__site(r.tracked, SITE)->freed.bytes == 0);
	end(&r);
}

TEST(keeps_a_third)
{
	check(&(struct program){.keep = 1 / 3.0}, 40, 0.2);
	check(&(struct program){.keep = 1 / 3.0, .life = 0.02}, 40, 0.2);
	check(&(struct program){.keep = 1 / 3.0, .alike = true}, 40, 0.5);
}

TEST(nothing_is_kept)
{
	check(&(struct program){.keep = 0}, 30, 0.1);
	check(&(struct program){.keep = 0, .life = 0.3, .by_chance = true}, 30, 0.2);
}

TEST(fifo_of_30_seconds)
{
	check(&(struct program){.life = 30}, 25, 0.3);
	check(&(struct program){.life = 30}, 50, 0.3);
	check(&(struct program){.life = 10, .by_chance = true}, 50, 0.3);
}

/*
 * What can't be told apart is unknown, neither kept nor freed. All entries of a FIFO die at one
 * age, of which windows see a handful: that is the worst case, and one run in ten may be off.
 */
TEST(cache_whose_entries_look_alike)
{
	struct result o = judge(&(struct program){.life = 30, .alike = true}, 20, 50);

	CHECK(!o.bad_sum && !o.bad_allocated && o.bad_kept <= 2 && o.bad_freed <= 2);
	CHECK(o.unknown > 0.2);
	check(&(struct program){.life = 10, .by_chance = true, .alike = true}, 50, 0.9);
	check(&(struct program){.life = 10, .by_chance = true, .changes = true}, 50, 1);
}

TEST(leak_that_begins_late)
{
	check(&(struct program){.keep = 0.5, .life = 0.1, .begins = 20}, 50, 0.3);
}

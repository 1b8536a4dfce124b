// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kept, freed and unknown over simulated programs that know their truth: windows see a hundredth of
 * the time, walks of the heap come every few seconds, and the allocator gives the block that was
 * freed last out first.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/tracked.h"
#include "model/weight.h"
#include "tests/unit/test.h"

enum { SITE = 7, BLOCKS = 1 << 17, RING = 1 << 17, BUFFERS = 500, STEP = 16, NONE = BLOCKS };

static const double RATE = 2000, WINDOW = 0.05, GAPS = 14, WALK = 5, SIZE = 900;
static const uint64_t PERIOD = 4096;

struct program {
	double keep;	    /* share that is kept for good */
	double life;	    /* seconds that the others live: 0: at once; FIFO when above */
	bool by_chance;	    /* they die by chance, with that mean */
	bool alike;	    /* all blocks have the same content */
	bool changes;	    /* all content of a block changes while it lives */
	bool grows;	    /* a part of it does */
	double begins;	    /* seconds: nothing is allocated before */
	double busy, idle;  /* seconds: bursts; IDLE 0: busy all the time */
	uint32_t buffers;   /* so many that grow by realloc, instead of single blocks */
	uint32_t processes; /* that share the work, 4 to 1; 0: one */
};

/* One block's place: who is there, and until when. */
struct place {
	uint64_t time; /* ns; 0: free */
	double until, size;
	uint64_t number;
	uint32_t slot; /* of its process */
};

struct run {
	const struct program *program;
	uint64_t seed, made, since; /* ns: when the window was opened */
	struct place *places;
	uint32_t *free_list[2], *order; /* a list of each process */
	size_t place_count, free_count[2], first, last;
	struct mw_tracked *tracked;
	struct mw_site_counts counts[2];
	uint32_t buffers[BUFFERS];     /* their places */
	double kept, freed, allocated; /* bytes */
	double own, opened, closed,
		expired_at; /* CPU seconds, and when windows opened and closed */
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

static double weight(double size)
{
	return mw_sample_weight((uint64_t)size, PERIOD);
}

static void release(struct run *r, uint32_t place, bool counting)
{
	struct place *p = &r->places[place];
	struct mw_site_counts *counts = &r->counts[p->slot];

	r->freed += p->size;
	r->kept -= p->size;
	/* Seen by a probe: tracked ones go from the list of the window, counted ones are counted.
	 */
	for (size_t i = 0; counting && i < r->sampled_count; i++) {
		if (r->sampled[i].place == place) {
			if (r->sampled[i].time >= r->since) {
				counts->frees += (uint64_t)(weight(p->size) * 1024);
				counts->freed_bytes += (uint64_t)(weight(p->size) * p->size);
			}
			r->sampled[i] = r->sampled[--r->sampled_count];
			break;
		}
	}
	p->time = 0;
	r->free_list[p->slot][r->free_count[p->slot]++] = place;
}

/* A block of SIZE bytes is made, by one of the processes. */
static uint32_t make(struct run *r, double now, double size, uint32_t slot, bool counting)
{
	uint32_t place = r->free_count[slot] ? r->free_list[slot][--r->free_count[slot]]
					     : (uint32_t)r->place_count++;
	struct mw_site_counts *counts = &r->counts[slot];
	struct place *p = &r->places[place];

	*p = (struct place){(uint64_t)(now * 1e9) + 1, INFINITY, size, ++r->made, slot};
	r->allocated += size;
	r->kept += size;
	/* The kernel's map has one block a place. */
	for (size_t i = 0; counting && i < r->sampled_count; i++) {
		if (r->sampled[i].place == place)
			r->sampled[i--] = r->sampled[--r->sampled_count];
	}
	if (counting && uniform(r) < 1 / weight(size)) {
		counts->samples++;
		counts->allocs += (uint64_t)(weight(size) * 1024);
		counts->alloc_bytes += (uint64_t)(weight(size) * size);
		r->sampled[r->sampled_count].place = place;
		r->sampled[r->sampled_count++].time = p->time;
	}
	return place;
}

/* The content stays, and often the place. */
static void grow_buffer(struct run *r, double now, bool counting)
{
	size_t i = (size_t)(uniform(r) * r->program->buffers);
	uint32_t place = r->buffers[i];
	double size = place == NONE ? SIZE : r->places[place].size + STEP;

	if (place != NONE)
		release(r, place, counting);
	r->buffers[i] = make(r, now, size, 0, counting);
	r->places[r->buffers[i]].number = i + 1;
}

static void allocate(struct run *r, double now, bool counting)
{
	const struct program *g = r->program;
	uint32_t slot = g->processes > 1 && uniform(r) < 0.2, place;
	struct place *p;

	if (g->buffers) {
		grow_buffer(r, now, counting);
		return;
	}
	place = make(r, now, SIZE, slot, counting);
	p = &r->places[place];
	if (uniform(r) < g->keep)
		return;
	p->until = g->by_chance ? now - g->life * log(1 - uniform(r)) : now + g->life;
	if (g->life <= 0)
		release(r, place, counting);
	else
		r->order[r->last++ % RING] = place;
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

static uint64_t key_of(const struct run *r, uint32_t place)
{
	return (uint64_t)r->places[place].slot << MW_SPACE_SHIFT | (place * 16ULL + 1);
}

static uint32_t place_of(uint64_t key)
{
	return (uint32_t)((key & ((1ULL << MW_SPACE_SHIFT) - 1)) / 16);
}

/* Zeros with a few words of its own, as most content is; or nothing but zeros. */
static uint64_t print_of(const struct run *r, uint64_t key, double now)
{
	uint64_t number = r->places[place_of(key)].number;
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
	double scale = (r->own - r->closed) / (r->own - r->opened);
	const double scales[2] = {scale, scale}, own[2] = {r->own, r->own};
	struct mw_tracked_block *blocks;
	size_t count;

	r->closed = r->own;
	mw_tracked__begin_window(r->tracked, now, now - (double)r->since / 1e9, scales, own, 2);
	for (uint32_t slot = 0; slot < 2; slot++)
		mw_tracked__add_counts(r->tracked, SITE + slot, &r->counts[slot]);
	for (size_t i = 0; i < r->sampled_count; i++) {
		const struct place *p = &r->places[r->sampled[i].place];
		struct mw_alloc_record record = {(uint64_t)p->size, r->sampled[i].time,
						 SITE + p->slot};

		mw_tracked__add_block(r->tracked, key_of(r, r->sampled[i].place), &record);
	}
	mw_tracked__end_window(r->tracked);
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
		r->sampled[r->sampled_count].place = place_of(blocks[i].key);
		r->sampled[r->sampled_count++].time = blocks[i].time;
	}
}

static void walk(struct run *r, double now)
{
	size_t count;
	struct mw_tracked_block *blocks = mw_tracked__blocks(r->tracked, &count);

	for (size_t i = 0; i < count; i++) {
		const struct place *p = &r->places[place_of(blocks[i].key)];
		bool alive = p->time && fabs(p->size - (double)blocks[i].size) <= 64;

		mw_tracked__found(r->tracked, &blocks[i],
				  alive ? MW_LIVENESS_ALIVE : MW_LIVENESS_FREED, 0,
				  print_of(r, blocks[i].key, now), now);
	}
	mw_tracked__sweep(r->tracked, now, NULL, NULL);
}

/* Seconds of CPU in a window. As the governor has it, a target that uses little of a processor has
 * shorter ones, and more of them. */
static double window_of(const struct program *p)
{
	double share = p->idle > 0 ? p->busy / (p->busy + p->idle) : 1;

	return WINDOW * fmin(share / 0.24, 1);
}

static void simulate(struct run *r, const struct program *program, uint64_t seed, double seconds)
{
	double next_window = 0.1, next_walk = 3, own[2];
	bool open = false;

	memset(r, 0, sizeof(*r));
	r->program = program;
	r->seed = seed * 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < 8; i++)
		uniform(r);
	r->places = calloc(BLOCKS * 2, sizeof(*r->places));
	for (uint32_t slot = 0; slot < 2; slot++)
		r->free_list[slot] = calloc(BLOCKS * 2, sizeof(*r->free_list[slot]));
	r->order = calloc(RING, sizeof(*r->order));
	r->sampled = calloc(1 << 17, sizeof(*r->sampled));
	r->tracked = mw_tracked__new(PERIOD);
	for (uint32_t slot = 0; slot < 2; slot++)
		r->counts[slot] = (struct mw_site_counts){.kind = MW_KIND_ALLOC, .slot = slot};
	for (uint32_t i = 0; i < BUFFERS; i++)
		r->buffers[i] = NONE;
	for (double now = 0.001; now < seconds; now += 1 / RATE) {
		bool works = !(program->idle > 0) ||
			     fmod(now, program->busy + program->idle) < program->busy;

		/* Windows come and go by the target's CPU time. */
		r->own += works ? 1 / RATE : 0;
		if (!open && r->own >= next_window) {
			begin_window(r);
			r->since = (uint64_t)(now * 1e9);
			r->opened = r->own - (works ? 1 / RATE : 0);
			open = true;
		}
		expire(r, now, open);
		if (works && now >= program->begins)
			allocate(r, now, open);
		if (open && (r->own >= r->opened + window_of(program) ||
			     now >= (double)r->since / 1e9 + 2)) {
			end_window(r, now);
			open = false;
			next_window = r->own + window_of(program) * GAPS * (0.6 + 0.8 * uniform(r));
		}
		if (now >= next_walk && !open) {
			walk(r, now);
			next_walk = now + WALK;
		}
	}
	own[0] = own[1] = r->own;
	mw_tracked__settle(r->tracked, seconds, own, 2, 0);
}

static void end(struct run *r)
{
	mw_tracked__free(r->tracked);
	free(r->places);
	free(r->free_list[0]);
	free(r->free_list[1]);
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
	double error = 3 * sqrt(part->variance);
	double both = 3 * sqrt(part->variance + unknown->variance);

	return part->bytes > truth + error || part->bytes + unknown->bytes < truth - both;
}

static void add(struct mw_amount *sum, const struct mw_amount *part)
{
	sum->bytes += part->bytes;
	sum->variance += part->variance;
}

/* The sites of all processes, as one. */
static struct mw_tracked_site seen_by(const struct run *r)
{
	struct mw_tracked_site sum = {0};

	for (uint32_t slot = 0; slot < 2; slot++) {
		const struct mw_tracked_site *s = mw_tracked__site(r->tracked, SITE + slot);

		if (!s)
			continue;
		add(&sum.allocated, &s->allocated);
		add(&sum.kept, &s->kept);
		add(&sum.freed, &s->freed);
		add(&sum.unknown, &s->unknown);
	}
	return sum;
}

static struct result judge(const struct program *program, int runs, double seconds)
{
	struct result o = {.runs = runs};

	for (int seed = 1; seed <= runs; seed++) {
		static const struct mw_amount nothing;
		struct mw_tracked_site sum, *s = &sum;
		struct run r;

		simulate(&r, program, (uint64_t)seed, seconds);
		sum = seen_by(&r);
		CHECK(s->allocated.bytes > 0);
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

/*
 * The truth is met, and no more than UNKNOWN of what was allocated is said to be unknown. With
 * MW_TABLE set, prints the table of docs/overhead.md.
 */
static void check(const char *what, const struct program *program, double seconds, double unknown)
{
	struct result o = judge(program, 20, seconds);

	if (getenv("MW_TABLE"))
		printf("| %s | %.0f s | %d of %d | %.0f %% | %.0f %% |\n", what, seconds,
		       o.bad_allocated + o.bad_kept + o.bad_freed, 3 * o.runs, 100 * o.error,
		       100 * o.unknown);
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

	check("only keeps", &(struct program){.keep = 1}, 30, 0.2);
	check("only keeps, all alike", &(struct program){.keep = 1, .alike = true}, 30, 0.2);
	check("only keeps, and rewrites it", &(struct program){.keep = 1, .changes = true}, 30,
	      1.01);
	simulate(&r, &(struct program){.keep = 1}, 1, 30);
	CHECK(mw_tracked__site(r.tracked, SITE)->freed.bytes == 0);
	end(&r);
}

TEST(keeps_a_third)
{
	check("keeps a third", &(struct program){.keep = 1 / 3.0}, 40, 0.2);
	check("keeps a third, the rest for 20 ms", &(struct program){.keep = 1 / 3.0, .life = 0.02},
	      40, 0.2);
	check("keeps a third, all alike", &(struct program){.keep = 1 / 3.0, .alike = true}, 40,
	      0.5);
}

TEST(nothing_is_kept)
{
	check("frees at once", &(struct program){.keep = 0}, 30, 0.1);
	check("frees after 0.3 s, by chance",
	      &(struct program){.keep = 0, .life = 0.3, .by_chance = true}, 30, 0.2);
}

TEST(fifo_of_30_seconds)
{
	check("FIFO of 30 s, filling", &(struct program){.life = 30}, 25, 0.3);
	check("FIFO of 30 s", &(struct program){.life = 30}, 50, 0.3);
	check("cache, evicts after 10 s by chance",
	      &(struct program){.life = 10, .by_chance = true}, 50, 0.3);
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
	check("... all alike", &(struct program){.life = 10, .by_chance = true, .alike = true}, 50,
	      0.9);
	check("... rewritten meanwhile",
	      &(struct program){.life = 10, .by_chance = true, .changes = true}, 50, 1.01);
}

TEST(leak_that_begins_late)
{
	check("keeps half, from 20 s on", &(struct program){.keep = 0.5, .life = 0.1, .begins = 20},
	      50, 0.3);
}

/* What lives for little longer than from one walk to the next is met by few walks twice. */
TEST(cache_that_evicts)
{
	check("cache, evicts after 7 s", &(struct program){.life = 7}, 30, 0.8);
	check("cache, evicts after 15 s", &(struct program){.life = 15}, 40, 0.3);
	check("cache, evicts after 5 s by chance", &(struct program){.life = 5, .by_chance = true},
	      30, 0.3);
}

TEST(buffers_that_grow_by_realloc)
{
	check("500 buffers grow by realloc", &(struct program){.buffers = BUFFERS}, 30, 0.2);
	check("20 buffers grow by realloc", &(struct program){.buffers = 20}, 30, 0.2);
}

/* One thread keeps, three let go; to a watch they are one program. */
TEST(threads)
{
	check("threads: one keeps, three let go",
	      &(struct program){.keep = 0.25, .life = 0.3, .by_chance = true}, 30, 0.2);
}

TEST(several_processes)
{
	check("two processes, half is kept",
	      &(struct program){.keep = 0.5, .life = 0.3, .by_chance = true, .processes = 2}, 30,
	      0.3);
	check("two processes, all is kept", &(struct program){.keep = 1, .processes = 2}, 30, 0.3);
}

/* Windows are of 50 ms of CPU time, 0.7 s of it apart on average. Of what works for 0.7 % of the
 * time there is too little to see in half a minute. */
TEST(bursts_of_every_shape)
{
	static const double busy[] = {0.02, 0.05, 0.5, 0.7, 3}, idle[] = {0.1, 0.7, 3};

	for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
		for (size_t k = 0; k < sizeof(idle) / sizeof(idle[0]); k++) {
			struct program p = {.keep = 1 / 3.0, .busy = busy[i], .idle = idle[k]};
			char what[64];

			p.life = 0.3;
			snprintf(what, sizeof(what), "third, bursts: %.2f s of %.2f", busy[i],
				 busy[i] + idle[k]);
			if (busy[i] * 30 >= idle[k])
				check(what, &p, 40, 0.4);
		}
	}
}

static void close_window(struct mw_tracked *t, double now, bool has_block)
{
	const double scales[1] = {10}, own[1] = {now};
	const struct mw_site_counts counts = {
		.kind = MW_KIND_PYTHON, .samples = 1, .allocs = 1024, .alloc_bytes = 64};
	const struct mw_alloc_record block = {64, 1, SITE};

	mw_tracked__begin_window(t, now, 0.01, scales, own, 1);
	mw_tracked__add_counts(t, SITE, &counts);
	if (has_block)
		mw_tracked__add_block(t, 88, &block);
	mw_tracked__end_window(t);
}

TEST(small_object_is_kept_when_a_later_window_saw_it_stay)
{
	const double own[1] = {0};
	struct mw_tracked *t = mw_tracked__new(0);
	struct mw_tracked_block *b;
	size_t count;

	mw_tracked__begin(t, 0, own, 1);
	close_window(t, 1, true);
	b = mw_tracked__blocks(t, &count);
	CHECK_INT(count, 1);
	CHECK_INT(b->kind, MW_KIND_PYTHON);
	/* Its print is the same: but a loop makes the same object in the same place again. */
	b->same = true;
	b->seen_at = 2;
	mw_tracked__settle(t, 2, own, 1, 0);
	CHECK(b->kept == 0);
	close_window(t, 3, true);
	b = mw_tracked__blocks(t, &count);
	CHECK_INT(count, 1);
	mw_tracked__settle(t, 4, own, 1, 0);
	CHECK(b->kept == 1);
	close_window(t, 5, false);
	mw_tracked__blocks(t, &count);
	CHECK_INT(count, 0);
	mw_tracked__free(t);
}

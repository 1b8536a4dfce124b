// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocks tracked through windows, of targets that are simulated; and what is made of counters. */
#include <math.h>

#include "model/cohorts.h"
#include "model/totals.h"
#include "model/tracked.h"
#include "model/weight.h"
#include "tests/unit/test.h"

enum { SITE = 5, PERIOD = 16384 };

static const double ones[MW_SLOTS] = {[0 ... MW_SLOTS - 1] = 1};

static uint64_t state;

static double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
}

static void add(struct mw_tracked *t, uint64_t key, double born, uint64_t size,
		const double *scales)
{
	struct mw_alloc_record record = {size, (uint64_t)(born * 1e9), SITE};

	mw_tracked__add_block(t, key, &record, scales);
}

static void add_site(struct mw_tracked *t, uint64_t allocs, const double *scales)
{
	struct mw_site_counts counts = {
		.kind = MW_KIND_ALLOC,
		.allocs = allocs << MW_COUNT_SHIFT,
		.alloc_bytes = 100 * allocs,
	};

	mw_tracked__add_counts(t, SITE, &counts, scales);
}

static size_t count(const struct mw_tracked *t)
{
	size_t n;

	mw_tracked__blocks(t, &n);
	return n;
}

static bool keep_seen(struct mw_tracked_block *block, void *arg)
{
	(void)arg;
	return block->seen;
}

TEST(what_a_later_window_does_not_meet_is_gone)
{
	struct mw_tracked *t = mw_tracked__new(0);
	double scales[MW_SLOTS] = {4};
	const struct mw_tracked_site *site;

	mw_tracked__begin_window(t);
	add_site(t, 3, scales);
	for (uint64_t key = 1; key <= 3; key++)
		add(t, key, 10, 100, scales);
	mw_tracked__end_window(t, 0.05);
	CHECK_INT(count(t), 3);
	/* 2 is met again, 3's address is another block's now, 1 is freed. */
	mw_tracked__begin_window(t);
	add_site(t, 4, scales);
	add(t, 2, 10, 100, scales);
	add(t, 3, 11, 100, scales);
	mw_tracked__end_window(t, 0.05);
	CHECK_INT(count(t), 2);
	site = mw_tracked__site(t, SITE);
	CHECK(site && !mw_tracked__site(t, SITE + 1));
	CHECK(fabs(site->allocs - 16) < 1e-9 && fabs(site->alloc_bytes - 1600) < 1e-9);
	CHECK(fabs(site->watched - 0.15) < 1e-9);
	mw_tracked__reset(t);
	CHECK_INT(count(t), 0);
	CHECK(mw_tracked__site(t, SITE)->allocs == 0);
	/* What was counted before is left out. */
	mw_tracked__begin_window(t);
	add_site(t, 6, scales);
	mw_tracked__end_window(t, 0.05);
	CHECK(fabs(mw_tracked__site(t, SITE)->allocs - 8) < 1e-9);
	mw_tracked__free(t);
}

TEST(a_heap_walk_says_which_blocks_are_alive)
{
	struct mw_tracked *t = mw_tracked__new(0);

	mw_tracked__begin_window(t);
	add_site(t, 4, ones);
	for (uint64_t key = 4; key; key--)
		add(t, key, 10, 100, ones);
	mw_tracked__end_window(t, 0.05);
	/* Before any was met again nothing is known. */
	mw_tracked__settle(t, 20);
	CHECK(mw_tracked__site(t, SITE)->alive == 0);
	mw_tracked__begin_walk(t);
	mw_tracked__learn(t, 1, 10000000000, MW_LIVENESS_ALIVE);
	mw_tracked__learn(t, 2, 10000000000, MW_LIVENESS_FREED);
	mw_tracked__learn(t, 3, 10000000000, MW_LIVENESS_UNKNOWN);
	mw_tracked__learn(t, 4, 9000000000, MW_LIVENESS_ALIVE); /* an older one at that address */
	mw_tracked__filter(t, keep_seen, NULL);
	CHECK_INT(count(t), 3);
	mw_tracked__settle(t, 20);
	CHECK(fabs(mw_tracked__site(t, SITE)->alive - 1) < 1e-9);
	CHECK(fabs(mw_tracked__site(t, SITE)->alive_bytes - 100) < 1e-9);
	mw_tracked__free(t);
}

TEST(a_block_of_a_heap_that_cannot_be_walked_counts_after_three_windows)
{
	struct mw_tracked *t = mw_tracked__new(0);

	for (int window = 1; window <= 4; window++) {
		mw_tracked__begin_window(t);
		add_site(t, 1, ones);
		add(t, 1, 10, 100, ones);
		mw_tracked__end_window(t, 0.05);
		mw_tracked__begin_walk(t);
		mw_tracked__learn(t, 1, 10000000000, MW_LIVENESS_UNKNOWN);
		mw_tracked__settle(t, 11);
		CHECK_INT(mw_tracked__site(t, SITE)->alive > 0.5, window > 2);
	}
	mw_tracked__free(t);
}

/* It can have died unseen as often as its site's blocks die in windows. */
TEST(blocks_fade_as_their_site_s_die)
{
	struct mw_tracked *t = mw_tracked__new(0);
	double scales[MW_SLOTS] = {3}, alive;

	for (uint64_t window = 0; window < 2; window++) {
		mw_tracked__begin_window(t);
		add_site(t, 10, scales);
		for (uint64_t key = 1 + window; key <= 10; key++)
			add(t, key, 10, 100, scales);
		mw_tracked__end_window(t, 0.05);
	}
	/* One death in 10 blocks times 0.05 s: two a second. */
	mw_tracked__begin_walk(t);
	for (uint64_t key = 2; key <= 10; key++)
		mw_tracked__learn(t, key, 10000000000, MW_LIVENESS_ALIVE);
	mw_tracked__settle(t, 10.55); /* of which 0.05 s were watched */
	alive = mw_tracked__site(t, SITE)->alive;
	if (fabs(alive - 27 * exp(-1)) > 1e-6)
		TEST_FAIL("%.6f", alive);
	mw_tracked__free(t);
}

TEST(thinning_keeps_the_sum)
{
	struct mw_tracked *t = mw_tracked__new(0);
	const struct mw_tracked_block *blocks;
	double sum = 0;
	size_t n;

	mw_tracked__begin_window(t);
	add_site(t, 20000, ones);
	for (uint64_t key = 1; key <= 20000; key++)
		add(t, key, 10, 100, ones);
	mw_tracked__end_window(t, 0.05);
	blocks = mw_tracked__blocks(t, &n);
	CHECK(n < 11000 && n > 9000);
	for (size_t i = 0; i < n; i++)
		sum += blocks[i].weight;
	CHECK(fabs(sum / 20000 - 1) < 0.05);
	mw_tracked__free(t);
}

/* Of 100 bytes with a period of 16 KiB one in 164 is drawn. */
TEST(weights_are_those_of_the_programs)
{
	uint32_t weights[MW_WEIGHTS], log2_table[MW_LOG2_STEPS + 1];

	CHECK(mw_sample_weight(100, 0) == 1 && mw_sample_weight(0, PERIOD) == 1);
	CHECK(fabs(mw_sample_weight(100, PERIOD) - 164.34) < 0.01);
	CHECK(fabs(mw_sample_weight(1 << 30, PERIOD) - 1) < 1e-9);
	mw_weight_tables(weights, log2_table);
	for (uint32_t i = 1; i < MW_WEIGHTS; i++) {
		uint64_t size = (uint64_t)i * PERIOD / MW_WEIGHT_STEPS;
		double want = mw_sample_weight(size, PERIOD) * (double)size / PERIOD;

		CHECK(fabs(weights[i] / 1048576.0 - want) < 1e-6);
	}
	CHECK_INT(log2_table[0], 0);
	CHECK_INT(log2_table[MW_LOG2_STEPS], 65536);
	CHECK_INT(log2_table[MW_LOG2_STEPS / 2], 38336);
}

/* Draw from blocks of SIZE bytes: the weights of those drawn sum up to their number. */
TEST(weights_make_up_for_what_is_not_drawn)
{
	double sum = 0, until = 0;
	int blocks = 1000000;

	state = 1;
	for (int i = 0; i < blocks; i++) {
		uint64_t size = 50 + (uint64_t)(uniform() * 5000);

		until -= (double)size;
		if (until > 0)
			continue;
		sum += mw_sample_weight(size, PERIOD);
		until = -PERIOD * log(1 - uniform());
	}
	if (fabs(sum / blocks - 1) > 0.01)
		TEST_FAIL("%.0f of %d", sum, blocks);
}

TEST(totals_add_up)
{
	struct mw_site_counts base = {.allocs = 10 << MW_COUNT_SHIFT, .alloc_bytes = 1000};
	struct mw_site_counts now = {
		.samples = 3,
		.allocs = 17 << MW_COUNT_SHIFT,
		.frees = 2 << MW_COUNT_SHIFT,
		.alloc_bytes = 1700,
		.freed_bytes = 200,
		.alloc_variance = 3,
		.freed_variance = 1,
		.grown_calls = 2,
		.grown_bytes = 8192,
		.returned_bytes = 4096,
		.faults = 5,
	};
	struct mw_tracked_site tracked = {.allocs = 10,
					  .alloc_bytes = 1000,
					  .alive = 4,
					  .alive_bytes = 400,
					  .alive_variance = 9,
					  .watched = 2};
	struct mw_purged_blocks purged = {0};
	struct mw_site_totals t = {0};

	mw_purged__add(&purged, 100, 0);
	mw_totals__add_counts(&t, &now, &base, &purged, 0);
	CHECK(t.allocs == 7 && t.alloc_bytes == 700 && t.frees == 3 && t.freed_bytes == 300);
	CHECK(t.live_variance == 2.0 * 1024 * 1024);
	mw_totals__add_growth(&t, &now, true);
	CHECK(t.grown_bytes == 8192 && t.malloc_bytes == 0 && t.fault_bytes == 20480);
	mw_totals__add_growth(&t, &now, false);
	CHECK(t.grown_bytes == 16384 && t.malloc_bytes == 4096 && t.samples == 6);
	t = (struct mw_site_totals){0};
	mw_totals__widen(&t, PERIOD);
	CHECK(t.live_variance == 0);
	mw_totals__add_tracked(&t, &tracked, true);
	CHECK(t.allocs == 10 && t.frees == 6 && t.freed_bytes == 600);
	mw_totals__widen(&t, 10);
	CHECK(t.live_variance == 109);
	mw_totals__add_tracked(&t, &tracked, false);
	CHECK(t.allocs == 20 && t.frees == 16 && t.freed_bytes == 1600);
}

TEST(cohorts_end_where_the_history_is_known)
{
	static struct mw_site_stats site;

	/* No history yet: nothing is known of what was born. */
	mw_cohorts__begin(&site, 8);
	CHECK(site.cohorts[0].before == 8 && site.cohorts[0].born == 0);
	site.point_count = 4;
	for (size_t i = 0; i < 4; i++)
		site.points[i] = (struct mw_site_point){.elapsed = 2 * (double)i + 2.5,
							.allocs = 10 * (double)(i + 1),
							.alloc_bytes = 100 * (double)(i + 1)};
	mw_cohorts__begin(&site, 10); /* up to 10, 5 and 2.5; points at 2.5, 4.5, 6.5, 8.5 */
	CHECK(site.cohorts[0].before == 8.5 && site.cohorts[0].born == 40);
	CHECK(site.cohorts[1].before == 4.5 && site.cohorts[1].born == 20);
	CHECK(site.cohorts[2].before == 2.5 && site.cohorts[2].born_bytes == 100);
	mw_cohorts__add_survivor(&site, 3, 100, 2);
	mw_cohorts__add_survivor(&site, 9, 100, 2);
	CHECK(site.cohorts[0].alive == 2 && site.cohorts[0].alive_bytes == 200);
	CHECK(site.cohorts[1].alive == 2 && site.cohorts[2].alive == 0);
	/* Earlier than any point: a part of what was born up to the first. */
	mw_cohorts__begin(&site, 5);
	CHECK(site.cohorts[2].before == 1.25 && site.cohorts[2].born == 5);
}

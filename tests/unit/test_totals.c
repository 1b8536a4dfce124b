// SPDX-License-Identifier: GPL-2.0-or-later
/* Weights of samples, what is made of counters, cohorts. */
#include <math.h>

#include "model/cohorts.h"
#include "model/totals.h"
#include "model/weight.h"
#include "tests/unit/test.h"

enum { PERIOD = 16384 };

static uint64_t state;

static double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
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

/* Sizes that are favoured are drawn more often, and what is drawn stands for as many. */
TEST(weights_make_up_for_what_is_favoured)
{
	struct mw_sampling s = {.period = PERIOD};
	double sums[2] = {0}, until = 0;
	int blocks = 2000000, drawn[2] = {0};

	s.favoured[mw_size_class(64)] = true;
	state = 2;
	for (int i = 0; i < blocks; i++) {
		bool favoured = i & 1;
		uint64_t size = favoured ? 64 : 80;

		until -= (double)(size << (favoured ? MW_FAVOUR_SHIFT : 0));
		if (until > 0)
			continue;
		drawn[favoured]++;
		sums[favoured] += mw_sampling__weight(&s, size);
		until = -PERIOD * log(1 - uniform());
	}
	for (int i = 0; i < 2; i++) {
		if (fabs(sums[i] / blocks * 2 - 1) > 0.05)
			TEST_FAIL("%.0f of %d", sums[i], blocks / 2);
	}
	CHECK(drawn[1] > 30 * drawn[0]);
}

static double share_of(const struct mw_sampling *s, uint64_t size)
{
	return 1 / mw_sampling__weight(s, size);
}

/* A third of all; of what does not grow one in sixteen, where that leaves enough for what does. */
TEST(a_window_draws_what_grows)
{
	static const struct mw_amounts sizes[MW_CLASSES] = {
		[4] = {1000, 64000}, [8] = {98000, 98000 * 128.0}, [64] = {1000, 1024000}};
	struct mw_sampling s = {0};

	mw_sampling__set_period(&s, sizes);
	CHECK(share_of(&s, 128) > 0.3 && share_of(&s, 128) < 0.7);
	s.favoured[4] = true;
	mw_sampling__set_period(&s, sizes);
	CHECK(share_of(&s, 64) > 0.8);
	CHECK(share_of(&s, 128) > 0.04 && share_of(&s, 128) < 0.15);
	/* Nearly all is of a size that grows: no more of it than else. */
	s.favoured[8] = true;
	mw_sampling__set_period(&s, sizes);
	CHECK(share_of(&s, 128) > 0.3 && share_of(&s, 128) < 0.7);
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
	struct mw_tracked_site tracked = {
		.allocated = {10, 1000, 16},
		.kept = {4, 400, 9},
		.freed = {5, 500, 4},
		.unknown = {1, 100, 1},
		.watched = 2,
	};
	struct mw_purged_blocks purged = {0};
	struct mw_site_totals t = {0};

	mw_purged__add(&purged, 100, 0);
	mw_totals__add_counts(&t, &now, &base, &purged, 0, true);
	CHECK(t.allocs == 7 && t.alloc_bytes == 700 && t.frees == 3 && t.freed_bytes == 300);
	CHECK(t.live_variance == 2.0 * 1024 * 1024);
	CHECK(t.kept == 4 && t.kept_bytes == 400 && t.unknown == 0);
	mw_totals__add_growth(&t, &now, true);
	CHECK(t.grown_bytes == 8192 && t.malloc_bytes == 0 && t.fault_bytes == 20480);
	mw_totals__add_growth(&t, &now, false);
	CHECK(t.grown_bytes == 16384 && t.malloc_bytes == 4096 && t.samples == 6);
	t = (struct mw_site_totals){0};
	mw_totals__widen(&t, PERIOD);
	CHECK(t.live_variance == 0);
	mw_totals__add_tracked(&t, &tracked);
	CHECK(t.allocs == 10 && t.frees == 5 && t.freed_bytes == 500);
	CHECK(t.kept == 4 && t.kept_bytes == 400 && t.unknown_bytes == 100);
	CHECK(t.allocs == t.kept + t.frees + t.unknown);
	mw_totals__widen(&t, 10);
	CHECK(t.live_variance == 109);
	/* Where frees are not seen, what was not freed is not known to be kept. */
	t = (struct mw_site_totals){0};
	mw_totals__add_counts(&t, &now, &base, &purged, 0, false);
	CHECK(t.allocs == 7 && t.kept == 0 && t.unknown == 4 && t.unknown_bytes == 400);
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

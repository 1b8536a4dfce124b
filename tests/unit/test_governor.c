// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "tests/unit/test.h"
#include "trace/governor.h"

static uint64_t state;

static double uniform(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(state >> 11) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

/*
 * A target that does one allocation in OWN seconds, and waits for as long as makes it BOUND at
 * least.
 */
struct target {
	double own, bound;
	double light, whole;	      /* seconds that an allocation costs in windows */
	double told_entry, told_full; /* the same, as calibrated */
	double noise;		      /* one standard deviation of a window's speed */
};

static void add_window(struct mw_rates *rates, const struct target *t, enum mw_window_kind kind)
{
	double cost = kind == MW_WINDOW_FULL ? t->whole : t->light;
	double each = t->own + cost > t->bound ? t->own + cost : t->bound;
	struct mw_window w = {.kind = kind, .seconds = 0.05};

	w.allocs = floor(w.seconds / each * (1 + t->noise * normal()));
	w.cost = w.allocs * (kind == MW_WINDOW_FULL ? t->told_full : t->told_entry);
	mw_rates__add(rates, &w);
}

static double estimate(const struct target *t, size_t windows, uint64_t seed, double *error)
{
	struct mw_governor governor;
	struct mw_rates rates = {0};

	state = seed * 7919;
	mw_governor__begin(&governor, 0.02, 0);
	for (size_t i = 0; i < windows; i++) {
		add_window(&rates, t, mw_governor__kind(&governor));
		mw_governor__closed(&governor, (double)i, 0.05, 0.01);
	}
	return mw_rates__undisturbed(&rates, error);
}

static void check_near(const struct target *t, double truth, double within)
{
	double error, rate = estimate(t, 12, 1, &error);

	if (fabs(rate / truth - 1) > within)
		TEST_FAIL("%.0f, expected %.0f", rate, truth);
}

TEST(rate_without_probes_follows_from_two_slower_ones)
{
	check_near(&(struct target){2e-6, 0, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0}, 5e5, 1e-3);
	check_near(&(struct target){1e-7, 0, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0}, 1e7, 0.02);
	/* A hit costs more here than in the calibration, both kinds by as much. */
	check_near(&(struct target){2e-6, 0, 0.6e-6, 1.08e-6, 0.5e-6, 0.9e-6, 0}, 5e5, 1e-3);
}

TEST(target_that_waits_is_not_slower)
{
	check_near(&(struct target){1e-6, 5e-6, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0}, 2e5, 1e-3);
	check_near(&(struct target){1e-6, 1e-2, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0}, 100, 1e-3);
}

TEST(noise_does_not_make_it_absurd)
{
	struct target t = {2e-6, 0, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0.3};

	/* No faster than if each hit cost a third more than it does. */
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		double error, rate = estimate(&t, 6, seed, &error);

		CHECK(rate > 0 && isfinite(rate) && isfinite(error) && rate < 3e6);
	}
}

TEST(stated_errors_hold)
{
	struct target t = {2e-6, 0, 0.5e-6, 0.9e-6, 0.5e-6, 0.9e-6, 0.02};
	int within = 0, seeds = 1000;

	for (int seed = 1; seed <= seeds; seed++) {
		double error, rate = estimate(&t, 18, (uint64_t)seed, &error);

		within += fabs(rate - 5e5) <= 1.96 * error * rate;
	}
	if (within < 0.9 * seeds)
		TEST_FAIL("%d of %d", within, seeds);
}

TEST(windows_keep_to_the_budget)
{
	struct mw_governor g;
	double now = 100;

	mw_governor__begin(&g, 0.02, now);
	for (int i = 0; i < 200; i++) {
		if (now < g.next)
			now = g.next;
		now += 0.06;
		mw_governor__closed(&g, now, 0.06, 0.03);
	}
	CHECK(mw_governor__cost(&g, now) <= 0.02);
	CHECK(mw_governor__cost(&g, now) > 0.008);
}

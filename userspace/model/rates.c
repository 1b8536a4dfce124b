// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/rates.h"

/* Allocations: with fewer the two kinds of windows can't be compared. */
enum { FEW = 1000 };
/* Cost of a hit in the target relative to our calibration loop. 1.15 to 1.3 were seen. */
static const double COST_MAX = 1.3;
static const double COST_ERROR = 0.05;

void mw_rates__add(struct mw_rates *r, const struct mw_window *window)
{
	r->windows[r->count++ % MW_WINDOWS_KEPT] = *window;
}

static size_t kept(const struct mw_rates *r)
{
	return r->count < MW_WINDOWS_KEPT ? r->count : MW_WINDOWS_KEPT;
}

struct sums {
	double seconds[MW_WINDOW_KINDS], allocs[MW_WINDOW_KINDS], cost[MW_WINDOW_KINDS];
};

/* All windows but the one numbered WITHOUT. */
static struct sums sum(const struct mw_rates *r, size_t without)
{
	struct sums s = {0};

	for (size_t i = 0; i < kept(r); i++) {
		const struct mw_window *w = &r->windows[i];

		if (i == without)
			continue;
		s.seconds[w->kind] += w->seconds;
		s.allocs[w->kind] += w->allocs;
		s.cost[w->kind] += w->cost;
	}
	return s;
}

/*
 * With T seconds an allocation without probes and c seconds that an entry window adds to each, an
 * entry one sees T + c and a full one T + k c, k being the ratio of the two costs. Where the
 * target waits for something else both see T, and c comes out as 0.
 */
static double undisturbed(const struct sums *s)
{
	double entry = s->seconds[0] > 0 ? s->allocs[0] / s->seconds[0] : 0;
	double full = s->seconds[1] > 0 ? s->allocs[1] / s->seconds[1] : 0;
	double k, per, least;

	if (entry <= 0)
		return full;
	if (full <= 0 || s->cost[0] <= 0 || s->cost[1] <= 0)
		return entry;
	/* So few of them slow nothing, and two rates can't be distinguished by them. */
	if (s->allocs[0] < FEW || s->allocs[1] < FEW)
		return (s->allocs[0] + s->allocs[1]) / (s->seconds[0] + s->seconds[1]);
	k = s->cost[1] / s->allocs[1] / (s->cost[0] / s->allocs[0]);
	if (k < 1.2 || entry <= full)
		return (s->allocs[0] + s->allocs[1]) / (s->seconds[0] + s->seconds[1]);
	per = (k / entry - 1 / full) / (k - 1);
	/*
	 * Noise must not make it absurd: a hit takes no more than it costs, and what the target's
	 * caches and predictors lose by it; and at least a tenth of the time is the target's own.
	 */
	least = 1 / entry - COST_MAX * s->cost[0] / s->allocs[0];
	if (least < 0.1 / entry)
		least = 0.1 / entry;
	return 1 / (per > least ? per : least);
}

double mw_rates__undisturbed(const struct mw_rates *r, double *error)
{
	size_t n = kept(r);
	struct sums all = sum(r, n);
	double rate = undisturbed(&all), squares = 0, mean = 0;

	*error = 1;
	if (rate <= 0 || n < 4)
		return rate;
	/* Jackknife: how much it depends on single windows. */
	for (size_t i = 0; i < n; i++) {
		struct sums s = sum(r, i);

		mean += undisturbed(&s) / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		struct sums s = sum(r, i);
		double one = undisturbed(&s) - mean;

		squares += one * one;
	}
	*error = sqrt(squares * (double)(n - 1) / (double)n) / rate;
	/*
	 * What a hit costs is known that well only, and the more was corrected by it the more it
	 * matters.
	 */
	if (all.seconds[0] > 0 && all.allocs[0] / all.seconds[0] < rate)
		*error = hypot(*error, COST_ERROR * (1 - all.allocs[0] / all.seconds[0] / rate));
	return rate;
}

double mw_rates__loss(const struct mw_rates *r, enum mw_window_kind kind)
{
	struct sums all = sum(r, kept(r));
	double rate = undisturbed(&all), seen;

	if (rate <= 0 || all.seconds[kind] <= 0 || all.allocs[kind] < FEW)
		return 0;
	seen = all.allocs[kind] / all.seconds[kind];
	if (seen < rate)
		return 1 - seen / rate;
	return 0;
}

double mw_rates__full_cost(const struct mw_rates *r)
{
	struct sums all = sum(r, kept(r));

	return all.allocs[MW_WINDOW_FULL] > 0
		       ? all.cost[MW_WINDOW_FULL] / all.allocs[MW_WINDOW_FULL]
		       : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "trace/governor.h"

/* Of the budget, what is planned for: the rest is for what was not foreseen. */
static const double PLANNED = 0.6;
/* Seconds: windows are no closer together than this, and no further apart. */
static const double GAP_MIN = 0.15, GAP_MAX = 60;
/* Allocations. */
enum { FEW = 1000 };
/* A hit in the target, by one in a loop of our own. 1.15 to 1.3 were seen. */
static const double COST_MAX = 1.3;
static const double COST_ERROR = 0.05;
/* Seconds whose budget is spent in advance, so that there is soon something to show. */
static const double CREDIT = 2;

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
 * With T seconds an allocation without probes and c seconds that a entry window adds to each, a
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
	/* So few of them don't slow anything, and don't tell two rates apart. */
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
	/* Jackknife: how much it hangs on single windows. */
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

void mw_governor__begin(struct mw_governor *g, double budget, double now)
{
	memset(g, 0, sizeof(*g));
	g->budget = budget;
	g->began = g->next = now;
}

enum mw_window_kind mw_governor__kind(const struct mw_governor *g)
{
	/*
	 * A full one early, then one in three: they are dear, and the rate hangs on the entry
	 * ones.
	 */
	return g->windows % 3 == 1 ? MW_WINDOW_FULL : MW_WINDOW_ENTRY;
}

void mw_governor__closed(struct mw_governor *g, double now, double open, double loss)
{
	double due;

	g->windows++;
	g->lost += loss;
	g->opened += open;
	/*
	 * When the time that has passed by then pays for what was lost, and for one more like it.
	 */
	due = g->began - CREDIT + (g->lost + loss) / (PLANNED * g->budget);
	/* The first two come at once, so that there is something to show. */
	if (g->windows < 2)
		due = now;
	if (due < now + GAP_MIN)
		due = now + GAP_MIN;
	if (due > now + GAP_MAX)
		due = now + GAP_MAX;
	g->next = due;
}

double mw_governor__cost(const struct mw_governor *g, double now)
{
	return now > g->began ? g->lost / (now - g->began) : 0;
}

double mw_governor__duty(const struct mw_governor *g, double now)
{
	return now > g->began ? g->opened / (now - g->began) : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/rates.h"

/*
 * The factor before anything was seen, and one standard deviation of it: hits in a target
 * found 1.05 to 1.3 times as dear as in the loop that calibrates (docs/overhead.md).
 */
static const double FACTOR = 1.15, FACTOR_ERROR = 0.08;
/* Nowhere is a hit much cheaper than in the loop that calibrates. */
static const double FACTOR_MIN = 0.9;
/* A calibration made while the machine ran slowly is of hits that cost less since: a bound holds.
 */
static const double FACTOR_LEAST = 0.75;
/* The costs of both kinds must differ by as much before they tell anything. */
static const double RATIO_MIN = 1.2;
/* Of a window's time at least this share must be the target's own, or only a bound is known. */
static const double OWN_MIN = 0.06;
/* Of the mean share that is the target's own, a window has at least so much. */
static const double LEAST_OWN = 0.6;
/* What a jackknife of a few dozen windows is often too small by, and more so of fewer. */
static const double MARGIN = 1.3;
/* One relative standard deviation that still says something. */
static const double ERROR_MAX = 0.3;
enum { WINDOWS_MIN = 4, FEW = 1000 };

void mw_rates__add(struct mw_rates *r, const struct mw_window *window)
{
	r->windows[r->count++ % MW_WINDOWS_KEPT] = *window;
}

static size_t kept(const struct mw_rates *r)
{
	return r->count < MW_WINDOWS_KEPT ? r->count : MW_WINDOWS_KEPT;
}

struct sums {
	double cpu[MW_WINDOW_KINDS], allocs[MW_WINDOW_KINDS], cost[MW_WINDOW_KINDS];
};

/* All windows but the one numbered WITHOUT. */
static struct sums sum(const struct mw_rates *r, size_t without)
{
	struct sums s = {0};

	for (size_t i = 0; i < kept(r); i++) {
		const struct mw_window *w = &r->windows[i];

		if (i == without)
			continue;
		s.cpu[w->kind] += w->cpu;
		s.allocs[w->kind] += w->allocs;
		s.cost[w->kind] += w->cost;
	}
	return s;
}

/*
 * The factor by which both kinds give one rate; false when they can't tell. Per allocation a kind's
 * windows take the target's own time and factor times their calibrated cost.
 */
static bool factor_of(const struct sums *s, double *factor)
{
	double cost[MW_WINDOW_KINDS], cpu[MW_WINDOW_KINDS];

	for (int k = 0; k < MW_WINDOW_KINDS; k++) {
		if (s->allocs[k] < FEW || !(s->cost[k] > 0))
			return false;
		cost[k] = s->cost[k] / s->allocs[k];
		cpu[k] = s->cpu[k] / s->allocs[k];
	}
	if (cost[MW_WINDOW_FULL] < RATIO_MIN * cost[MW_WINDOW_ENTRY])
		return false;
	*factor = (cpu[MW_WINDOW_FULL] - cpu[MW_WINDOW_ENTRY]) /
		  (cost[MW_WINDOW_FULL] - cost[MW_WINDOW_ENTRY]);
	return true;
}

/* What was seen of the factor with its variance, which leaving out one window after another shows.
 */
static bool seen_factor(const struct mw_rates *r, double *factor, double *variance)
{
	size_t n = kept(r), told = 0;
	struct sums all = sum(r, n);
	double one, mean = 0, squares = 0;

	if (n < WINDOWS_MIN || !factor_of(&all, factor))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct sums s = sum(r, i);

		if (!factor_of(&s, &one))
			continue;
		told++;
		mean += one;
		squares += one * one;
	}
	if (told < WINDOWS_MIN)
		return false;
	mean /= (double)told;
	*variance = fmax(squares / (double)told - mean * mean, 0) * (double)(told - 1);
	return true;
}

/* What was known before and what was seen, each by its weight. ERROR 1: nothing is known. */
static double best_factor(const struct mw_rates *r, double *error)
{
	double prior = 1 / (FACTOR_ERROR * FACTOR_ERROR), seen, variance, weight;

	*error = FACTOR_ERROR;
	if (!seen_factor(r, &seen, &variance))
		return FACTOR;
	if (seen + 3 * sqrt(variance) < FACTOR_MIN) {
		*error = 1;
		return FACTOR;
	}
	/* No window is without some chance: a variance of 0 is that of too few. */
	weight = 1 / (variance + 1e-4);
	*error = 1 / sqrt(prior + weight);
	return (prior * FACTOR + weight * seen) / (prior + weight);
}

double mw_window__own(const struct mw_window *w, double factor)
{
	return fmax(w->cpu - factor * w->cost, 0.01 * w->cpu);
}

/* Of all windows' CPU time, the share that was the target's own. */
static double own_share(const struct mw_rates *r, double factor, size_t without)
{
	double own = 0, cpu = 0;

	for (size_t i = 0; i < kept(r); i++) {
		if (i == without)
			continue;
		own += r->windows[i].cpu - factor * r->windows[i].cost;
		cpu += r->windows[i].cpu;
	}
	return cpu > 0 ? fmax(own / cpu, 0.01) : 1;
}

/*
 * The mean of the windows' rates, of all but the one numbered WITHOUT, each by the CPU time that it
 * stands for: half of what lies between it and its neighbours. Not the ratio of the sums: where the
 * target calls the allocator often, probes leave it little of a window, and what that window takes
 * keeps the next one away. Such times would count less than others.
 */
static double mean_rate(const struct mw_rates *r, double factor, size_t without)
{
	double sum = 0, weights = 0, least = LEAST_OWN * own_share(r, factor, without);

	for (size_t i = 0; i < kept(r); i++) {
		const struct mw_window *w = &r->windows[i];
		bool last = i == (r->count - 1) % MW_WINDOWS_KEPT;
		double weight =
			last ? w->gap : (w->gap + r->windows[(i + 1) % MW_WINDOWS_KEPT].gap) / 2;

		if (i == without || !(w->cpu > 0))
			continue;
		/* On a busy machine hits may cost twice as much in one window as in the next. */
		sum += weight * w->allocs / fmax(mw_window__own(w, factor), least * w->cpu);
		weights += weight;
	}
	return weights > 0 ? sum / weights : 0;
}

void mw_rates__estimate(const struct mw_rates *r, struct mw_rate *rate)
{
	size_t n = kept(r);
	struct sums all = sum(r, n);
	double cpu = all.cpu[0] + all.cpu[1], cost = all.cost[0] + all.cost[1], own;
	double factor_error, mean = 0, squares = 0, step, change;

	*rate = (struct mw_rate){.error = 1, .factor = best_factor(r, &factor_error)};
	rate->shared = factor_error >= 1;
	if (!(cpu > 0))
		return;
	rate->per_cpu = mean_rate(r, rate->factor, n);
	if (n >= WINDOWS_MIN)
		rate->least =
			(all.allocs[0] + all.allocs[1]) /
			(cpu - (rate->shared ? 0 : fmin(FACTOR_LEAST * cost, FACTOR_LEAST * cpu)));
	if (n < WINDOWS_MIN)
		return;
	if (!(rate->per_cpu > 0)) {
		rate->error = 0;
		rate->enough = true;
		return;
	}
	/* Jackknife: how much it depends on single windows. */
	for (size_t i = 0; i < n; i++) {
		double one = mean_rate(r, rate->factor, i) / rate->per_cpu - 1;

		mean += one / (double)n;
		squares += one * one;
	}
	squares = fmax(squares - (double)n * mean * mean, 0) * (double)(n - 1) / (double)n;
	/* And on what a hit costs, the more the larger its share is. */
	step = factor_error / 2;
	change = (mean_rate(r, rate->factor + step, n) - mean_rate(r, rate->factor - step, n)) /
		 rate->per_cpu;
	own = cpu - rate->factor * cost;
	rate->bias = fabs(change);
	rate->error = hypot(MARGIN * (1 + 3 / (double)n) * sqrt(squares), change);
	rate->enough = own >= OWN_MIN * cpu && rate->error < ERROR_MAX;
}

double mw_rates__loss(const struct mw_rates *r, enum mw_window_kind kind)
{
	struct sums all = sum(r, kept(r));
	enum mw_window_kind other = kind == MW_WINDOW_FULL ? MW_WINDOW_ENTRY : MW_WINDOW_FULL;
	double ignored, factor = best_factor(r, &ignored);

	if (all.cpu[kind] > 0)
		return fmin(factor * all.cost[kind] / all.cpu[kind], 1);
	/* A full window takes up to four times what entries take. */
	if (all.cpu[other] > 0)
		return fmin((kind == MW_WINDOW_FULL ? 4 : 1) * factor * all.cost[other] /
				    all.cpu[other],
			    1);
	return 1;
}

double mw_rates__cost(const struct mw_rates *r)
{
	struct sums all = sum(r, kept(r));
	double ignored;

	return all.allocs[MW_WINDOW_FULL] > 0
		       ? best_factor(r, &ignored) * all.cost[MW_WINDOW_FULL] /
				 all.allocs[MW_WINDOW_FULL]
		       : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/governor.h"

/* Of the budget, what is planned for: the rest is for what was not foreseen. */
static const double PLANNED = 0.88;
/* Seconds whose budget may be spent at once, and which are lent at the beginning. */
static const double CAP = 2.5, LENT = 0.4;
/* Seconds that a window is meant to take, and the least that putting probes in and out takes. */
static const double LOSS = 0.008, FIXED = 0.001;
/* Seconds of the target's CPU time in a window; the first one is to find out what they cost. */
static const double FIRST = 0.003, SHORTEST = 0.005, LONGEST = 0.4;
/* Seconds over which BUSY is a mean, and USUAL: of several bursts and the pauses between them. */
static const double MEMORY = 3, USUAL = 20;
/* CPUs: the budget of a target that uses less is a share of so much, or nothing would be seen. */
static const double LEAST = 0.3;
/* Probes stay in below this share of the budget, and go at that. */
static const double ENTER = 0.9, LEAVE = 1.1;

/* Seconds: how often the target's CPU time is looked at. */
static const double WAIT_MIN = 0.01, WAIT_MAX = 0.25;

double mw_governor__uniform(struct mw_governor *g)
{
	g->random = g->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(g->random >> 11) / 9007199254740992.0;
}

/*
 * Windows are spread evenly over the target's CPU time, whatever each of them took: else there
 * would be more of them where they cost little, and what is cheap would be seen too often. And by
 * chance, so that they don't keep time with what the target does.
 */
static void draw(struct mw_governor *g)
{
	g->gap = g->mean_loss / (PLANNED * g->budget) * (0.6 + 0.8 * mw_governor__uniform(g));
}

/*
 * Of what the budget is a share, when CPU of SECONDS were used. By what the target usually uses,
 * and not in these seconds: a burst must not pay for the pause before it as well.
 */
static double base_of(const struct mw_governor *g, double cpu, double seconds)
{
	return cpu + fmax(LEAST - g->usual, 0) * seconds;
}

/* The most that the allowance may be. */
static double cap_of(const struct mw_governor *g)
{
	return CAP * g->budget * fmax(g->busy, LEAST);
}

void mw_governor__begin(struct mw_governor *g, double budget, double busy, bool entries_only)
{
	memset(g, 0, sizeof(*g));
	g->budget = budget;
	g->entries_only = entries_only;
	g->busy = g->usual = g->busiest = busy;
	g->allowance = LENT * budget * fmax(busy, LEAST);
	g->random = 88172645463325252ULL;
}

void mw_governor__passed(struct mw_governor *g, double seconds, double cpu)
{
	double share = 1 - exp(-seconds / MEMORY), now = seconds > 0 ? cpu / seconds : 0;

	if (!(seconds > 0))
		return;
	g->cpu += cpu;
	g->base += base_of(g, cpu, seconds);
	g->since += base_of(g, cpu, seconds);
	g->busy += share * (now - g->busy);
	g->usual += (1 - exp(-seconds / USUAL)) * (now - g->usual);
	g->half += seconds;
	g->half_cpu += cpu;
	if (g->half >= 0.5) {
		g->busiest =
			fmax(g->busiest, (g->last_half + g->half_cpu) / fmax(g->half + 0.5, 1));
		g->last_half = g->half_cpu;
		g->half = g->half_cpu = 0;
	}
	g->allowance += PLANNED * g->budget * base_of(g, cpu, seconds);
	g->allowance = fmin(g->allowance, cap_of(g));
}

bool mw_governor__plan(const struct mw_governor *g, const struct mw_rates *const *rates,
		       size_t count, struct mw_window_plan *plan)
{
	double cap = cap_of(g), share = 0;

	/* Entries alone first, as the cheapest way to learn; full ones tell most. */
	plan->kind = g->entries_only || g->windows % 3 == 0 ? MW_WINDOW_ENTRY : MW_WINDOW_FULL;
	for (size_t i = 0; i < count; i++)
		share = fmax(share, mw_rates__loss(rates[i], plan->kind));
	share = fmax(share, 1e-4);
	plan->cpu = fmin(fmax(LOSS / share, SHORTEST), LONGEST);
	if (g->windows < 2)
		plan->cpu = FIRST;
	/* A target that uses little has small windows, but none that say nothing. */
	plan->cpu = fmax(fmin(plan->cpu, (cap / 3 - FIXED * share) / share), FIRST);
	plan->loss = share * (plan->cpu + FIXED);
	plan->wait = fmax(g->gap - g->since,
			  (fmin(plan->loss, cap) - g->allowance) / (PLANNED * g->budget));
	return plan->wait <= 0;
}

double mw_governor__wait(const struct mw_governor *g, const struct mw_window_plan *plan)
{
	return fmin(fmax(plan->wait / fmax(g->busiest, 1), WAIT_MIN), WAIT_MAX);
}

void mw_governor__closed(struct mw_governor *g, double covered, double loss)
{
	g->windows++;
	g->covered += covered;
	g->lost += loss;
	g->allowance -= loss;
	g->since = 0;
	g->mean_loss += (loss - g->mean_loss) / fmin((double)g->windows, 8);
	/* The first few come soon, so that there is something to show. */
	if (g->windows < 6)
		g->gap = 0;
	else
		draw(g);
}

void mw_governor__spent(struct mw_governor *g, double cpu, double loss)
{
	g->covered += cpu;
	g->lost += loss;
	g->allowance -= loss;
}

void mw_governor__burst(struct mw_governor *g)
{
	g->busiest = fmax(g->busiest, 1);
	g->allowance = fmin(g->allowance, 0);
}

bool mw_governor__fits(const struct mw_governor *g, double loss)
{
	return loss < ENTER * g->budget * fmax(g->busiest, LEAST);
}

double mw_governor__share(const struct mw_governor *g, double loss)
{
	return loss / fmax(g->busiest, LEAST);
}

double mw_governor__quota(const struct mw_governor *g, double seconds)
{
	return fmax(LEAVE * g->budget * fmax(g->busiest, LEAST) * seconds, g->allowance);
}

double mw_governor__cost(const struct mw_governor *g)
{
	return g->base > 0 ? fmin(g->lost / g->base, 1) : 0;
}

double mw_governor__coverage(const struct mw_governor *g)
{
	return g->cpu > 0 ? fmin(g->covered / g->cpu, 1) : 0;
}

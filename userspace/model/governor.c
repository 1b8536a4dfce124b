// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/governor.h"

/* Of the budget, what is planned for: the rest is for what was not foreseen. */
static const double PLANNED = 0.88;
/* Seconds whose budget may be spent at once, and which are lent at the beginning. */
static const double CAP = 2.5, LENT = 0.4;
/* Of that, what one window may take, to see a burst of the target whole. */
static const double WINDOW_CAP = 0.8;
/*
 * Seconds that a window is meant to take, and may take for the same reason, and the least that
 * putting probes in and out takes.
 */
static const double LOSS = 0.008, LOSS_MAX = 0.016, FIXED = 0.001;
/* CPUs: a target that uses more hardly waits. */
static const double BUSY = 0.95;
/* Seconds of CPU; and of them, what probes leave to the target at the least. */
static const double LONG_BURST = 0.004, OWN_MIN = 0.02;
/* What a window counts of all that it may take, at the least. */
static const double COUNTED = 0.33;
/* Of the target's CPU time between two windows, over how much their beginnings are spread. */
static const double SPREAD = 2;
/* Windows that come soon, so that there is something to show. */
enum { SOON = 6 };
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
/* The same where a window waits for CPU time alone: it is to open in the burst that brings it. */
static const double START_MIN = 0.002;

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

/* Of its time, what the target waits: usually, all its threads together. */
static double waits_of(const struct mw_governor *g)
{
	return fmax(1 - g->usual, 0);
}

/*
 * CPU seconds of a burst with probes in that take SHARE of them; 0 where the target hardly waits,
 * or where bursts are so long that probes can be put in within one.
 */
static double burst_of(const struct mw_governor *g, double share)
{
	double burst = g->sleeps > 0 ? g->sleeps_cpu / g->sleeps : 0;

	return g->usual > BUSY || burst > LONG_BURST ? 0 : burst / fmax(1 - share, OWN_MIN);
}

/*
 * The allowance grows while the target waits, too; were a window to open then, each would begin
 * with what the target does first when it is woken, and few would see what it does last. So a
 * window that is due waits until the target has used some of the CPU time that it uses between two.
 */
static bool is_started(struct mw_governor *g)
{
	if (!(g->start > 0))
		g->start = g->cpu + waits_of(g) * mw_governor__uniform(g) * SPREAD * g->gap *
					    fmin(g->usual / LEAST, 1);
	return g->cpu >= g->start;
}

/*
 * Probes that went in while the target waited meet it where a burst begins. As often as that
 * happens, a window skips some CPU time before it counts: up to its own length, or that of a burst
 * with probes in where this is longer, and is as much shorter. Longer bursts are met within them
 * (is_started()).
 */
static void skip_some(struct mw_governor *g, double burst, struct mw_window_plan *plan)
{
	double waits = waits_of(g), drawn = mw_governor__uniform(g), all = plan->cpu, range;

	plan->skip = 0;
	if (!(waits > 0))
		return;
	range = fmax(burst, all / (1 + waits / 2));
	plan->cpu = fmax(all - waits * range / 2, COUNTED * all);
	range = 2 * (all - plan->cpu) / waits;
	if (drawn < waits)
		plan->skip = drawn / waits * range;
	plan->loss *= (plan->skip + plan->cpu) / all;
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

void mw_governor__passed(struct mw_governor *g, double seconds, double cpu, double sleeps)
{
	double share = 1 - exp(-seconds / MEMORY), now = seconds > 0 ? cpu / seconds : 0;

	if (!(seconds > 0))
		return;
	g->cpu += cpu;
	g->base += base_of(g, cpu, seconds);
	g->since += base_of(g, cpu, seconds);
	g->busy += share * (now - g->busy);
	g->sleeps = fmax(1 - seconds / USUAL, 0) * g->sleeps + sleeps;
	g->sleeps_cpu = fmax(1 - seconds / USUAL, 0) * g->sleeps_cpu + cpu;
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

bool mw_governor__plan(struct mw_governor *g, const struct mw_rates *const *rates, size_t count,
		       struct mw_window_plan *plan)
{
	double cap = cap_of(g), share = 0, burst, most;
	bool first = g->windows < SOON;

	/* Entries alone first, as the cheapest way to learn; full ones tell most. */
	plan->kind = g->entries_only || g->windows % 3 == 0 ? MW_WINDOW_ENTRY : MW_WINDOW_FULL;
	for (size_t i = 0; i < count; i++)
		share = fmax(share, mw_rates__loss(rates[i], plan->kind));
	share = fmax(share, 1e-4);
	burst = burst_of(g, share);
	plan->cpu =
		fmin(fmax(fmin(fmax(LOSS, share * burst), LOSS_MAX) / share, SHORTEST), LONGEST);
	if (g->windows < 2)
		plan->cpu = FIRST;
	/* A target that uses little has small windows, but none that say nothing. */
	most = fmin(fmax(cap / 3, share * burst), WINDOW_CAP * cap);
	plan->cpu = fmax(fmin(plan->cpu, (most - FIXED * share) / share), FIRST);
	plan->loss = share * (plan->cpu + FIXED);
	plan->wait = fmax(g->gap - g->since,
			  (fmin(plan->loss, cap) - g->allowance) / (PLANNED * g->budget));
	if (plan->wait > 0)
		return false;
	if (!first && !is_started(g)) {
		plan->wait = g->start - g->cpu;
		return false;
	}
	if (first)
		plan->skip = 0;
	else
		skip_some(g, burst, plan);
	return true;
}

double mw_governor__wait(const struct mw_governor *g, const struct mw_window_plan *plan)
{
	return fmin(fmax(plan->wait / fmax(g->busiest, 1), g->start > 0 ? START_MIN : WAIT_MIN),
		    WAIT_MAX);
}

void mw_governor__closed(struct mw_governor *g, double covered, double loss)
{
	g->windows++;
	g->covered += covered;
	g->lost += loss;
	g->allowance -= loss;
	g->since = fmin(fmax(g->since - g->gap, 0), 2 * g->gap);
	g->start = 0;
	g->mean_loss += (loss - g->mean_loss) / fmin((double)g->windows, 8);
	if (g->windows < SOON)
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

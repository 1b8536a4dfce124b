// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "trace/governor.h"

/* Of the budget, what is planned for: the rest is for what was not foreseen. */
static const double PLANNED = 0.6;
/* Seconds: windows are no closer together than this, and no further apart. */
static const double GAP_MIN = 0.15, GAP_MAX = 60;
/* Seconds whose budget is spent in advance, so that there is soon something to show. */
static const double CREDIT = 2;

void mw_governor__begin(struct mw_governor *g, double budget, double now)
{
	memset(g, 0, sizeof(*g));
	g->budget = budget;
	g->began = g->next = now;
}

enum mw_window_kind mw_governor__kind(const struct mw_governor *g)
{
	/*
	 * A full one early, then one in three: they cost more, and the rate depends on the entry
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

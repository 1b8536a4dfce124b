// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/live_parts.h"

/* Sites whose blocks die by so much more often than those of others are like them. */
static const double LITTLE_MORE = 3;
/*
 * log2 of the odds, at most. Few blocks of a size are tracked, so what they lack of its growth may
 * be chance: that must not make others likely.
 */
static const double ODDS_MAX = 5;
/* Where less of what seems to be kept can be, it is not known which. */
static const double TOLD = 0.5;
/* The first look comes soon: what came before it is taken to be like what came after it. */
static const double LITTLE_LONGER = 1.5;
/* Nothing is so likely, or so unlikely, that other evidence could not change it. */
static const double LEAST = 1e-6;

void mw_live_parts__begin(struct mw_live_parts *p)
{
	memset(p->sure, 0, sizeof(p->sure));
	memset(p->kept, 0, sizeof(p->kept));
	memset(p->odds, 0, sizeof(p->odds));
	memset(p->tried, 0, sizeof(p->tried));
	memset(p->step, 0, sizeof(p->step));
	memset(p->likely, 0, sizeof(p->likely));
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++)
		p->least_rate[class] = INFINITY;
}

void mw_live_parts__add(struct mw_live_parts *p, size_t class, double bytes, double sure,
			double deaths)
{
	p->sure[class] += sure * bytes;
	p->least_rate[class] = fmin(p->least_rate[class], deaths);
}

/* Bytes that blocks of CLASS have become more since the watch began, at the least. */
static double grown(const struct mw_live_parts *p, size_t class)
{
	const struct mw_live_growth *g = &p->growth;
	const struct mw_live_look *first = &g->looks.looks[0];
	double seen = g->time - first->time;

	if (g->course[class] == MW_LIVE_GOES_ON && g->looks.count > 1 && seen > 0)
		return fmax(g->live[class] - (double)first->bytes[class], 0) *
		       fmin((g->time - p->began) / seen, LITTLE_LONGER);
	return fmin(fmax(g->least[class], 0) * (g->time - p->began), g->live[class]);
}

void mw_live_parts__compare(const struct mw_live_parts *p, double *sure, double *all)
{
	*sure = *all = 0;
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		if (!(p->sure[class] > 0) || p->growth.course[class] != MW_LIVE_GOES_ON)
			continue;
		*sure += p->sure[class];
		*all += grown(p, class);
	}
}

static double by_odds(double likely, double log_odds)
{
	double odds = exp2(log_odds), known = fmin(fmax(likely, LEAST), 1 - LEAST);

	return odds * known / (1 - known + odds * known);
}

void mw_live_parts__try(struct mw_live_parts *p, size_t class, double bytes, double likely)
{
	if (likely > 0)
		p->tried[class] += bytes * by_odds(likely, p->odds[class]);
}

void mw_live_parts__end_round(struct mw_live_parts *p)
{
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		double more = grown(p, class) - p->sure[class], tried = p->tried[class];

		p->tried[class] = 0;
		if (!(p->step[class] > 0)) {
			p->likely[class] = tried;
			p->step[class] = ODDS_MAX;
		}
		p->step[class] /= 2;
		if (p->likely[class] > 0 && p->likely[class] < more)
			p->odds[class] += tried < more ? p->step[class] : -p->step[class];
	}
}

double mw_live_parts__settle(const struct mw_live_parts *p, size_t class, double sure,
			     double likely, double now)
{
	double live = p->growth.live[class] +
		      mw_live_parts__grows_most(p, class) * fmax(now - p->growth.time, 0);
	double more;

	if (sure > 0)
		return sure * fmin(p->sure[class], live) / p->sure[class];
	more = grown(p, class) - p->sure[class];
	if (!(likely > 0) || more < TOLD * p->likely[class])
		return 0;
	return by_odds(likely, p->odds[class]) * fmin(more / p->likely[class], 1);
}

double mw_live_parts__settle_unscaled(const struct mw_live_parts *p, size_t class, double sure,
				      double deaths)
{
	double least = LITTLE_MORE * p->least_rate[class];

	/* Of small objects too many share a size: those have it that are sure to be the same. */
	if (!(grown(p, class) > 0))
		return 0;
	if (p->fine == MW_LIVE_PYTHON)
		return sure;
	return deaths > least ? fmax(sure, least / deaths * least / deaths) : 1;
}

double mw_live_parts__scale(const struct mw_live_parts *p, size_t class)
{
	return p->kept[class] > 0 ? grown(p, class) / p->kept[class] : 0;
}

void mw_live_parts__add_kept(struct mw_live_parts *p, size_t class, double bytes)
{
	p->kept[class] += bytes;
}

double mw_live_parts__grows(const struct mw_live_parts *p, size_t class, double bytes)
{
	return p->kept[class] > 0 ? fmax(p->growth.rate[class], 0) * bytes / p->kept[class] : 0;
}

enum mw_live_course mw_live_parts__course(const struct mw_live_parts *p, size_t class)
{
	return p->growth.course[class];
}

double mw_live_parts__grows_most(const struct mw_live_parts *p, size_t class)
{
	return fmax(p->growth.most[class], 0);
}

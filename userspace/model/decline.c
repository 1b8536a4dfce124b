// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/decline.h"
#include "model/series.h"

/* Spans of a decline, and the least that one of their rates is uncertain by, of the mean one. */
enum { SPANS = 8, SPANS_MIN = 5 };
static const double RATE_ERROR = 0.02;
/* Standard errors that a decline must be large to be one ... */
static const double SURE = 2.6;
/* ... and by which it must be smaller than this to be none. */
static const double NONE = 1.65, LITTLE = 0.8;

/* What S was at TIME, with a straight line between two points. */
static double level(const struct mw_series *s, double time)
{
	size_t i = 1;

	while (i + 1 < s->n && s->t[i] < time)
		i++;
	return s->y[i - 1] +
	       (s->y[i] - s->y[i - 1]) * (time - s->t[i - 1]) / (s->t[i] - s->t[i - 1]);
}

struct mw_decline mw_decline__of(const struct mw_series *s)
{
	size_t spans = s->n > SPANS ? SPANS : s->n - 1;
	struct mw_series rates = {0};
	double length, step, slope, spread, mean, square = 0;

	if (s->n <= SPANS_MIN)
		return (struct mw_decline){0, INFINITY};
	length = s->t[s->n - 1] - s->t[0];
	step = length / (double)spans;
	mean = (s->y[s->n - 1] - s->y[0]) / length;
	for (size_t i = 0; i < spans; i++) {
		double from = s->t[0] + (double)i * step;

		mw_series__add(&rates, from + step / 2,
			       (level(s, from + step) - level(s, from)) / step);
	}
	if (rates.n < spans || !(mean > 0))
		return (struct mw_decline){0, INFINITY};
	slope = mw_series__fit(&rates, &spread);
	for (size_t i = 0; i < spans; i++) {
		double left = rates.y[i] - mean - slope * (rates.t[i] - s->t[0] - length / 2);

		square += left * left;
	}
	square = fmax(square / (double)(spans - 2), RATE_ERROR * mean * RATE_ERROR * mean);
	return (struct mw_decline){-slope * length / mean, sqrt(square / spread) * length / mean};
}

bool mw_decline__is_sure(const struct mw_decline *d)
{
	return d->share > SURE * d->error;
}

bool mw_decline__is_excluded(const struct mw_decline *d)
{
	return d->share + NONE * d->error < LITTLE;
}

struct mw_decline mw_decline__mean(const struct mw_decline *a, const struct mw_decline *b)
{
	double wa = 1 / (a->error * a->error), wb = 1 / (b->error * b->error);

	return wa + wb > 0 ? (struct mw_decline){(wa * a->share + wb * b->share) / (wa + wb),
						 1 / sqrt(wa + wb)}
			   : (struct mw_decline){0, INFINITY};
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A quantity over time, unevenly sampled, and what can be said of its trend. Pure arithmetic.
 */
#ifndef MW_MODEL_SERIES_H
#define MW_MODEL_SERIES_H

#include <stddef.h>

/* Points that are kept of a history, and with its beginning and now. */
enum { MW_SERIES_HISTORY = 64, MW_SERIES_MAX = MW_SERIES_HISTORY + 2 };

struct mw_series {
	size_t n;
	double t[MW_SERIES_MAX], y[MW_SERIES_MAX];
	double begin, now; /* seconds: the site's life */
};

void mw_series__add(struct mw_series *s, double t, double y);

/* The part of S from TIME on, as a separate series. */
struct mw_series mw_series__since(const struct mw_series *s, double time);

struct mw_series mw_series__until(const struct mw_series *s, double time);

/* Least squares. SPREAD: the sum of squares of the times around their mean. */
double mw_series__fit(const struct mw_series *s, double *spread);

/* Theil-Sen: the median slope of all pairs. A few spikes do not move it. */
double mw_series__robust_fit(const struct mw_series *s);

/*
 * The standard error of SLOPE from its residuals, and in *POINTS the effective number of points:
 * neighbours that deviate together count less (as in an AR(1) process, whose lag is estimated too
 * low in short series: Kendall 1954).
 */
double mw_series__fit_error(const struct mw_series *s, double slope, double *points);

/*
 * The standard error of a slope, were the series a walk whose steps are as seen: what a leak is,
 * each object of which comes by chance. Anything that comes back to a mean strays less.
 */
double mw_series__walk_error(const struct mw_series *s);

/* P(slope > 0): Student's t by Wallace's transformation to a normal deviate. */
double mw_t_positive(double slope, double error, double freedom);

double mw_series__smallest(const struct mw_series *s, double from, double to);

/* How far the series came back at most from where it had been: 0 when it never fell. */
double mw_series__setback(const struct mw_series *s);

/* How fast the minima rise: of blocks one after another, and of the second half over the first. */
double mw_series__minima_slope(const struct mw_series *s);

/* What the site held at TIME. */
double mw_series__at(const struct mw_series *s, double time);

/* When the series first came to SHARE of WHAT, for good or not. */
double mw_series__time_of(const struct mw_series *s, double what);

double mw_series__typical(const struct mw_series *s);

#endif

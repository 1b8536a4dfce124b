// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/series.h"

enum { BLOCKS = 4 };
#define BYTES_MAX 1e18 /* more than that is an error of the counting */

/*
 * Hoare's selection: what sorting would put at K gets there, with nothing larger before it. Ten
 * thousand sites with two thousand slopes each are too many to sort.
 */
static double nth_value(double *values, size_t n, size_t k)
{
	size_t low = 0, high = n - 1;

	while (low < high) {
		double pivot = values[low + (high - low) / 2];
		size_t i = low, j = high;

		for (;;) {
			double swap;

			while (values[i] < pivot)
				i++;
			while (values[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap = values[i];
			values[i++] = values[j];
			values[j--] = swap;
		}
		/* All up to j are at most the pivot, all from there on at least. */
		if (values[j] > pivot)
			j--;
		if (k <= j)
			high = j;
		else
			low = j + 1;
	}
	return values[k];
}

static double median(double *values, size_t n)
{
	double upper, lower;

	if (!n)
		return 0;
	lower = upper = nth_value(values, n, n / 2);
	if (n % 2 == 0)
		lower = nth_value(values, n / 2, n / 2 - 1);
	return (lower + upper) / 2;
}

void mw_series__add(struct mw_series *s, double t, double y)
{
	if (s->n == MW_SERIES_MAX || !(fabs(y) < BYTES_MAX) || !isfinite(t) ||
	    (s->n && t <= s->t[s->n - 1]))
		return;
	s->t[s->n] = t;
	s->y[s->n++] = y;
}

struct mw_series mw_series__since(const struct mw_series *s, double time)
{
	struct mw_series part = {.begin = time, .now = s->now};

	for (size_t i = 0; i < s->n; i++) {
		if (s->t[i] >= time)
			mw_series__add(&part, s->t[i], s->y[i]);
	}
	return part;
}

struct mw_series mw_series__until(const struct mw_series *s, double time)
{
	struct mw_series part = {.begin = s->begin, .now = time};

	for (size_t i = 0; i < s->n && s->t[i] <= time; i++)
		mw_series__add(&part, s->t[i], s->y[i]);
	return part;
}

static double mean(const double *values, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return n ? sum / (double)n : 0;
}

double mw_series__fit(const struct mw_series *s, double *spread)
{
	double mt = mean(s->t, s->n), my = mean(s->y, s->n), tt = 0, ty = 0;

	for (size_t i = 0; i < s->n; i++) {
		tt += (s->t[i] - mt) * (s->t[i] - mt);
		ty += (s->t[i] - mt) * (s->y[i] - my);
	}
	if (spread)
		*spread = tt;
	return tt > 0 ? ty / tt : 0;
}

double mw_series__robust_fit(const struct mw_series *s)
{
	double slopes[MW_SERIES_MAX * (MW_SERIES_MAX - 1) / 2];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = i + 1; k < s->n; k++)
			slopes[n++] = (s->y[k] - s->y[i]) / (s->t[k] - s->t[i]);
	}
	return median(slopes, n);
}

double mw_series__fit_error(const struct mw_series *s, double slope, double *points)
{
	double mt = mean(s->t, s->n), my = mean(s->y, s->n), n = (double)s->n;
	double square = 0, lag = 0, before = 0, spread, rho;

	mw_series__fit(s, &spread);
	for (size_t i = 0; i < s->n; i++) {
		double left = s->y[i] - my - slope * (s->t[i] - mt);

		square += left * left;
		lag += left * before;
		before = left;
	}
	rho = square > 0 ? lag / square : 0;
	rho += (1 + 4 * rho) / n;
	rho = rho < 0 ? 0 : rho > 0.95 ? 0.95 : rho;
	*points = n * (1 - rho) / (1 + rho);
	if (*points < 4)
		*points = 4;
	return spread > 0 ? sqrt(square / (n - 2) / spread * (1 + rho) / (1 - rho)) : 0;
}

double mw_series__walk_error(const struct mw_series *s)
{
	double steps[MW_SERIES_MAX] = {0}, square = 0, m;
	size_t n = s->n - 1;

	for (size_t i = 0; i < n; i++)
		steps[i] = s->y[i + 1] - s->y[i];
	m = mean(steps, n);
	for (size_t i = 0; i < n; i++)
		square += (steps[i] - m) * (steps[i] - m);
	/* The slope of a walk, by least squares, has 6/5 of its ends' variance. */
	return sqrt(1.2 * square / (double)(n - 1) * (double)n) / (s->now - s->begin);
}

double mw_t_positive(double slope, double error, double freedom)
{
	double t, z;

	if (!(error > 0))
		return slope > 0 ? 1 : 0;
	t = slope / error;
	z = sqrt(freedom * log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3);
	return 0.5 * erfc(-copysign(z, t) / M_SQRT2);
}

double mw_series__smallest(const struct mw_series *s, double from, double to)
{
	double least = INFINITY;

	for (size_t i = 0; i < s->n; i++) {
		if (s->t[i] >= from && s->t[i] <= to && s->y[i] < least)
			least = s->y[i];
	}
	return least;
}

double mw_series__setback(const struct mw_series *s)
{
	double most = -INFINITY, back = 0;

	for (size_t i = 0; i < s->n; i++) {
		most = fmax(most, s->y[i]);
		back = fmax(back, most - s->y[i]);
	}
	return back;
}

double mw_series__minima_slope(const struct mw_series *s)
{
	double step = (s->now - s->begin) / BLOCKS, half = s->begin + (s->now - s->begin) / 2;
	double halves =
		mw_series__smallest(s, half, s->now) - mw_series__smallest(s, s->begin, half);
	struct mw_series blocks = {0};
	double slope;

	for (int i = 0; i < BLOCKS; i++) {
		double from = s->begin + i * step;

		mw_series__add(&blocks, from,
			       mw_series__smallest(s, from, i + 1 < BLOCKS ? from + step : s->now));
	}
	slope = mw_series__robust_fit(&blocks);
	return isfinite(halves) ? fmin(slope, halves / (s->now - half)) : slope;
}

double mw_series__at(const struct mw_series *s, double time)
{
	size_t i = 0;

	while (i + 1 < s->n && s->t[i + 1] <= time)
		i++;
	return s->n ? s->y[i] : 0;
}

double mw_series__time_of(const struct mw_series *s, double what)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->y[i] >= what)
			return s->t[i];
	}
	return s->now;
}

double mw_series__typical(const struct mw_series *s)
{
	double copy[MW_SERIES_MAX];

	memcpy(copy, s->y, s->n * sizeof(*copy));
	return median(copy, s->n);
}

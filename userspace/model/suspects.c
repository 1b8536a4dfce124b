// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/suspects.h"
#include "util/text.h"
#include "util/units.h"

enum {
	POINTS_MAX = MW_SITE_HISTORY + 2, /* and the beginning, and now */
	POINTS_MIN = 8,			  /* below that nothing is said */
	SAMPLES_MIN = 8,
	GROWN_MIN = 6, /* of them: what stayed since start-up */
	STEPS_MIN = 4, /* growth comes in few large steps */
	BLOCKS = 4,
};

/*
 * A suspect's growth must go on, rise at its minima and survive, each at least in this share of
 * what an even leak of the same slope would show: an even one shows 1, a full cache or a period 0.
 */
#define SHARE_LATE    0.35 /* the last third's slope, of all */
#define SHARE_EARLIER 0.33 /* and of the half of all that came first */
#define SHARE_MINIMA  0.35
#define SHARE_KEPT    0.7 /* of what it rose, it never fell by more than the rest */
#define SHARE_SURVIVE 0.5
#define SUSPECT	      0.95 /* confidence */
#define PROBABLE      0.8
#define STARTUP	      0.25 /* of the site's life: not judged */
#define BYTES_MAX     1e18 /* more than that is an error of the counting */
/*
 * By windows: times its age that a block was watched, and had died in 19 of 20 cases if it did not
 * live longer.
 */
#define WATCHED	      3
#define SHARE_GROWTH  0.5  /* of the target's growth, that a suspect is most of */
#define BEYOND_GROWTH 1.25 /* of it: no site grows faster than its process */

struct series {
	size_t n;
	double t[POINTS_MAX], y[POINTS_MAX];
	double begin, now; /* seconds: the site's life */
};

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

static double level(const struct mw_site_stats *site, const struct mw_site_point *p, bool by_growth)
{
	if (!by_growth)
		return p->held_bytes;
	/*
	 * malloc's heap grows at whatever line asks next: where allocations are watched, they say
	 * more. What was not asked for through malloc (Python's arenas) only shows in what was
	 * mapped.
	 */
	if (site->flags & MW_SITE_TRACKED)
		return p->grown_bytes - p->returned_bytes - p->malloc_bytes;
	return p->grown_bytes > 0 ? p->grown_bytes - p->returned_bytes : p->fault_bytes;
}

static void add_point(struct series *s, double t, double y)
{
	if (s->n == POINTS_MAX || !(fabs(y) < BYTES_MAX) || !isfinite(t) ||
	    (s->n && t <= s->t[s->n - 1]))
		return;
	s->t[s->n] = t;
	s->y[s->n++] = y;
}

static bool judged_by_growth(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	if (site->flags & MW_SITE_RATES_ONLY)
		return true;
	if (site->flags & MW_SITE_TRACKED)
		return !(t->alloc_bytes > 0);
	return !(t->alloc_bytes > 0) && (t->grown_bytes > 0 || t->fault_bytes > 0);
}

static struct mw_site_point point_now(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	return (struct mw_site_point){
		.alloc_bytes = t->alloc_bytes,
		.freed_bytes = t->freed_bytes,
		.held_bytes = mw_site_held(t),
		.grown_bytes = t->grown_bytes,
		.returned_bytes = t->returned_bytes,
		.fault_bytes = t->fault_bytes,
		.malloc_bytes = t->malloc_bytes,
	};
}

/* The history with its two ends: nothing when the site began, and the totals now. */
static void make_series(struct series *s, const struct mw_site_stats *site, double now,
			bool by_growth)
{
	struct mw_site_point last = point_now(site);

	s->n = 0;
	s->now = now;
	s->begin = site->first_seen > 0 ? site->first_seen : 0;
	/* By then something had been counted already: it began in the step before. */
	add_point(s, s->begin, 0);
	for (size_t i = 0; i < site->point_count; i++) {
		if (site->points[i].elapsed < now)
			add_point(s, site->points[i].elapsed,
				  level(site, &site->points[i], by_growth));
	}
	add_point(s, now, level(site, &last, by_growth));
}

/* The part of S from TIME on, as a separate series. */
static struct series since(const struct series *s, double time)
{
	struct series part = {.begin = time, .now = s->now};

	for (size_t i = 0; i < s->n; i++) {
		if (s->t[i] >= time)
			add_point(&part, s->t[i], s->y[i]);
	}
	return part;
}

static struct series until(const struct series *s, double time)
{
	struct series part = {.begin = s->begin, .now = time};

	for (size_t i = 0; i < s->n && s->t[i] <= time; i++)
		add_point(&part, s->t[i], s->y[i]);
	return part;
}

static double mean(const double *values, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return n ? sum / (double)n : 0;
}

/* Least squares. SPREAD: the sum of squares of the times around their mean. */
static double fit(const struct series *s, double *spread)
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

/* Theil-Sen: the median slope of all pairs. A few spikes do not move it. */
static double robust_fit(const struct series *s)
{
	double slopes[POINTS_MAX * (POINTS_MAX - 1) / 2];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = i + 1; k < s->n; k++)
			slopes[n++] = (s->y[k] - s->y[i]) / (s->t[k] - s->t[i]);
	}
	return median(slopes, n);
}

/*
 * The standard error of SLOPE from its residuals, and in *POINTS the effective number of points:
 * neighbours that deviate together count less (as in an AR(1) process, whose lag is estimated too
 * low in short series: Kendall 1954).
 */
static double fit_error(const struct series *s, double slope, double *points)
{
	double mt = mean(s->t, s->n), my = mean(s->y, s->n), n = (double)s->n;
	double square = 0, lag = 0, before = 0, spread, rho;

	fit(s, &spread);
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

/*
 * The standard error of a slope, were the series a walk whose steps are as seen: what a leak is,
 * each object of which comes by chance. Anything that comes back to a mean strays less.
 */
static double walk_error(const struct series *s)
{
	double steps[POINTS_MAX], square = 0, m;
	size_t n = s->n - 1;

	for (size_t i = 0; i < n; i++)
		steps[i] = s->y[i + 1] - s->y[i];
	m = mean(steps, n);
	for (size_t i = 0; i < n; i++)
		square += (steps[i] - m) * (steps[i] - m);
	/* The slope of a walk, by least squares, has 6/5 of its ends' variance. */
	return sqrt(1.2 * square / (double)(n - 1) * (double)n) / (s->now - s->begin);
}

/* P(slope > 0): Student's t by Wallace's transformation to a normal deviate. */
static double positive(double slope, double error, double freedom)
{
	double t, z;

	if (!(error > 0))
		return slope > 0 ? 1 : 0;
	t = slope / error;
	z = sqrt(freedom * log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3);
	return 0.5 * erfc(-copysign(z, t) / M_SQRT2);
}

/*
 * Bytes squared of noise a byte of growth: that of events that come by chance, and sampling's. It
 * adds up along the way, so what the fit leaves over does not show it.
 */
static double noise_of_growth(const struct mw_site_stats *site, bool by_growth)
{
	const struct mw_site_totals *t = &site->totals;
	double held = mw_site_outstanding(site), sampling = 0, events = 0;

	if (by_growth && t->grown_bytes > 0)
		return t->grown_calls > 0 ? t->grown_bytes / t->grown_calls : 0;
	if (by_growth)
		return site->totals.samples ? t->fault_bytes / (double)t->samples : 0;
	if (held > 0 && t->live_variance > 0)
		sampling = t->live_variance / held;
	if (t->allocs > 0)
		events = t->alloc_bytes / t->allocs;
	return sampling + events;
}

static double smallest(const struct series *s, double from, double to)
{
	double least = INFINITY;

	for (size_t i = 0; i < s->n; i++) {
		if (s->t[i] >= from && s->t[i] <= to && s->y[i] < least)
			least = s->y[i];
	}
	return least;
}

/* How far the series came back at most from where it had been: 0 when it never fell. */
static double setback(const struct series *s)
{
	double most = -INFINITY, back = 0;

	for (size_t i = 0; i < s->n; i++) {
		most = fmax(most, s->y[i]);
		back = fmax(back, most - s->y[i]);
	}
	return back;
}

/* How fast the minima rise: of blocks one after another, and of the second half over the first. */
static double minima_slope(const struct series *s)
{
	double step = (s->now - s->begin) / BLOCKS, half = s->begin + (s->now - s->begin) / 2;
	double halves = smallest(s, half, s->now) - smallest(s, s->begin, half);
	struct series blocks = {0};
	double slope;

	for (int i = 0; i < BLOCKS; i++) {
		double from = s->begin + i * step;

		add_point(&blocks, from, smallest(s, from, i + 1 < BLOCKS ? from + step : s->now));
	}
	slope = robust_fit(&blocks);
	return isfinite(halves) ? fmin(slope, halves / (s->now - half)) : slope;
}

/* What the site held at TIME. */
static double held_at(const struct series *s, double time)
{
	size_t i = 0;

	while (i + 1 < s->n && s->t[i + 1] <= time)
		i++;
	return s->n ? s->y[i] : 0;
}

/*
 * How much of what is old is still there, of the worst cohort, as a share of what SLOPE would
 * have brought by its end: since the beginning when that is what was there then, else since W
 * began. All that was ever made may be less: a leak in bursts. Without cohorts, what is asked for
 * is that most of what was made since W began was not freed, and that finds fewer leaks.
 */
static double survival(const struct mw_site_stats *site, const struct series *s,
		       const struct series *w, double slope)
{
	double least = 1, made = site->totals.alloc_bytes;
	bool looked_at = false;

	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		const struct mw_site_cohort *c = &site->cohorts[i];
		double grown = slope * (c->before - s->begin);

		if (!(c->before > s->begin && c->before <= 0.75 * s->now))
			continue;
		looked_at = true;
		if (held_at(s, c->before) < 0.5 * grown)
			grown = slope * (c->before - w->begin);
		grown = fmin(grown, fmin(c->born_bytes, held_at(s, c->before)));
		if (grown > 0)
			least = fmin(least, c->alive_bytes / grown);
	}
	for (size_t i = 0; i < site->point_count && !looked_at; i++) {
		if (site->points[i].elapsed <= w->begin)
			made = site->totals.alloc_bytes - site->points[i].alloc_bytes;
	}
	if (!looked_at)
		least = made > 0 ? slope * (w->now - w->begin) / made : 0;
	return fmax(least, 0);
}

/* 1 when SHARE of the whole is reached, else how near it comes. */
static double reached(double part, double whole, double share)
{
	double r = whole > 0 ? part / whole / share : 0;

	return r < 0 ? 0 : r > 1 ? 1 : r;
}

/* When the series first came to SHARE of WHAT, for good or not. */
static double time_of(const struct series *s, double what)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->y[i] >= what)
			return s->t[i];
	}
	return s->now;
}

static double typical(const struct series *s)
{
	double copy[POINTS_MAX];

	memcpy(copy, s->y, s->n * sizeof(*copy));
	return median(copy, s->n);
}

/* No suspect: then what is it? W is what comes after start-up. */
static enum mw_verdict other_verdict(const struct mw_site_stats *site, const struct series *s,
				     const struct series *w, bool by_growth, bool going,
				     bool survives)
{
	double least = smallest(w, w->begin, w->now), most = 0;
	double half = w->begin + (w->now - w->begin) / 2;
	double later = smallest(w, half, w->now), earlier = smallest(w, w->begin, half);
	struct series last = since(s, s->now - (s->now - s->begin) / 4);
	struct series first = until(s, w->begin);
	double holds = typical(&last), reach = time_of(s, 0.75 * holds) - s->begin;
	double noise = 4 * sqrt(noise_of_growth(site, by_growth) * fmax(holds, 0));
	double before;

	for (size_t i = 0; i < w->n; i++)
		most = fmax(most, w->y[i]);
	if (most - least > noise && least < 0.5 * most && later - earlier < 0.3 * (most - least))
		return MW_VERDICT_PERIODIC;
	/* Not sure enough; or a cache that recycles, or a queue: each object goes in the end. */
	if (going)
		return survives ? MW_VERDICT_STEADY : MW_VERDICT_LEVELS;
	before = first.n ? first.y[first.n - 1] : 0;
	if (holds > noise && reach > 0.1 * (s->now - s->begin) && holds - before > 0.1 * holds)
		return MW_VERDICT_LEVELS;
	/* Set up once: most of all that was ever asked for came in the first part. */
	if (!by_growth && site->point_count) {
		double bytes = site->totals.alloc_bytes, early = 0;

		for (size_t i = 0; i < site->point_count; i++) {
			if (site->points[i].elapsed <= w->begin)
				early = site->points[i].alloc_bytes;
		}
		return early >= 0.8 * bytes ? MW_VERDICT_STARTUP : MW_VERDICT_STEADY;
	}
	return before >= 0.8 * holds && holds > 0 ? MW_VERDICT_STARTUP : MW_VERDICT_STEADY;
}

static double events_of(const struct mw_site_stats *site, bool by_growth)
{
	if (by_growth && site->totals.grown_bytes > 0)
		return site->totals.grown_calls;
	return (double)site->totals.samples;
}

/*
 * The slope's error, and P(slope > 0). There are two views of what is left over: noise around a
 * line, or a walk. The former sees an even leak under other work best, the latter one in bursts.
 * A walk that goes nowhere is growth to the former one time in eight, so it is asked only where
 * the age of objects decides besides.
 */
static double judge_slope(const struct mw_site_stats *site, const struct series *w,
			  struct mw_suspect *out)
{
	double length = w->now - w->begin, noise = noise_of_growth(site, out->by_growth);
	double events = sqrt(1.2 * fabs(out->slope) * noise / length);
	double points, line = hypot(fit_error(w, out->slope, &points), events);
	double walk = fmax(walk_error(w), events);
	double by_line = out->by_growth ? 0 : positive(out->slope, line, points - 2);
	double by_walk = positive(out->slope, walk, (double)w->n - 2);

	out->slope_error = out->by_growth ? walk : fmin(line, walk);
	/* A handful of objects is no growth, however well it lies on a line. */
	return fmax(by_line, by_walk) *
	       reached(out->slope * length, noise, out->by_growth ? STEPS_MIN : GROWN_MIN);
}

static void judge_history(const struct mw_site_stats *site, const struct series *s,
			  struct mw_suspect *out)
{
	double life = s->now - s->begin, confidence;
	struct series w = since(s, s->begin + STARTUP * life);
	struct series late = since(s, s->now - life / 3);
	struct series early = until(&w, w.begin + (w.now - w.begin) / 2);
	/* Spikes spoil the one, bursts the other. */
	double lately = fmax(fit(&late, NULL), robust_fit(&late));
	double least_events = out->by_growth ? STEPS_MIN : SAMPLES_MIN;
	double goes_on, rises, survives;

	out->verdict = MW_VERDICT_EARLY;
	if (s->n < POINTS_MIN || w.n < 5 || late.n < 3 ||
	    events_of(site, out->by_growth) < least_events)
		return;
	out->slope = robust_fit(&w);
	confidence = judge_slope(site, &w, out);
	goes_on = fmin(reached(lately, out->slope, SHARE_LATE),
		       reached(lately, fmax(fit(&early, NULL), out->slope), SHARE_EARLIER));
	rises = fmax(reached(minima_slope(&w), out->slope, SHARE_MINIMA),
		     reached(out->slope * (w.now - w.begin) - setback(&w),
			     out->slope * (w.now - w.begin), SHARE_KEPT));
	survives =
		out->by_growth ? 1 : reached(survival(site, s, &w, out->slope), 1, SHARE_SURVIVE);
	out->confidence = confidence * goes_on * rises * survives;
	if (out->slope > 0 && out->confidence >= SUSPECT)
		out->verdict = MW_VERDICT_SUSPECT;
	else
		out->verdict = other_verdict(
			site, s, &w, out->by_growth,
			out->slope > 0 && confidence >= PROBABLE && goes_on >= 1, survives >= 1);
}

static void oldest_cohort(const struct mw_site_stats *site, double now, struct mw_suspect *out)
{
	const struct mw_site_cohort *oldest = NULL;

	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		const struct mw_site_cohort *c = &site->cohorts[i];

		/* One in which hardly anything was made says nothing. */
		if (c->before > 0 && c->before <= now && c->born >= 1 &&
		    (!oldest || c->before < oldest->before))
			oldest = c;
	}
	if (!oldest)
		return;
	out->born = oldest->born;
	out->freed = fmin(fmax(oldest->born - oldest->alive, 0), oldest->born);
	out->age = now - oldest->before;
}

/* "12,400", of an estimate. */
static char *format_grouped(char *buf, double n)
{
	char digits[MW_UNIT_BUF];
	size_t len, out = 0;

	snprintf(digits, sizeof(digits), "%.0f", n > 0 ? fmin(n, 1e12) : 0);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

/* "10 min", "2.5 min": without the ".0" of one that is whole. */
static char *format_age(char *buf, double seconds)
{
	char *zero;

	mw_format_duration(buf, seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0);
	zero = strstr(buf, ".0 ");
	if (zero)
		memmove(zero, zero + 2, strlen(zero + 2) + 1);
	return buf;
}

static char *format_bytes(char *buf, double bytes)
{
	return mw_format_size(buf, bytes > 0 && bytes < 0x1p63 ? (uint64_t)bytes : 0);
}

/* "+2.1 MiB/min (±0.2)" */
static void format_rate(char *buf, size_t size, double slope, double error)
{
	const char *per = slope * 60 >= 1024 ? "min" : "h";
	double rate = slope * (slope * 60 >= 1024 ? 60 : 3600), unit = rate;
	char text[MW_UNIT_BUF];
	int n;

	if (!isfinite(rate))
		rate = unit = 0;
	error *= slope > 0 ? rate / slope : 0;
	for (; unit >= 1023.95; unit /= 1024)
		error /= 1024;
	mw_format_signed_size(text, rate < 0x1p62 ? (int64_t)(rate + 0.5) : INT64_MAX);
	n = snprintf(buf, size, "%s/%s", text, per);
	if (error >= 0.05 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, " (±%.1f)", error);
}

/* What the kernel gave says who asked, not who keeps. */
static void growth_words(const struct mw_site_stats *site, double seen, const char *rate, char *buf,
			 size_t size)
{
	char a[MW_UNIT_BUF + 8], b[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];

	format_age(age, seen);
	if (!(site->totals.grown_bytes > 0))
		snprintf(buf, size,
			 "%s of pages first touched in %s; what was given back is not seen", rate,
			 age);
	else if (!(site->totals.returned_bytes > 0))
		snprintf(buf, size, "%s of new memory from the kernel, none returned in %s", rate,
			 age);
	else
		snprintf(buf, size, "%s of new memory from the kernel, %s of %s returned in %s",
			 rate, format_bytes(a, site->totals.returned_bytes),
			 format_bytes(b, site->totals.grown_bytes), age);
}

static void suspect_words(const struct mw_site_stats *site, double now,
			  const struct mw_suspect *suspect, char *buf, size_t size)
{
	char rate[64], a[MW_UNIT_BUF + 8], b[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];
	double seen = now - (site->first_seen > 0 ? site->first_seen : 0);
	const char *hint = seen < 600 ? " so far; a cache that still fills looks the same" : "";

	format_rate(rate, sizeof(rate), suspect->slope, suspect->slope_error);
	if (suspect->by_growth)
		growth_words(site, seen, rate, buf, size);
	else if (suspect->born > 0)
		snprintf(buf, size, "%s, %s of %s objects freed after %s%s", rate,
			 format_grouped(a, suspect->freed), format_grouped(b, suspect->born),
			 format_age(age, suspect->age), hint);
	else
		snprintf(buf, size, "%s in %s%s", rate, format_age(age, seen), hint);
}

static void write_sentence(const struct mw_site_stats *site, const struct series *s,
			   struct mw_suspect *out)
{
	char words[200], text[MW_SENTENCE_SIZE], a[MW_UNIT_BUF], b[MW_UNIT_BUF + 8];
	char c[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];
	double holds = s->n ? s->y[s->n - 1] : 0, most = 0;
	struct series w = since(s, s->begin + STARTUP * (s->now - s->begin));

	for (size_t i = 0; i < w.n; i++)
		most = fmax(most, w.y[i]);
	switch (out->verdict) {
	case MW_VERDICT_SUSPECT:
		suspect_words(site, s->now, out, words, sizeof(words));
		break;
	case MW_VERDICT_LEVELS:
		if (out->born > 0 && out->freed > 0.5 * out->born)
			snprintf(words, sizeof(words),
				 "%s, and what is old goes: %s of %s objects freed after %s",
				 format_bytes(a, holds), format_grouped(b, out->freed),
				 format_grouped(c, out->born), format_age(age, out->age));
		else
			snprintf(words, sizeof(words), "levels off at %s", format_bytes(a, holds));
		break;
	case MW_VERDICT_PERIODIC:
		snprintf(words, sizeof(words), "comes and goes between %s and %s",
			 format_bytes(a, smallest(&w, w.begin, w.now)), format_bytes(b, most));
		break;
	case MW_VERDICT_STARTUP:
		snprintf(words, sizeof(words), "%s from the start, no more since",
			 format_bytes(a, holds));
		break;
	case MW_VERDICT_STEADY:
		snprintf(words, sizeof(words), "%s, no growth that stands out",
			 format_bytes(a, holds));
		break;
	case MW_VERDICT_EARLY:
		snprintf(words, sizeof(words), "too little seen to say");
		break;
	}
	snprintf(text, sizeof(text), "%s: %s", out->label, words);
	mw_text_clean(out->sentence, sizeof(out->sentence), text, strlen(text));
}

/* What is in OUT stays: the label, and the group. */
static void judge(const struct mw_site_stats *site, double now, struct mw_suspect *out)
{
	struct series s;

	out->site = site;
	out->by_growth = judged_by_growth(site);
	make_series(&s, site, now, out->by_growth);
	judge_history(site, &s, out);
	oldest_cohort(site, now, out);
	write_sentence(site, &s, out);
}

void mw_suspect__judge(const struct mw_site_stats *site, double now, struct mw_suspect *out)
{
	memset(out, 0, sizeof(*out));
	mw_label_format(site, NULL, out->label, sizeof(out->label));
	judge(site, now, out);
}

/* Cheap, and true of every suspect: it holds more than at some time after start-up. */
static bool has_grown(const struct mw_site_stats *site)
{
	bool by_growth = judged_by_growth(site);
	struct mw_site_point last = point_now(site);
	double now = level(site, &last, by_growth);

	for (size_t i = site->point_count / 4; i < site->point_count; i++) {
		if (level(site, &site->points[i], by_growth) < now)
			return true;
	}
	return false;
}

/* Bytes a second that the target has got from the kernel since start-up, by all its sites. */
static double growth_rate(const struct mw_label_groups *groups, double now)
{
	double since = STARTUP * now, grown = 0;

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_site_stats *site = &mw_label_groups__at(groups, i)->total;
		double before = 0;

		for (size_t k = 0; k < site->point_count && site->points[k].elapsed <= since; k++)
			before = site->points[k].grown_bytes - site->points[k].returned_bytes;
		grown += site->totals.grown_bytes - site->totals.returned_bytes - before;
	}
	return now > since ? grown / (now - since) : 0;
}

/*
 * A cache that replaces its entries by others of the same size looks like a leak where frees
 * between windows go unseen. A leak is watched long enough for that not to be, or it is what makes
 * the process grow.
 */
static bool stands_out(const struct mw_suspect *suspect, double growth)
{
	const struct mw_site_stats *site = suspect->site;

	if (!(site->flags & MW_SITE_WINDOWS) || suspect->by_growth)
		return true;
	if (suspect->age > 0 && site->totals.watched_seconds >= WATCHED * suspect->age)
		return true;
	return suspect->slope + 2 * suspect->slope_error >= SHARE_GROWTH * growth &&
	       suspect->slope - 2 * suspect->slope_error <= BEYOND_GROWTH * growth;
}

/* Those that are judged by what the kernel gave, or the others: by their own blocks. */
static size_t find(const struct mw_label_groups *groups, double now, bool by_growth,
		   struct mw_suspect *out, size_t max)
{
	double growth = growth_rate(groups, now);
	size_t n = 0;

	for (size_t i = 0; i < mw_label_groups__count(groups) && max; i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);
		struct mw_suspect suspect = {.group = group};
		size_t at;

		if (judged_by_growth(&group->total) != by_growth || !has_grown(&group->total))
			continue;
		snprintf(suspect.label, sizeof(suspect.label), "%s", group->label);
		judge(&group->total, now, &suspect);
		if (suspect.verdict != MW_VERDICT_SUSPECT || !stands_out(&suspect, growth) ||
		    (n == max && suspect.slope <= out[n - 1].slope))
			continue;
		if (n < max)
			n++;
		for (at = n - 1; at && out[at - 1].slope < suspect.slope; at--)
			out[at] = out[at - 1];
		out[at] = suspect;
	}
	return n;
}

size_t mw_suspects__find(const struct mw_label_groups *groups, double now, struct mw_suspect *out,
			 size_t max)
{
	return find(groups, now, false, out, max);
}

size_t mw_suspects__find_growing(const struct mw_label_groups *groups, double now,
				 struct mw_suspect *out, size_t max)
{
	return find(groups, now, true, out, max);
}

const char *mw_verdict_name(enum mw_verdict verdict)
{
	static const char *const names[] = {
		[MW_VERDICT_EARLY] = "early",	    [MW_VERDICT_STEADY] = "steady",
		[MW_VERDICT_LEVELS] = "levels off", [MW_VERDICT_PERIODIC] = "periodic",
		[MW_VERDICT_STARTUP] = "startup",   [MW_VERDICT_SUSPECT] = "suspect",
	};

	return names[verdict];
}

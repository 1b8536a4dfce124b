// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/decline.h"
#include "model/live_bytes.h"
#include "model/series.h"

/* Looks and seconds for a course, and in how many of them there must be more than before. */
enum { LOOKS_NEEDED = 7, RISES = 5 };
static const double SPAN_NEEDED = 25;
/* Of what it has grown by, it may have fallen by so much in between. */
static const double FALL_MOST = 0.2;
/* Of what all grow by: a class that grows by less has no part in it. */
static const double PART = 0.01;

enum { LOOKS_MIN = 3, PAIRS_MAX = MW_LIVE_LOOKS * (MW_LIVE_LOOKS - 1) / 2 };

size_t mw_live_class(uint64_t size, unsigned int fine)
{
	unsigned int octave;
	size_t class;

	if (size < (uint64_t)MW_LIVE_FINE * fine)
		return (size_t)(size / fine);
	octave = 63 - (unsigned int)__builtin_clzll(size);
	class = MW_LIVE_FINE + 8 * (octave - 9) + (size_t)(size >> (octave - 3) & 7);
	return class < MW_LIVE_CLASSES ? class : MW_LIVE_CLASSES - 1;
}

/* Of the looks between the first one and the last few every second one goes. */
static void thin_out(struct mw_live_bytes *live)
{
	size_t kept = 1;

	for (size_t i = 1; i < live->count; i++) {
		if (i % 2 == 0 || i >= live->count - 4)
			live->looks[kept++] = live->looks[i];
	}
	live->count = kept;
}

struct mw_live_look *mw_live_bytes__begin_look(struct mw_live_bytes *live, double time)
{
	struct mw_live_look *look;

	if (live->count == MW_LIVE_LOOKS)
		thin_out(live);
	look = &live->looks[live->count++];
	memset(look, 0, sizeof(*look));
	look->time = time;
	return look;
}

void mw_live_bytes__drop_look(struct mw_live_bytes *live)
{
	live->count--;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static bool is_constant(const struct mw_series *s)
{
	for (size_t i = 1; i < s->n; i++) {
		if (s->y[i] != s->y[0])
			return false;
	}
	return true;
}

/* The slopes between all pairs of looks, in order; how many. */
static size_t slopes_of(const struct mw_series *s, double slopes[PAIRS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = i + 1; k < s->n; k++) {
			double span = s->t[k] - s->t[i];

			if (span > 0)
				slopes[n++] = (s->y[k] - s->y[i]) / span;
		}
	}
	qsort(slopes, n, sizeof(*slopes), by_value);
	return n;
}

/*
 * What is filled and cleared in a rhythm of its own has, at looks at uneven times, values in random
 * order; a cache takes in ever less. Looks are exact, so a few of them show both.
 */
static enum mw_live_course course_of(const struct mw_series *s)
{
	struct mw_decline decline;
	double most = 0, fall = 0, growth = s->y[s->n - 1] - s->y[0];
	size_t rises = 0;

	if (s->n < LOOKS_NEEDED || s->t[s->n - 1] - s->t[0] < SPAN_NEEDED)
		return MW_LIVE_EARLY;
	for (size_t i = 0; i < s->n; i++) {
		rises += i && s->y[i] > s->y[i - 1];
		most = fmax(most, s->y[i]);
		fall = fmax(fall, most - s->y[i]);
	}
	decline = mw_decline__of(s);
	if (fall > FALL_MOST * growth || mw_decline__is_sure(&decline))
		return MW_LIVE_ENDS;
	return rises >= RISES && mw_decline__is_excluded(&decline) ? MW_LIVE_GOES_ON
								   : MW_LIVE_EARLY;
}

static struct mw_live_trend trend_of(const struct mw_series *s)
{
	struct mw_live_trend trend = {0};
	double slopes[PAIRS_MAX];
	size_t n;

	if (s->n < LOOKS_MIN || is_constant(s))
		return trend;
	n = slopes_of(s, slopes);
	if (!n)
		return trend;
	trend.least = slopes[n / 4];
	trend.rate = slopes[n / 2];
	trend.most = slopes[n - 1 - n / 4];
	trend.course = course_of(s);
	return trend;
}

static struct mw_series series_of(const struct mw_live_bytes *live, const bool in[MW_LIVE_CLASSES])
{
	struct mw_series s = {0};

	for (size_t i = 0; i < live->count; i++) {
		double sum = 0;

		for (size_t class = 0; class < MW_LIVE_CLASSES; class ++)
			sum += in[class] ? (double)live->looks[i].bytes[class] : 0;
		mw_series__add(&s, live->looks[i].time, sum);
	}
	return s;
}

static struct mw_series series_of_class(const struct mw_live_bytes *live, size_t class)
{
	struct mw_series s = {0};

	for (size_t i = 0; i < live->count; i++)
		mw_series__add(&s, live->looks[i].time, (double)live->looks[i].bytes[class]);
	return s;
}

struct mw_live_trend mw_live_bytes__trend(const struct mw_live_bytes *live,
					  const bool in[MW_LIVE_CLASSES])
{
	struct mw_series s = series_of(live, in);

	return trend_of(&s);
}

/* The median of the slopes, or where LEAST the lower quartile: two looks are enough. */
static double slope_of(const struct mw_series *s, bool least)
{
	double slopes[PAIRS_MAX];
	size_t n = slopes_of(s, slopes);

	return n ? slopes[least ? n / 4 : n / 2] : 0;
}

double mw_live_growth__rate(const struct mw_live_growth *growth)
{
	bool all[MW_LIVE_CLASSES];
	struct mw_series s;

	memset(all, true, sizeof(all));
	s = series_of(&growth->looks, all);
	return slope_of(&s, false);
}

/* The least size of class MW_LIVE_FINE + LARGE. */
static uint64_t least_size(size_t large)
{
	return (uint64_t)(8 + large % 8) << (large / 8 + 6);
}

/* Sizes that a program may have asked for when it got a block of CLASS. */
static void mark_sizes(size_t class, unsigned int fine, bool growing[MW_CLASSES])
{
	bool is_fine = class < MW_LIVE_FINE;
	uint64_t least = is_fine ? class * fine : least_size(class - MW_LIVE_FINE);
	uint64_t most = is_fine ? least + fine - 1 : least_size(class - MW_LIVE_FINE + 1) - 1;

	/* Python's blocks are as large as they are; malloc's have some more room. */
	if (fine == MW_LIVE_PYTHON && is_fine)
		most = least;
	else
		least -= least < fine ? least : fine - 1;
	for (uint32_t i = mw_size_class(least); i <= mw_size_class(most); i++)
		growing[i] = true;
}

void mw_live_growth__mark(const struct mw_live_growth *growth, unsigned int fine,
			  bool growing[MW_CLASSES])
{
	double rates[MW_LIVE_CLASSES], all = 0;

	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		struct mw_series s = series_of_class(&growth->looks, class);

		rates[class] = fmax(slope_of(&s, true), 0);
		all += rates[class];
	}
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		if (rates[class] > 0 && rates[class] >= PART * all)
			mark_sizes(class, fine, growing);
	}
}

void mw_live_bytes__growth(const struct mw_live_bytes *live, struct mw_live_growth *growth)
{
	memset(growth, 0, sizeof(*growth));
	if (!live->count)
		return;
	growth->looks = *live;
	growth->time = live->looks[live->count - 1].time;
	growth->known = live->count >= LOOKS_MIN;
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		struct mw_series s = series_of_class(live, class);
		struct mw_live_trend trend = trend_of(&s);

		growth->live[class] = (double)live->looks[live->count - 1].bytes[class];
		growth->least[class] = trend.least;
		growth->rate[class] = trend.rate;
		growth->most[class] = trend.most;
		growth->course[class] = trend.course;
	}
}

/* Bytes of CLASS at TIME, between two looks or at one. */
static double bytes_at(const struct mw_live_bytes *live, size_t class, double time)
{
	const struct mw_live_look *looks = live->looks;
	size_t i = 0;
	double part;

	while (i + 1 < live->count && looks[i + 1].time <= time)
		i++;
	if (i + 1 == live->count || time <= looks[i].time)
		return (double)looks[i].bytes[class];
	part = (time - looks[i].time) / (looks[i + 1].time - looks[i].time);
	return (1 - part) * (double)looks[i].bytes[class] +
	       part * (double)looks[i + 1].bytes[class];
}

static void add_looks(struct mw_live_bytes *sum, const struct mw_live_bytes *other)
{
	size_t kept = 0;

	for (size_t i = 0; other->count && i < sum->count; i++) {
		struct mw_live_look *look = &sum->looks[i];

		if (look->time < other->looks[0].time ||
		    look->time > other->looks[other->count - 1].time)
			continue;
		for (size_t class = 0; class < MW_LIVE_CLASSES; class ++)
			look->bytes[class] += (uint64_t)bytes_at(other, class, look->time);
		sum->looks[kept++] = *look;
	}
	sum->count = kept;
}

void mw_live_growth__add(struct mw_live_growth *sum, const struct mw_live_growth *other)
{
	bool first = !(sum->time > 0);

	sum->known = other->known && (first || sum->known);
	sum->time = first ? other->time : fmin(sum->time, other->time);
	if (first)
		sum->looks = other->looks;
	else
		add_looks(&sum->looks, &other->looks);
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		sum->live[class] += other->live[class];
		sum->least[class] += other->least[class];
		sum->rate[class] += other->rate[class];
		sum->most[class] += other->most[class];
		/* What goes on in one process goes on. */
		if (first || other->course[class] == MW_LIVE_GOES_ON)
			sum->course[class] = other->course[class];
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/generations.h"
#include "model/series.h"

/*
 * Seconds that a site must have lived before anything is said of it: more than the half minute that
 * entries of caches and queues like to live.
 */
static const double LIFE_MIN = 38;
/* Seconds: younger blocks may not have been looked at yet; and at least this share of its life. */
static const double YOUNG = 6, YOUNG_SHARE = 0.1;
/* Blocks that are known to be there: altogether, and of each third of the time. */
enum { SURVIVORS_MIN = 14, THIRD_MIN = 3, THIRDS = 3 };
/* A block that has lived for this share of its site's life ... */
static const double LATE = 0.25;
/* ... must be one of which less than this share dies ... */
static const double DEATHS = 0.2;
/* ... in 19 of 20 cases. */
static const double SURE = 0.95;
/* As much of the oldest third as of all must be there. */
static const double OLD = 0.5;
/* Of what was made in a quarter of the time, so much is made in the last one. */
static const double LATELY = 0.45;
/* The first class of ages ends here, seconds; each reaches 1.19 times as far as the one before. */
static const double AGE_FIRST = 0.5;

static int age_class(double age)
{
	int class = age > AGE_FIRST ? (int)ceil(4 * log2(age / AGE_FIRST)) : 0;

	return class < MW_DEATH_AGES ? class : MW_DEATH_AGES - 1;
}

struct mw_generation *mw_generations__at(struct mw_generations *g, double time)
{
	double i = g->width > 0 && time > 0 ? time / g->width : 0;

	return &g->list[i < MW_GENERATIONS ? (size_t)i : MW_GENERATIONS - 1];
}

static void add(struct mw_generation *sum, const struct mw_generation *other)
{
	sum->born += other->born;
	sum->born_bytes += other->born_bytes;
	sum->freed += other->freed;
	sum->kept += other->kept;
	sum->kept_bytes += other->kept_bytes;
	sum->squares += other->squares;
	sum->survivors += other->survivors;
}

void mw_generations__widen(struct mw_generations *g)
{
	for (size_t i = 0; i < MW_GENERATIONS; i++) {
		struct mw_generation sum = {0};

		for (size_t k = 2 * i; k < 2 * i + 2 && k < MW_GENERATIONS; k++)
			add(&sum, &g->list[k]);
		g->list[i] = sum;
	}
	g->width *= 2;
}

void mw_deaths__add(struct mw_deaths *deaths, double age)
{
	deaths->at[age_class(age)]++;
}

void mw_generations__set_deaths(struct mw_generations *g, const struct mw_deaths *found,
				const struct mw_deaths *seen, double scale)
{
	for (size_t i = 0; i < MW_DEATH_AGES; i++)
		g->died.at[i] = found->at[i] + (float)scale * seen->at[i];
}

void mw_generations__forget_kept(struct mw_generations *g)
{
	for (size_t i = 0; i < MW_GENERATIONS; i++) {
		struct mw_generation *one = &g->list[i];

		one->kept = one->kept_bytes = one->squares = one->survivors = 0;
	}
}

void mw_generations__add(struct mw_generations *sum, const struct mw_generations *other)
{
	if (!(other->width > 0))
		return;
	if (!(sum->width > 0))
		memset(sum, 0, sizeof(*sum));
	sum->width = other->width;
	for (size_t i = 0; i < MW_GENERATIONS; i++)
		add(&sum->list[i], &other->list[i]);
	for (size_t i = 0; i < MW_DEATH_AGES; i++)
		sum->died.at[i] += other->died.at[i];
}

/* ---- judging --------------------------------------------------------------------------------- */

/* P(at most DEATHS of N), each with the chance P: the binomial distribution, of rounded numbers. */
static double at_most(double deaths, double n, double p)
{
	double sum = 0;

	deaths = round(deaths);
	n = round(n);
	for (double k = 0; k <= deaths && k <= n; k++)
		sum += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) +
			   (n - k) * log1p(-p));
	return fmin(sum, 1);
}

/* That less than DEATHS die late, by those that died and those that live. */
static double confidence_of(const struct mw_generations *g, double life, double late_survivors)
{
	double died = 0;

	for (int class = age_class(LATE * life) + 1; class < MW_DEATH_AGES; class ++)
		died += g->died.at[class];
	return 1 - at_most(died, died + late_survivors, DEATHS);
}

/* The part of generation I, as it ends at NOW at the latest, that lies between FROM and TO. */
static double part_of(const struct mw_generations *g, size_t i, double now, double from, double to)
{
	double begin = (double)i * g->width, end = fmin(begin + g->width, now);
	double part = fmin(to, end) - fmax(from, begin);

	return part > 0 && end > begin ? part / (end - begin) : 0;
}

static struct mw_generation between(const struct mw_generations *g, double now, double from,
				    double to)
{
	struct mw_generation sum = {0};

	for (size_t i = 0; i < MW_GENERATIONS; i++) {
		float part = (float)part_of(g, i, now, from, to);
		struct mw_generation one = g->list[i];

		one.born *= part;
		one.born_bytes *= part;
		one.freed *= part;
		one.kept *= part;
		one.kept_bytes *= part;
		one.squares *= part;
		one.survivors *= part;
		add(&sum, &one);
	}
	return sum;
}

/* Does the site go on to make blocks? One window that stands for too much must not decide. */
static bool goes_on(const struct mw_generations *g, double now, double life)
{
	double quarters[4], low, high;

	for (int i = 0; i < 4; i++)
		quarters[i] = between(g, now, now - life * (4 - i) / 4, now - life * (3 - i) / 4)
				      .born_bytes;
	low = fmin(quarters[0], quarters[1]);
	high = fmax(quarters[0], quarters[1]);
	/* The median of the first three. */
	return quarters[3] >= LATELY * fmax(low, fmin(high, quarters[2]));
}

/*
 * A cache that takes in what it does not have yet makes ever less, or keeps ever less of what it
 * makes, until it is full.
 */
static void find_decline(const struct mw_generations *g, double now, double begin, double end,
			 struct mw_lasting *out)
{
	struct mw_series born = {0}, kept = {0};
	struct mw_generation sum = {0};

	for (double time = begin, next; time < end; time = next) {
		struct mw_generation one;

		mw_series__add(&born, time, sum.born_bytes);
		mw_series__add(&kept, time, sum.kept_bytes);
		next = fmin(time + g->width, end);
		one = between(g, now, time, next);
		add(&sum, &one);
	}
	mw_series__add(&born, end, sum.born_bytes);
	mw_series__add(&kept, end, sum.kept_bytes);
	out->made = mw_decline__of(&born);
	out->stays = mw_decline__of(&kept);
}

static double begin_of(const struct mw_generations *g)
{
	for (size_t i = 0; i < MW_GENERATIONS; i++) {
		if (g->list[i].born > 0)
			return (double)i * g->width;
	}
	return INFINITY;
}

static double share_kept(const struct mw_generation *g)
{
	return g->born_bytes > 0 ? g->kept_bytes / g->born_bytes : 0;
}

/* Seconds until N blocks are WANTED, having come evenly in LIFE. */
static double wait_for(double wanted, double n, double life)
{
	return n >= wanted ? 0 : n > 0 ? life * (wanted / n - 1) : INFINITY;
}

double mw_generations__early(const struct mw_generations *g, double now)
{
	double begin = g->width > 0 ? begin_of(g) : INFINITY;

	return begin < now ? fmax(LIFE_MIN - (now - begin), 0) : INFINITY;
}

void mw_generations__judge(const struct mw_generations *g, double now, struct mw_lasting *out)
{
	double begin = g->width > 0 ? begin_of(g) : INFINITY, life = now - begin, young, span, end;
	struct mw_generation thirds[THIRDS], all;
	double late_survivors;
	bool everywhere = true;

	*out = (struct mw_lasting){.wait = INFINITY};
	if (!(life > 0))
		return;
	young = fmax(YOUNG, YOUNG_SHARE * life);
	end = now - young;
	span = end - begin;
	out->seconds = life;
	out->wait = mw_generations__early(g, now);
	if (!(span > 0))
		return;
	for (int i = 0; i < THIRDS; i++) {
		thirds[i] =
			between(g, now, begin + span * i / THIRDS, begin + span * (i + 1) / THIRDS);
		everywhere &= thirds[i].survivors >= THIRD_MIN;
	}
	all = between(g, now, begin, end);
	late_survivors = between(g, now, begin, fmin(now - LATE * life, end)).survivors;
	out->survivors = all.survivors;
	out->slope = all.kept_bytes / span;
	out->slope_error = sqrt(all.squares) / span;
	out->born = thirds[0].born;
	out->freed = fmin(thirds[0].freed, thirds[0].born);
	out->age = now - begin - span / THIRDS;
	out->confidence = confidence_of(g, life, late_survivors);
	out->wait = fmax(out->wait, wait_for(SURVIVORS_MIN, late_survivors, life));
	if (share_kept(&thirds[0]) < OLD * share_kept(&all) || !goes_on(g, now, life)) {
		if (out->wait <= 0)
			out->wait = INFINITY;
		return;
	}
	out->lasts = out->wait <= 0 && everywhere && all.survivors >= SURVIVORS_MIN &&
		     out->confidence >= SURE;
	if (out->lasts)
		find_decline(g, now, begin, end, out);
	else if (out->wait <= 0)
		out->wait = out->confidence >= SURE ? life / 4 : INFINITY;
}

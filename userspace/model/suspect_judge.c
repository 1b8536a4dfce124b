// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/suspect_words.h"
#include "model/suspects_impl.h"
#include "model/tracked.h"

enum {
	SAMPLES_MIN = 8,
	GROWN_MIN = 6, /* of them: what stayed since start-up */
	HALF_TIME = 1, /* of the cohorts */
	STEPS_MIN = 4, /* growth comes in few large steps */
};

/*
 * A suspect's growth must go on, rise at its minima and survive, each at least in this share of
 * what an even leak of the same slope would show: an even one shows 1, a full cache or a period 0.
 */
#define SHARE_LATE     0.35 /* the last third's slope, of all */
#define SHARE_EARLIER  0.33 /* and of the half of all that came first */
#define SHARE_MINIMA   0.35
#define SHARE_LOST     0.5 /* of its mean rate: it fills up */
#define WALKS	       1.6 /* times the error: what comes by chance wanders off */
#define SHARE_KEPT     0.7 /* of what it rose, it never fell by more than the rest */
#define SHARE_SURVIVE  0.5
#define SHARE_STAYS    0.75
#define SUSPECT	       0.95 /* confidence */
#define PROBABLE       0.8
#define HOUR	       3600
#define SHARE_MOST     0.75 /* of the target's growth, that a suspect is nearly all of */
#define BEYOND_LIVE    1.5  /* of what all blocks of its sizes grow by */
#define UNSCALED       0.25 /* relative error of what it made: windows don't know */
#define MISTAKEN       0.01 /* of what it made: so few may be others in their places */
#define LIVE_SURVIVORS 3    /* blocks of a site, where all of its sizes grow on */

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

bool mw_suspect_by_growth(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	if (site->flags & MW_SITE_RATES_ONLY)
		return true;
	if (site->flags & MW_SITE_TRACKED)
		return !(t->alloc_bytes > 0);
	return !(t->alloc_bytes > 0) && (t->grown_bytes > 0 || t->fault_bytes > 0);
}

/* The history with its two ends: nothing when the site began, and the totals now. */
static void make_series(struct mw_series *s, const struct mw_site_stats *site, double now,
			bool by_growth)
{
	struct mw_site_point last = mw_site_point_at(site, now);

	s->n = 0;
	s->now = now;
	s->begin = site->first_seen > 0 ? site->first_seen : 0;
	/* By then something had been counted already: it began in the step before. */
	mw_series__add(s, s->begin, 0);
	for (size_t i = 0; i < site->point_count; i++) {
		if (site->points[i].elapsed < now)
			mw_series__add(s, site->points[i].elapsed,
				       level(site, &site->points[i], by_growth));
	}
	mw_series__add(s, now, level(site, &last, by_growth));
}

static bool resizes(const struct mw_site_stats *site)
{
	return mw_only_resizes(site->totals.resized, site->totals.allocs);
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
	/* A block that is resized brings what it gets more. */
	if (t->allocs > 0)
		events = (resizes(site) ? held : t->alloc_bytes) / t->allocs;
	return sampling + events;
}

/*
 * How much of what is old is still there, of the worst cohort, as a share of what SLOPE would
 * have brought by its end: since the beginning when that is what was there then, else since W
 * began. All that was ever made may be less: a leak in bursts. Without cohorts, what is asked for
 * is that most of what was made since W began was not freed, and that finds fewer leaks.
 */
static double survival(const struct mw_site_stats *site, const struct mw_series *s,
		       const struct mw_series *w, double slope)
{
	double least = 1, made = site->totals.alloc_bytes;
	bool looked_at = false;

	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		const struct mw_site_cohort *c = &site->cohorts[i];
		double grown = slope * (c->before - s->begin);

		if (!(c->before > s->begin && c->before <= 0.75 * s->now))
			continue;
		looked_at = true;
		if (mw_series__at(s, c->before) < 0.5 * grown)
			grown = slope * (c->before - w->begin);
		grown = fmin(grown, fmin(c->born_bytes, mw_series__at(s, c->before)));
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

/*
 * Of what the site held when half of the time was over, how much it still holds. A cache that is
 * not full yet grows like a leak; but its old entries go. Asked for where nobody chose to look
 * closer: it finds leaks later that are a small part of what a line makes.
 */
static double stays(const struct mw_site_stats *site, const struct mw_series *s)
{
	const struct mw_site_cohort *c = &site->cohorts[HALF_TIME];
	double held = mw_series__at(s, c->before);

	if (!(site->flags & MW_SITE_STAY))
		return 1;
	return c->before > s->begin && held > 0 ? c->alive_bytes / held : 1;
}

/* 1 when SHARE of the whole is reached, else how near it comes. */
static double reached(double part, double whole, double share)
{
	double r = whole > 0 ? part / whole / share : 0;

	return r < 0 ? 0 : r > 1 ? 1 : r;
}

/* No suspect: then what is it? W is what comes after start-up. */
static enum mw_verdict other_verdict(const struct mw_site_stats *site, const struct mw_series *s,
				     const struct mw_series *w, bool by_growth, bool going,
				     bool survives)
{
	double least = mw_series__smallest(w, w->begin, w->now), most = 0;
	double half = w->begin + (w->now - w->begin) / 2;
	double later = mw_series__smallest(w, half, w->now),
	       earlier = mw_series__smallest(w, w->begin, half);
	struct mw_series last = mw_series__since(s, s->now - (s->now - s->begin) / 4);
	struct mw_series first = mw_series__until(s, w->begin);
	double holds = mw_series__typical(&last),
	       reach = mw_series__time_of(s, 0.75 * holds) - s->begin;
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
static double judge_slope(const struct mw_site_stats *site, const struct mw_series *w,
			  struct mw_suspect *out)
{
	double length = w->now - w->begin, noise = noise_of_growth(site, out->by_growth);
	double events = sqrt(1.2 * fabs(out->slope) * noise / length);
	double points, line = hypot(mw_series__fit_error(w, out->slope, &points), events);
	double walk = fmax(mw_series__walk_error(w), events);
	double by_line = out->by_growth ? 0 : mw_t_positive(out->slope, line, points - 2);
	double by_walk = mw_t_positive(out->slope, walk, (double)w->n - 2);

	out->slope_error = out->by_growth ? walk : fmin(line, walk);
	/* A handful of objects is no growth, however well it lies on a line. */
	return fmax(by_line, by_walk) *
	       reached(out->slope * length, noise, out->by_growth ? STEPS_MIN : GROWN_MIN);
}

static void judge_history(const struct mw_site_stats *site, const struct mw_series *s,
			  struct mw_suspect *out)
{
	double life = s->now - s->begin, confidence;
	struct mw_series w = mw_series__since(s, s->begin + MW_SUSPECT_STARTUP * life);
	struct mw_series late = mw_series__since(s, s->now - life / 3);
	struct mw_series early = mw_series__until(&w, w.begin + (w.now - w.begin) / 2);
	/* Spikes spoil the one, bursts the other. */
	double lately = fmax(mw_series__fit(&late, NULL), mw_series__robust_fit(&late));
	double least_events = out->by_growth ? STEPS_MIN : SAMPLES_MIN;
	double goes_on, rises, survives;
	struct mw_decline decline;

	out->by_resizing = !out->by_growth && resizes(site);
	out->verdict = MW_VERDICT_EARLY;
	if (s->n < MW_SUSPECT_POINTS_MIN || w.n < 5 || late.n < 3 ||
	    events_of(site, out->by_growth) < least_events)
		return;
	out->slope = mw_series__robust_fit(&w);
	confidence = judge_slope(site, &w, out);
	goes_on = fmin(
		reached(lately, out->slope, SHARE_LATE),
		reached(lately, fmax(mw_series__fit(&early, NULL), out->slope), SHARE_EARLIER));
	rises = fmax(reached(mw_series__minima_slope(&w), out->slope, SHARE_MINIMA),
		     reached(out->slope * (w.now - w.begin) - mw_series__setback(&w),
			     out->slope * (w.now - w.begin), SHARE_KEPT));
	survives = out->by_growth || out->by_resizing
			   ? 1
			   : fmin(reached(survival(site, s, &w, out->slope), 1, SHARE_SURVIVE),
				  reached(stays(site, s), 1, SHARE_STAYS));
	out->confidence = confidence * goes_on * rises * survives;
	decline = mw_decline__of(&w);
	decline.error *= WALKS;
	if (out->slope > 0 && out->confidence >= SUSPECT)
		out->verdict = !out->by_growth && decline.share > SHARE_LOST &&
					       mw_decline__is_sure(&decline)
				       ? MW_VERDICT_LEVELS
				       : MW_VERDICT_SUSPECT;
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

/*
 * A cache that fills makes ever less, or keeps ever less of what it makes. So does what the process
 * has resident, which is known exactly, as far as the site is what that grows by.
 */
static enum mw_verdict unless_it_fills(const struct mw_lasting *lasting,
				       const struct mw_target_growth *growth, double now)
{
	double share = growth && growth->rate > 0
			       ? fmin((lasting->slope + lasting->slope_error) / growth->rate, 1)
			       : 0;
	struct mw_decline whole = {0, INFINITY}, made, stays;

	if (growth && share >= SHARE_MOST) {
		whole = mw_resident__decline(growth->resident, now - lasting->seconds);
		whole.error = hypot(whole.error, (1 - share) / 2);
	}
	made = mw_decline__mean(&lasting->made, &whole);
	stays = mw_decline__mean(&lasting->stays, &whole);
	if (mw_decline__is_sure(&made) || mw_decline__is_sure(&stays))
		return MW_VERDICT_LEVELS;
	return mw_decline__is_excluded(&made) && mw_decline__is_excluded(&stays)
		       ? MW_VERDICT_SUSPECT
		       : MW_VERDICT_EARLY;
}

/*
 * All blocks of the sizes that a site keeps do not grow as fast as that: most of what seems to be
 * kept has made room for others.
 */
static void limit_by_live_bytes(const struct mw_site_totals *t, struct mw_suspect *out)
{
	double most = fmax(t->grows, t->grows_most);

	if (out->slope - 2 * out->slope_error > BEYOND_LIVE * most)
		out->verdict = MW_VERDICT_STEADY;
	out->slope = fmin(out->slope, most);
	out->slope_error = fmin(out->slope_error, most / 2);
}

/*
 * Blocks of the sizes that a site keeps become ever more, or do not: where that is known, few
 * blocks of its own are enough to say that it is the site which keeps them.
 */
static void judge_by_live_bytes(const struct mw_site_stats *site, struct mw_suspect *out)
{
	const struct mw_site_totals *t = &site->totals;
	bool most_of_it = t->grows > 0 && t->grows >= MW_SUSPECT_SHARE_LIVE * t->grows_most;
	bool unscaled = site->flags & MW_SITE_UNSCALED ||
			sqrt(t->alloc_variance) > UNSCALED * t->alloc_bytes;

	limit_by_live_bytes(t, out);
	if (out->verdict == MW_VERDICT_SUSPECT && t->ends > t->grows / 2)
		out->verdict = MW_VERDICT_LEVELS;
	/* Whether what was made at each time is still there depends on how much windows stand for.
	 */
	if (out->verdict != MW_VERDICT_EARLY && !(out->verdict == MW_VERDICT_STEADY && unscaled))
		return;
	if (!most_of_it || t->goes_on < t->grows / 2 || out->survivors < LIVE_SURVIVORS)
		return;
	out->verdict = MW_VERDICT_SUSPECT;
	out->slope = t->grows;
	out->slope_error = t->grows / sqrt(out->survivors);
}

/*
 * All that its sizes can have grown by is next to nothing of what it made: as much as windows may
 * mistake for its own of what others left in the places of its blocks.
 */
static bool may_be_mistaken(const struct mw_site_stats *site, double now)
{
	const struct mw_site_totals *t = &site->totals;
	double life = now - fmax(site->first_seen, 0);

	return fmax(t->grows, t->grows_most) * life < MISTAKEN * t->alloc_bytes;
}

/* Its blocks do not last, and the sizes that only such sites keep become ever more. */
static void judge_by_resizing(const struct mw_site_stats *site, struct mw_suspect *out)
{
	const struct mw_site_totals *t = &site->totals;

	out->by_resizing = true;
	out->born = out->freed = 0;
	if (t->swells < MW_SUSPECT_SHARE_LIVE * t->swells_most || !(t->swells > 0))
		return;
	out->verdict = MW_VERDICT_SUSPECT;
	out->slope = t->swells;
	out->slope_error = t->swells_most - t->swells;
}

/*
 * Of blocks that come and go, those that seem to stay may be others in their places: what all
 * blocks of their sizes grow by does not say whose that is.
 */
static bool hardly_lasts(const struct mw_lasting *lasting)
{
	return lasting->freed > MW_SUSPECT_HARDLY_LASTS * lasting->born &&
	       lasting->confidence < PROBABLE;
}

/*
 * By windows, what a site holds is known too little from one moment to the next to fit a line; how
 * much of what it made lasts is known well. GROWTH may be NULL.
 */
void mw_suspect_judge_generations(const struct mw_site_stats *site,
				  const struct mw_target_growth *growth, double now,
				  struct mw_suspect *out)
{
	const struct mw_site_totals *t = &site->totals;
	struct mw_lasting lasting;
	double relative = t->alloc_bytes > 0 ? sqrt(t->alloc_variance) / t->alloc_bytes : 0;

	mw_generations__judge(&site->generations, now, &lasting);
	/* How many blocks were seen, and how much of the time windows stand for. */
	lasting.slope_error = hypot(lasting.slope_error, lasting.slope * relative);
	out->verdict = lasting.lasts	     ? unless_it_fills(&lasting, growth, now)
		       : lasting.wait < HOUR ? MW_VERDICT_EARLY
					     : MW_VERDICT_STEADY;
	out->slope = lasting.slope;
	out->slope_error = lasting.slope_error;
	out->confidence = lasting.confidence;
	out->born = site->flags & MW_SITE_UNSCALED ? 0 : lasting.born;
	out->freed = site->flags & MW_SITE_UNSCALED ? 0 : lasting.freed;
	out->age = lasting.age;
	out->seconds = lasting.seconds;
	out->wait = lasting.lasts && out->verdict == MW_VERDICT_EARLY ? lasting.seconds / 4
								      : lasting.wait;
	out->survivors = lasting.survivors;
	if (site->flags & MW_SITE_LIVE_KNOWN && !hardly_lasts(&lasting))
		judge_by_live_bytes(site, out);
	if (out->verdict == MW_VERDICT_SUSPECT && site->flags & MW_SITE_LIVE_KNOWN &&
	    may_be_mistaken(site, now))
		out->verdict = MW_VERDICT_STEADY;
	/* Most have gone, and yet it grows: windows stand for fewer objects than they seem to. */
	if (out->verdict == MW_VERDICT_SUSPECT && out->freed > out->born / 2)
		out->born = out->freed = 0;
	if (resizes(site))
		judge_by_resizing(site, out);
}

bool mw_suspect_by_generations(const struct mw_site_stats *site)
{
	return site->generations.width > 0 && !mw_suspect_by_growth(site);
}

/* What is in OUT stays: the label, and the group. S: its history. */
void mw_suspect_judge_layer(const struct mw_site_stats *site, const struct mw_target_growth *growth,
			    double now, struct mw_suspect *out, struct mw_series *s)
{
	out->site = site;
	out->by_growth = mw_suspect_by_growth(site);
	make_series(s, site, now, out->by_growth);
	if (mw_suspect_by_generations(site)) {
		mw_suspect_judge_generations(site, growth, now, out);
	} else {
		judge_history(site, s, out);
		oldest_cohort(site, now, out);
	}
}

void mw_suspect__judge(const struct mw_site_stats *site, double now, struct mw_suspect *out)
{
	struct mw_series s;

	memset(out, 0, sizeof(*out));
	mw_label_format(site, NULL, out->label, sizeof(out->label));
	mw_suspect_judge_layer(site, NULL, now, out, &s);
	mw_suspect__write(site, &s, MW_SUSPECT_STARTUP, out);
}

/* Cheap, and true of every suspect: it holds more than at some time after start-up. */
bool mw_suspect_has_grown(const struct mw_site_stats *site)
{
	bool by_growth = mw_suspect_by_growth(site);
	struct mw_site_point last = mw_site_point_at(site, 0);
	double now = level(site, &last, by_growth);

	for (size_t i = site->point_count / 4; i < site->point_count; i++) {
		if (level(site, &site->points[i], by_growth) < now)
			return true;
	}
	return false;
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

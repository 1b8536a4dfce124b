// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/series.h"
#include "model/suspect_words.h"
#include "model/tracked.h"

enum {
	POINTS_MIN = 8, /* below that nothing is said */
	SAMPLES_MIN = 8,
	GROWN_MIN = 6, /* of them: what stayed since start-up */
	HALF_TIME = 1, /* of the cohorts */
	STEPS_MIN = 4, /* growth comes in few large steps */
};

/*
 * A suspect's growth must go on, rise at its minima and survive, each at least in this share of
 * what an even leak of the same slope would show: an even one shows 1, a full cache or a period 0.
 */
#define SHARE_LATE    0.35 /* the last third's slope, of all */
#define SHARE_EARLIER 0.33 /* and of the half of all that came first */
#define SHARE_MINIMA  0.35
#define SHARE_LOST    0.5 /* of its mean rate: it fills up */
#define WALKS	      1.6 /* times the error: what comes by chance wanders off */
#define SHARE_KEPT    0.7 /* of what it rose, it never fell by more than the rest */
#define SHARE_SURVIVE 0.5
#define SHARE_STAYS   0.75
#define SUSPECT	      0.95 /* confidence */
#define PROBABLE      0.8
#define STARTUP	      0.25 /* of the site's life: not judged */
#define HOUR	      3600
/*
 * By windows: times its age that a block was watched, and had died in 19 of 20 cases if it did not
 * live longer. That counts after so many seconds.
 */
#define WATCHED	       3
#define LONG	       100
#define SHARE_GROWTH   0.5  /* of the target's growth, that a suspect is most of */
#define SHARE_MOST     0.75 /* ... that it is nearly all of */
#define BEYOND_GROWTH  1.25 /* of it: no site grows faster than its process */
#define BEYOND_LIVE    1.5  /* of what all blocks of its sizes grow by */
#define SHARE_LIVE     0.5  /* of it, that a suspect is most of */
#define UNSCALED       0.25 /* relative error of what it made: windows don't know */
#define HARDLY_LASTS   0.75 /* of what it made, that was freed */
#define MISTAKEN       0.01 /* of what it made: so few may be others in their places */
#define LIVE_SURVIVORS 3    /* blocks of a site, where all of its sizes grow on */
#define LATELY	       0.34 /* of the watch: the target still grows ... */
#define GROWS_ON       0.5  /* ... by so much of what the suspect brings */

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

static bool judged_by_growth(const struct mw_site_stats *site)
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
	struct mw_series w = mw_series__since(s, s->begin + STARTUP * life);
	struct mw_series late = mw_series__since(s, s->now - life / 3);
	struct mw_series early = mw_series__until(&w, w.begin + (w.now - w.begin) / 2);
	/* Spikes spoil the one, bursts the other. */
	double lately = fmax(mw_series__fit(&late, NULL), mw_series__robust_fit(&late));
	double least_events = out->by_growth ? STEPS_MIN : SAMPLES_MIN;
	double goes_on, rises, survives;
	struct mw_decline decline;

	out->by_resizing = !out->by_growth && resizes(site);
	out->verdict = MW_VERDICT_EARLY;
	if (s->n < POINTS_MIN || w.n < 5 || late.n < 3 ||
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
/* How fast the target grows, bytes a second: since start-up, and lately. */
struct growth {
	double rate, lately;
	const struct mw_resident *resident; /* NULL: not known */
};

/*
 * A cache that fills makes ever less, or keeps ever less of what it makes. So does what the process
 * has resident, which is known exactly, as far as the site is what that grows by.
 */
static enum mw_verdict unless_it_fills(const struct mw_lasting *lasting,
				       const struct growth *growth, double now)
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
	bool most_of_it = t->grows > 0 && t->grows >= SHARE_LIVE * t->grows_most;
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
	if (t->swells < SHARE_LIVE * t->swells_most || !(t->swells > 0))
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
	return lasting->freed > HARDLY_LASTS * lasting->born && lasting->confidence < PROBABLE;
}

/*
 * By windows, what a site holds is known too little from one moment to the next to fit a line; how
 * much of what it made lasts is known well. GROWTH may be NULL.
 */
static void judge_generations(const struct mw_site_stats *site, const struct growth *growth,
			      double now, struct mw_suspect *out)
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

static bool judged_by_generations(const struct mw_site_stats *site)
{
	return site->generations.width > 0 && !judged_by_growth(site);
}

/* What is in OUT stays: the label, and the group. S: its history. */
static void judge(const struct mw_site_stats *site, const struct growth *growth, double now,
		  struct mw_suspect *out, struct mw_series *s)
{
	out->site = site;
	out->by_growth = judged_by_growth(site);
	make_series(s, site, now, out->by_growth);
	if (judged_by_generations(site)) {
		judge_generations(site, growth, now, out);
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
	judge(site, NULL, now, out, &s);
	mw_suspect__write(site, &s, STARTUP, out);
}

/* Cheap, and true of every suspect: it holds more than at some time after start-up. */
static bool has_grown(const struct mw_site_stats *site)
{
	bool by_growth = judged_by_growth(site);
	struct mw_site_point last = mw_site_point_at(site, 0);
	double now = level(site, &last, by_growth);

	for (size_t i = site->point_count / 4; i < site->point_count; i++) {
		if (level(site, &site->points[i], by_growth) < now)
			return true;
	}
	return false;
}

/* Bytes a second that the target has got from the kernel since then, by all its sites. */
static double given_rate(const struct mw_label_groups *groups, double since, double now)
{
	double grown = 0;

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_site_stats *site = &mw_label_groups__at(groups, i)->total;
		double before = 0;

		for (size_t k = 0; k < site->point_count && site->points[k].elapsed <= since; k++)
			before = site->points[k].grown_bytes - site->points[k].returned_bytes;
		grown += site->totals.grown_bytes - site->totals.returned_bytes - before;
	}
	return now > since ? grown / (now - since) : 0;
}

/* The heaps of threads grow without being given anything; what is given need not be touched. */
static struct growth growth_of(const struct mw_label_groups *groups,
			       const struct mw_resident *resident, double now)
{
	double since = STARTUP * now, lately = now - LATELY * now;

	return (struct growth){
		fmax(given_rate(groups, since, now), mw_resident__rate(resident, since)),
		fmax(given_rate(groups, lately, now), mw_resident__rate(resident, lately)),
		resident,
	};
}

/* Sites whose blocks stay, suspects and caches that fill: together they are the growth. */
struct lasting {
	double slope, variance; /* bytes a second */
};

/* Is it what the growth lacks without the others that last, so far as these are known? */
static bool completes(const struct mw_suspect *suspect, const struct lasting *all, double growth)
{
	double error = 2 * suspect->slope_error;
	double others = fmax(all->slope - suspect->slope, 0);
	double unsure =
		2 * sqrt(fmax(all->variance - suspect->slope_error * suspect->slope_error, 0));

	return judged_by_generations(suspect->site) && unsure < suspect->slope &&
	       suspect->slope + error >= SHARE_GROWTH * (growth - others - unsure) &&
	       suspect->slope - error <= BEYOND_GROWTH * (growth - others + unsure);
}

/*
 * A cache that replaces its entries by others of the same size looks like a leak where frees
 * between windows go unseen. A leak is watched long enough for that not to be, or it is what makes
 * the process grow.
 */
static bool stands_out(const struct mw_suspect *suspect, const struct growth *growth,
		       const struct lasting *all, double now)
{
	const struct mw_site_stats *site = suspect->site;
	double life = suspect->seconds > 0 ? suspect->seconds : suspect->age;
	double least = suspect->slope - 2 * suspect->slope_error;

	if (!(site->flags & MW_SITE_WINDOWS) || suspect->by_growth)
		return true;
	if (life > 0 && site->totals.watched_seconds >= WATCHED * life &&
	    (suspect->seconds >= LONG || !(suspect->seconds > 0)))
		return true;
	if (suspect->by_resizing)
		return true;
	/* It is what all blocks of its sizes grow by. */
	if (site->flags & MW_SITE_LIVE_KNOWN && suspect->slope > 0 &&
	    site->totals.grows >= SHARE_LIVE * site->totals.grows_most)
		return true;
	if (completes(suspect, all, mw_resident__rate(growth->resident, now - life)))
		return true;
	return suspect->slope + 2 * suspect->slope_error >= SHARE_GROWTH * growth->rate &&
	       least <= BEYOND_GROWTH * growth->rate &&
	       fmax(least, suspect->slope / 2) * GROWS_ON <= growth->lately;
}

static void add_lasting(const struct mw_site_stats *site, const struct growth *growth, double now,
			struct lasting *all)
{
	struct mw_suspect one = {0};

	if (!judged_by_generations(site))
		return;
	judge_generations(site, growth, now, &one);
	if (one.verdict != MW_VERDICT_SUSPECT && one.verdict != MW_VERDICT_LEVELS)
		return;
	all->slope += one.slope;
	all->variance += one.slope_error * one.slope_error;
}

static struct lasting all_lasting(const struct mw_label_groups *groups, const struct growth *growth,
				  double now)
{
	struct lasting all = {0};

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; k < group->judged_count; k++)
			add_lasting(group->judged[k], growth, now, &all);
	}
	return all;
}

static enum mw_evidence evidence_of(const struct mw_suspect *suspect, const struct growth *growth,
				    const struct lasting *all, double now)
{
	if (suspect->verdict == MW_VERDICT_SUSPECT)
		return suspect->slope > 0 && stands_out(suspect, growth, all, now)
			       ? MW_EVIDENCE_FOR
			       : MW_EVIDENCE_LACKS;
	return suspect->slope > 0 && (suspect->verdict == MW_VERDICT_EARLY ||
				      suspect->verdict == MW_VERDICT_STEADY)
		       ? MW_EVIDENCE_LACKS
		       : MW_EVIDENCE_AGAINST;
}

/* What there is for or against a group, of the layer that speaks most against its line. */
struct case_of_group {
	struct mw_suspect suspect;
	struct mw_series series;
	enum mw_evidence evidence;
	bool judged;
};

/* Both layers may be kept by one line: then it is accused of the sum. */
static void add_case(struct case_of_group *to, const struct case_of_group *other)
{
	bool both =
		to->judged && to->evidence == MW_EVIDENCE_FOR && other->evidence == MW_EVIDENCE_FOR;
	double slope = to->suspect.slope + other->suspect.slope;
	double error = hypot(to->suspect.slope_error, other->suspect.slope_error);

	if (!to->judged || other->evidence < to->evidence ||
	    (other->evidence == to->evidence && other->suspect.slope > to->suspect.slope))
		*to = *other;
	if (both) {
		to->suspect.slope = slope;
		to->suspect.slope_error = error;
	}
}

/* What was made there is known exactly, and most of it is freed. */
static bool is_churn(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	return site->flags & MW_SITE_STAY && t->allocs > 0 && t->frees > HARDLY_LASTS * t->allocs;
}

static void judge_group(const struct mw_label_group *group, const struct growth *growth,
			const struct lasting *all, double now, bool by_growth,
			struct case_of_group *out)
{
	*out = (struct case_of_group){.judged = false};
	if (judged_by_growth(&group->total) != by_growth)
		return;
	for (size_t i = 0; i < group->judged_count; i++) {
		const struct mw_site_stats *layer = group->judged[i];
		struct case_of_group one = {.suspect.group = group, .judged = true};

		if (judged_by_growth(layer) != by_growth ||
		    (!judged_by_generations(layer) && !has_grown(layer)))
			continue;
		snprintf(one.suspect.label, sizeof(one.suspect.label), "%s", group->label);
		judge(layer, growth, now, &one.suspect, &one.series);
		one.evidence = evidence_of(&one.suspect, growth, all, now);
		/* Windows can't tell who of all makers of a size keeps it: not a line of churn. */
		if (one.evidence == MW_EVIDENCE_FOR && !(layer->flags & MW_SITE_STAY) &&
		    group->judged_count > 1 && is_churn(group->judged[!i]))
			one.evidence = MW_EVIDENCE_LACKS;
		add_case(out, &one);
	}
}

/* Those that are judged by what the kernel gave, or the others: by their own blocks. */
static size_t find(const struct mw_label_groups *groups, const struct mw_resident *resident,
		   double now, bool by_growth, struct mw_suspicions *named, struct mw_suspect *out,
		   size_t max)
{
	struct growth growth = growth_of(groups, resident, now);
	struct lasting all = {0};
	size_t n = 0;

	if (!by_growth)
		all = all_lasting(groups, &growth, now);
	for (size_t i = 0; i < mw_label_groups__count(groups) && max; i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);
		struct mw_suspect_rate rate;
		struct case_of_group one;
		size_t at;

		judge_group(group, &growth, &all, now, by_growth, &one);
		if (!one.judged)
			continue;
		rate = (struct mw_suspect_rate){one.suspect.slope, one.suspect.slope_error};
		if (named ? !mw_suspicions__judged(named, group, one.evidence, now, &rate)
			  : one.evidence != MW_EVIDENCE_FOR)
			continue;
		one.suspect.slope = rate.slope;
		one.suspect.slope_error = rate.error;
		if (n == max && one.suspect.slope <= out[n - 1].slope)
			continue;
		one.suspect.verdict = MW_VERDICT_SUSPECT;
		mw_suspect__write(one.suspect.site, &one.series, STARTUP, &one.suspect);
		if (n < max)
			n++;
		for (at = n - 1; at && out[at - 1].slope < one.suspect.slope; at--)
			out[at] = out[at - 1];
		out[at] = one.suspect;
	}
	return n;
}

size_t mw_suspects__find(const struct mw_label_groups *groups, const struct mw_resident *resident,
			 double now, struct mw_suspicions *named, struct mw_suspect *out,
			 size_t max)
{
	return find(groups, resident, now, false, named, out, max);
}

size_t mw_suspects__find_growing(const struct mw_label_groups *groups, double now,
				 struct mw_suspect *out, size_t max)
{
	return find(groups, NULL, now, true, NULL, out, max);
}

/* A site with a history: until that has points enough, which come evenly. */
static double history_wait(const struct mw_site_stats *site, double now)
{
	size_t points = site->point_count + 2;

	return points >= POINTS_MIN || !site->point_count
		       ? 0
		       : (double)(POINTS_MIN - points) * now / (double)site->point_count;
}

/* Until SITE can be judged: 0: it is; INFINITY: it does not look like growth so far. */
static double wait_of(const struct mw_site_stats *site, double now, struct mw_outlook *out)
{
	struct mw_suspect one = {0};

	if (!judged_by_generations(site))
		return history_wait(site, now);
	judge_generations(site, NULL, now, &one);
	out->survivors += one.survivors;
	return one.verdict == MW_VERDICT_SUSPECT ? 0 : one.wait;
}

/* Seconds until a site can be judged, and until one of the sites can be. */
struct waits {
	double early, soonest;
};

static void add_wait(const struct mw_site_stats *site, double now, struct waits *waits,
		     struct mw_outlook *out)
{
	double wait, life;

	if (!(site->totals.allocs > 0) || judged_by_growth(site))
		return;
	wait = wait_of(site, now, out);
	life = judged_by_generations(site) ? mw_generations__early(&site->generations, now) : wait;
	waits->early = fmin(waits->early, life);
	/* What takes longer than it took so far is a guess. */
	if (wait > 0 && (life > 0 || wait < now))
		waits->soonest = fmin(waits->soonest, wait);
}

void mw_suspects__outlook(const struct mw_label_groups *groups, double now, struct mw_outlook *out)
{
	struct waits waits = {INFINITY, INFINITY};

	*out = (struct mw_outlook){.seconds = INFINITY};
	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; k < group->judged_count; k++)
			add_wait(group->judged[k], now, &waits, out);
	}
	if (waits.early == INFINITY)
		return;
	out->state = waits.early > 0		? MW_OUTLOOK_EARLY
		     : waits.soonest < INFINITY ? MW_OUTLOOK_FEW
						: MW_OUTLOOK_KNOWN;
	out->seconds = waits.soonest < INFINITY ? waits.soonest : waits.early;
}

const char *mw_outlook_name(enum mw_outlook_state state)
{
	static const char *const names[] = {
		[MW_OUTLOOK_NOTHING] = "no block was seen yet",
		[MW_OUTLOOK_EARLY] = "nothing was watched for long enough",
		[MW_OUTLOOK_FEW] = "too few blocks of what may grow were seen",
		[MW_OUTLOOK_KNOWN] = "what stands out is named",
	};

	return names[state];
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

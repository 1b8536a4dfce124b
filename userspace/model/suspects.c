// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>

#include "model/suspect_words.h"
#include "model/suspects_impl.h"
#include "model/tracked.h"

/*
 * By windows: times its age that a block was watched, and had died in 19 of 20 cases if it did not
 * live longer. That counts after so many seconds.
 */
#define WATCHED	      3
#define LONG	      100
#define SHARE_GROWTH  0.5  /* of the target's growth, that a suspect is most of */
#define BEYOND_GROWTH 1.25 /* of it: no site grows faster than its process */
#define LATELY	      0.34 /* of the watch: the target still grows ... */
#define EARLY_TIMES   10   /* times the watch so far: nobody knows what is farther away */
#define GROWS_ON      0.5  /* ... by so much of what the suspect brings */

/* Bytes that a site has got from the kernel since then. */
static double given_since(const struct mw_site_stats *site, double since)
{
	double before = 0;

	for (size_t k = 0; k < site->point_count && site->points[k].elapsed <= since; k++)
		before = site->points[k].grown_bytes - site->points[k].returned_bytes;
	return site->totals.grown_bytes - site->totals.returned_bytes - before;
}

/* Bytes a second that the target has, by all its sites. */
static double given_rate(const struct mw_label_groups *groups, double since, double now)
{
	double grown = 0;

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; k < group->judged_count; k++)
			grown += given_since(group->judged[k], since);
	}
	return now > since ? grown / (now - since) : 0;
}

/* The heaps of threads grow without being given anything; what is given need not be touched. */
static struct mw_target_growth growth_of(const struct mw_label_groups *groups,
					 const struct mw_resident *resident, double now)
{
	double since = MW_SUSPECT_STARTUP * now, lately = now - LATELY * now;

	return (struct mw_target_growth){
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

	return mw_suspect_by_generations(suspect->site) && unsure < suspect->slope &&
	       suspect->slope + error >= SHARE_GROWTH * (growth - others - unsure) &&
	       suspect->slope - error <= BEYOND_GROWTH * (growth - others + unsure);
}

/*
 * A cache that replaces its entries by others of the same size looks like a leak where frees
 * between windows go unseen. A leak is watched long enough for that not to be, or it is what makes
 * the process grow.
 */
static bool stands_out(const struct mw_suspect *suspect, const struct mw_target_growth *growth,
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
	    site->totals.grows >= MW_SUSPECT_SHARE_LIVE * site->totals.grows_most)
		return true;
	if (completes(suspect, all, mw_resident__rate(growth->resident, now - life)))
		return true;
	return suspect->slope + 2 * suspect->slope_error >= SHARE_GROWTH * growth->rate &&
	       least <= BEYOND_GROWTH * growth->rate &&
	       fmax(least, suspect->slope / 2) * GROWS_ON <= growth->lately;
}

static void add_lasting(const struct mw_site_stats *site, const struct mw_target_growth *growth,
			double now, struct lasting *all)
{
	struct mw_suspect one = {0};

	if (!mw_suspect_by_generations(site))
		return;
	mw_suspect_judge_generations(site, growth, now, &one);
	if (one.verdict != MW_VERDICT_SUSPECT && one.verdict != MW_VERDICT_LEVELS)
		return;
	all->slope += one.slope;
	all->variance += one.slope_error * one.slope_error;
}

static struct lasting all_lasting(const struct mw_label_groups *groups,
				  const struct mw_target_growth *growth, double now)
{
	struct lasting all = {0};

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; k < group->judged_count; k++)
			add_lasting(group->judged[k], growth, now, &all);
	}
	return all;
}

static enum mw_evidence evidence_of(const struct mw_suspect *suspect,
				    const struct mw_target_growth *growth,
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

/* What was made there is known exactly, and most of it is freed: but not a list that moves as it
 * grows. */
static bool is_churn(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	return site->flags & MW_SITE_STAY && t->allocs > 0 &&
	       t->frees > MW_SUSPECT_HARDLY_LASTS * t->allocs &&
	       !mw_only_resizes(t->resized, t->allocs);
}

static void judge_group(const struct mw_label_group *group, const struct mw_target_growth *growth,
			const struct lasting *all, double now, bool by_growth,
			struct case_of_group *out)
{
	*out = (struct case_of_group){.judged = false};
	if (mw_suspect_by_growth(&group->total) != by_growth)
		return;
	for (size_t i = 0; i < group->judged_count; i++) {
		const struct mw_site_stats *layer = group->judged[i];
		struct case_of_group one = {.suspect.group = group, .judged = true};

		if (mw_suspect_by_growth(layer) != by_growth ||
		    (!mw_suspect_by_generations(layer) && !mw_suspect_has_grown(layer)))
			continue;
		snprintf(one.suspect.label, sizeof(one.suspect.label), "%s", group->label);
		mw_suspect_judge_layer(layer, growth, now, &one.suspect, &one.series);
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
	struct mw_target_growth growth = growth_of(groups, resident, now);
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
		mw_suspect__write(one.suspect.site, &one.series, MW_SUSPECT_STARTUP, &one.suspect);
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

	return points >= MW_SUSPECT_POINTS_MIN || !site->point_count
		       ? 0
		       : (double)(MW_SUSPECT_POINTS_MIN - points) * now / (double)site->point_count;
}

/* Until SITE can be judged: 0: it is; INFINITY: it does not look like growth so far. */
static double wait_of(const struct mw_site_stats *site, double now, struct mw_outlook *out)
{
	struct mw_suspect one = {0};

	if (!mw_suspect_by_generations(site))
		return history_wait(site, now);
	mw_suspect_judge_generations(site, NULL, now, &one);
	out->survivors += one.survivors;
	return one.verdict == MW_VERDICT_SUSPECT ? 0 : one.wait;
}

/* Seconds until a site can be judged, and until one of the sites can be. */
struct waits {
	double early, soonest;
	bool unknown; /* of one neither windows nor looks tell what it keeps */
};

static void add_wait(const struct mw_site_stats *site, double now, struct waits *waits,
		     struct mw_outlook *out)
{
	double wait, life;

	if (!(site->totals.allocs > 0) || mw_suspect_by_growth(site))
		return;
	wait = wait_of(site, now, out);
	waits->unknown |= wait == INFINITY && site->flags & MW_SITE_UNSCALED &&
			  !(site->flags & MW_SITE_LIVE_KNOWN);
	life = mw_suspect_by_generations(site) ? mw_generations__early(&site->generations, now)
					       : wait;
	waits->early = fmin(waits->early, life);
	/* What takes longer than it took so far is a guess; at the beginning, many times longer. */
	if (wait > 0 && wait < (life > 0 ? EARLY_TIMES : 1) * now)
		waits->soonest = fmin(waits->soonest, wait);
}

void mw_suspects__outlook(const struct mw_label_groups *groups, double now, struct mw_outlook *out)
{
	struct waits waits = {INFINITY, INFINITY, false};

	*out = (struct mw_outlook){.seconds = INFINITY};
	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; k < group->judged_count; k++)
			add_wait(group->judged[k], now, &waits, out);
	}
	if (waits.early == INFINITY)
		return;
	out->state = waits.early > 0				 ? MW_OUTLOOK_EARLY
		     : waits.soonest < INFINITY || waits.unknown ? MW_OUTLOOK_FEW
								 : MW_OUTLOOK_KNOWN;
	if (waits.soonest < INFINITY)
		out->seconds = waits.soonest;
	else if (waits.early > 0 || !waits.unknown)
		out->seconds = waits.early;
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

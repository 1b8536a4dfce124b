// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/tracked_impl.h"

enum {
	PRINTS_MIN = 8, /* before what a site's blocks do to their content says anything */
	SAME_MIN = 6,	/* words of a print that are those of the same block */
};

/* How likely a block must be the one that was made for it to be kept. */
static const double SURE = 0.9;
static const double UNLIKELY = 1e-9;
/* Of a site's blocks, so many may look like earlier ones, and prints still tell them apart. */
static const double REPEATS = 0.2;
/* Words that the prints of two blocks of a site have in common, above which they tell nothing. */
static const double ALIKE = 3.5;
/*
 * Of blocks that had kept their content up to one walk, and should live up to the next, so many
 * must have kept it until then: or it is no evidence.
 */
static const double STEADY = 0.8;
/*
 * Nor is it when hardly any has another content, though so many should be dead: who writes little
 * to a block leaves in it what was there before.
 */
static const double DEAD_MIN = 2, DEAD_SEEN = 0.33;
/* Deaths that windows would have seen if those that kept their content died like all: then it is
 * known how they do. */
static const double ENOUGH = 3;
/* Seconds in windows, summed over blocks, that say little of an age. */
static const double LITTLE = 1;

/* The first class ends here, seconds. */
static const double AGE_FIRST = 0.5;

int mw_tracked_age_class(double age)
{
	int class = age > AGE_FIRST ? (int)ceil(4 * log2(age / AGE_FIRST)) : 0;

	return class < MW_TRACKED_AGES ? class : MW_TRACKED_AGES - 1;
}

void mw_tracked_deaths__add(struct tracked_deaths *deaths, double age, double seconds, bool died)
{
	int class = mw_tracked_age_class(age);

	deaths->watched[class] += (float)seconds;
	deaths->seconds += seconds;
	deaths->died[class] += died;
	deaths->all += died;
}

/*
 * Of blocks that live at the age FROM, how many still do at the age TO, by what windows have seen.
 * Of ages that they saw little of, as many die as of all.
 */
static double expected_alive(const struct tracked_deaths *deaths, double from, double to)
{
	double alive = 1, begin = 0, mean = deaths->all / deaths->seconds;

	for (int i = 0; i < MW_TRACKED_AGES && begin < to; i++) {
		double end = i < MW_TRACKED_AGES - 1 ? AGE_FIRST * exp2(i / 4.0) : INFINITY;
		double part = fmin(to, end) - fmax(from, begin);

		if (part > 0)
			alive *= exp(-part * (deaths->died[i] + mean * LITTLE) /
				     (deaths->watched[i] + LITTLE));
		begin = end;
	}
	return alive;
}

/* The same, as it is rather: half a death more than was seen (Jeffreys' prior). */
static double survival(const struct tracked_site *site, double from, double to)
{
	const struct tracked_deaths *deaths = &site->deaths;

	if (!(to > from))
		return 1;
	if (!(deaths->seconds > 0))
		return 0;
	return fmax(expected_alive(deaths, from, to) - (to - from) / deaths->seconds / 2, 0);
}

/* Are the contents of this site's blocks different enough to know one by it? */
bool mw_tracked_is_telling(const struct tracked_site *site)
{
	return site->prints >= PRINTS_MIN && site->alike <= ALIKE * site->prints;
}

/*
 * How many of the blocks that were the same at one walk should have died until the next one, as
 * seldom as windows have seen such blocks die: what dies young is hardly among them. Of ages that
 * windows saw little of, as many die as of all that were the same; until enough is known of these,
 * as of all blocks.
 */
static double expected_deaths(const struct tracked_site *site)
{
	const struct tracked_deaths *all = &site->deaths, *same = &site->same_deaths;
	double mean = all->seconds > 0 ? all->all / all->seconds : 0, dead = 0;

	if (mean * same->seconds > ENOUGH)
		mean = 0;
	mean = (same->all + mean * LITTLE) / (same->seconds + LITTLE);
	for (int i = 0; i < MW_TRACKED_AGES; i++) {
		double rate = (same->died[i] + mean * LITTLE) / (same->watched[i] + LITTLE);

		if (site->spans[i] > 0)
			dead -= site->spans[i] * expm1(-rate * site->seconds[i] / site->spans[i]);
	}
	return dead;
}

/* Do this site's blocks keep their content as long as they live? */
bool mw_tracked_is_steady(struct tracked_site *site)
{
	double dead, changed = site->were_same - site->stayed_same;

	if (site->is_steady_known)
		return site->steady;
	dead = expected_deaths(site);
	site->is_steady_known = true;
	site->steady = site->stayed_same >= PRINTS_MIN &&
		       site->stayed_same >= STEADY * (site->were_same - dead) &&
		       !(dead >= DEAD_MIN && changed < DEAD_SEEN * dead);
	return site->steady;
}

/*
 * Between windows another block takes the place of one that died, and only by its content a walk
 * can know: else as many die unseen as the windows are few.
 */
double mw_tracked_deaths_seen(const struct mw_tracked *t, struct tracked_site *site)
{
	double passed = t->now - t->began_at;

	return mw_tracked_is_telling(site) && mw_tracked_is_steady(site) ? 1
	       : t->watched > 0 ? fmax(passed / t->watched, 1)
				: 1;
}

uint64_t mw_print_of(const uint64_t words[MW_PRINT_WORDS])
{
	uint64_t print = 0;

	for (int i = 0; i < MW_PRINT_WORDS; i++)
		print = print << 8 | (words[i] * 0x9e3779b97f4a7c15ULL) >> 56;
	return print ? print : 1;
}

static int words_in_common(uint64_t a, uint64_t b)
{
	int n = 0;

	for (uint64_t differ = a ^ b, i = 0; i < MW_PRINT_WORDS; i++, differ >>= 8)
		n += !(differ & 0xff);
	return n;
}

static void note_print(struct tracked_site *site, uint64_t print)
{
	uint64_t bit = (print * 0x9e3779b97f4a7c15ULL) >> 32;
	uint64_t *word = &site->had[bit / 64 % MW_TRACKED_HAD_WORDS];
	unsigned int had = 0;

	for (int i = 0; i < MW_TRACKED_HAD_WORDS; i++)
		had += (unsigned int)__builtin_popcountll(site->had[i]);
	if (had > MW_TRACKED_HAD_WORDS * 64 / 2) {
		memset(site->had, 0, sizeof(site->had));
		had = 0;
	}
	site->by_accident += had / (MW_TRACKED_HAD_WORDS * 64.0);
	site->repeats += *word >> bit % 64 & 1;
	*word |= 1ULL << bit % 64;
}

void mw_tracked__print(struct mw_tracked *t, struct mw_tracked_block *block, uint64_t print)
{
	struct tracked_site *site = mw_tracked_site_of(t, block->site);

	if (!site || block->print || !print)
		return;
	block->print = print;
	note_print(site, print);
	if (site->print) {
		site->alike += words_in_common(site->print, print);
		site->prints++;
	}
	site->print = print;
}

/*
 * BLOCK was the same at the walk before. Is it STILL at that of NOW? How many should be: by deaths
 * of those that were the same, since what dies young is not among them. Of these little is known at
 * first.
 */
static void note_same(struct tracked_site *site, const struct mw_tracked_block *block, bool still,
		      double now)
{
	double span = now - block->seen_at;
	int class = mw_tracked_age_class(now - (double)block->time / 1e9 - span / 2);

	site->were_same++;
	site->stayed_same += still;
	site->spans[class]++;
	site->seconds[class] += (float)span;
	site->is_steady_known = false;
}

static void compare(struct tracked_site *site, struct mw_tracked_block *block, uint64_t print,
		    double now)
{
	int common = words_in_common(block->print, print);
	double usual = site->prints > 0 ? site->alike / site->prints : MW_PRINT_WORDS;
	bool same = common >= SAME_MIN;

	if (block->same)
		note_same(site, block, same, now);
	block->same = same;
	block->other = !same && common <= usual + 1.5;
}

void mw_tracked__found(struct mw_tracked *t, struct mw_tracked_block *block,
		       enum mw_liveness_state liveness, uint64_t room, uint64_t print, double now)
{
	struct tracked_site *site = mw_tracked_site_of(t, block->site);
	bool was_other;

	switch (liveness) {
	case MW_LIVENESS_UNKNOWN:
		break;
	case MW_LIVENESS_FREED:
		if (site && block->same)
			note_same(site, block, false, now);
		block->seen = false;
		break;
	case MW_LIVENESS_ALIVE:
		was_other = block->other;
		if (site && print && block->print)
			compare(site, block, print, now);
		block->room = room;
		if (site)
			mw_tracked_count_size(t, site, block);
		if (!(was_other && block->other))
			block->seen_at = now;
		break;
	}
}

/* Does a site make objects again and again that look like earlier ones? */
static bool repeats_itself(const struct tracked_site *site)
{
	return site->prints >= PRINTS_MIN &&
	       site->repeats - site->by_accident > REPEATS * (site->prints - site->by_accident);
}

/* How sure it is that BLOCK, which was found, is the one that was made, 0 to 1. */
double mw_tracked_sure_same(const struct mw_tracked *t, const struct mw_tracked_block *block,
			    double now)
{
	struct tracked_site *site = mw_u64map__find(&t->sites, block->site);
	double age = now - (double)block->time / 1e9, same;

	if (!site)
		return 0;
	/*
	 * A loop hands out the same blocks in the same order again, maybe for the same content.
	 * What goes with each round is seen to go in the next window.
	 */
	if (block->kind == MW_KIND_PYTHON && !(block->watched > 0))
		return 0;
	if (block->kind == MW_KIND_PYTHON && block->same && !repeats_itself(site))
		return 1;
	if (mw_tracked_is_telling(site) && mw_tracked_is_steady(site) &&
	    (block->same || block->other))
		return block->same;
	/* All its content is another one: it was written anew, or another block is there. */
	if (mw_tracked_is_telling(site) && block->other)
		return 0;
	/*
	 * As often as its site's blocks die in windows it can have died unseen, with another one in
	 * its place. Windows see few deaths, so what is not nearly sure is not known.
	 */
	same = survival(site, block->watched, age);
	return same >= SURE ? same : 0;
}

/* How likely it is, where it is not sure; windows have seen few deaths, or many. */
double mw_tracked_likely_same(const struct mw_tracked *t, const struct mw_tracked_block *block,
			      double now)
{
	const struct tracked_site *site = mw_u64map__find(&t->sites, block->site);
	double age = now - (double)block->time / 1e9;

	if (!site || !(site->now.watched > 0) || (mw_tracked_is_telling(site) && block->other))
		return 0;
	if (!(site->deaths.seconds > 0))
		return 1;
	/* Windows that were few don't make it impossible. */
	return fmax(expected_alive(&site->deaths, block->watched, age), UNLIKELY);
}

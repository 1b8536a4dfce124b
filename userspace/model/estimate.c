// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/estimate.h"

/* How much of an older window's weight the next window of its kind leaves. */
static const double FADE = 0.85;

static const uint64_t *words_of(const struct mw_counts *counts)
{
	return (const uint64_t *)counts;
}

void mw_estimate__add_window(struct mw_estimate *e, const struct mw_window *window,
			     const struct mw_counts *before, const struct mw_counts *after)
{
	const uint64_t *old = words_of(before), *new = words_of(after);
	double *weight = e->weight[window->kind], seen = 0;

	mw_rates__add(&e->rates, window);
	e->rate = mw_rates__undisturbed(&e->rates, &e->error);
	for (size_t i = 0; i < MW_PROBE_WORDS; i++)
		weight[i] = FADE * weight[i] + (double)(new[i] - old[i]);
	for (size_t i = 0; i < MW_ALLOC_WORDS; i += 2)
		seen += weight[i];
	e->seen[window->kind] = seen;
}

/*
 * Allocations of a class: how many there were, by both kinds of windows together; where they lie,
 * by the full ones, which alone see it. PART: 0 for their number, 1 for their bytes.
 */
static void extend_class(struct mw_estimate *e, double seconds, uint32_t class, uint32_t part)
{
	double all = 0, full = 0, seen = e->seen[MW_WINDOW_ENTRY] + e->seen[MW_WINDOW_FULL];

	for (uint32_t place = 0; place < MW_PLACES; place++) {
		uint32_t at = mw_alloc_word(place, class) + part;

		full += e->weight[MW_WINDOW_FULL][at];
		all += e->weight[MW_WINDOW_FULL][at] + e->weight[MW_WINDOW_ENTRY][at];
	}
	for (uint32_t place = 0; all > 0 && seen > 0 && place < MW_PLACES; place++) {
		uint32_t at = mw_alloc_word(place, class) + part;
		double share =
			full > 0 ? e->weight[MW_WINDOW_FULL][at] / full : place == MW_PLACE_OTHER;

		e->words[at] += seconds * e->rate * all / seen * share;
	}
}

void mw_estimate__extend(struct mw_estimate *e, double seconds)
{
	double full = e->seen[MW_WINDOW_FULL];

	if (e->rate <= 0 || seconds < 0)
		return;
	e->known = true;
	for (uint32_t class = 0; class < MW_CLASSES; class ++) {
		extend_class(e, seconds, class, 0);
		extend_class(e, seconds, class, 1);
	}
	/* Frees, lifetimes and what else there is: only full windows see them. */
	for (size_t i = MW_ALLOC_WORDS; full > 0 && i < MW_PROBE_WORDS; i++)
		e->words[i] += seconds * e->rate * e->weight[MW_WINDOW_FULL][i] / full;
}

void mw_estimate__add_counts(struct mw_estimate *e, const struct mw_counts *before,
			     const struct mw_counts *after)
{
	const uint64_t *old = words_of(before), *new = words_of(after);

	for (size_t i = 0; i < MW_PROBE_WORDS; i++)
		e->words[i] += (double)(new[i] - old[i]);
}

void mw_estimate__write(const struct mw_estimate *e, struct mw_sample *sample)
{
	uint64_t *words = (uint64_t *)&sample->counts;

	sample->error = e->error;
	for (size_t i = 0; i < MW_PROBE_WORDS; i++)
		words[i] = (uint64_t)e->words[i];
	for (uint32_t class = 0; class < MW_CLASSES; class ++) {
		double seen = 0;

		for (uint32_t place = 0; place < MW_PLACES; place++)
			seen += e->weight[MW_WINDOW_ENTRY][mw_alloc_word(place, class)] +
				e->weight[MW_WINDOW_FULL][mw_alloc_word(place, class)];
		sample->seen[class] = (float)seen;
	}
}

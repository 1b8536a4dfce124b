// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/estimate.h"
#include "tests/unit/test.h"

enum { SMALL = 3, LARGE = 70 }; /* classes */

/* What a window of 50 ms sees of N small and M large blocks. */
static void see(struct mw_estimate *e, struct mw_counts *counts, enum mw_window_kind kind,
		uint64_t n, uint64_t m, double cost)
{
	struct mw_window window = {kind, 0.05, (double)(n + m), cost * (double)(n + m)};
	enum mw_place place = kind == MW_WINDOW_FULL ? MW_PLACE_THREAD : MW_PLACE_OTHER;
	struct mw_counts before = *counts;

	counts->alloc[place][SMALL].count += n;
	counts->alloc[place][SMALL].bytes += 40 * n;
	counts->alloc[place][LARGE].count += m;
	counts->alloc[place][LARGE].bytes += 70000 * m;
	if (kind == MW_WINDOW_FULL) {
		counts->lifetime[20] += n / 2;
		counts->calls[MW_FUNC_FREE] += n / 2;
	}
	counts->vm.brk_calls += 17;
	mw_estimate__add_window(e, &window, &before, counts);
}

/* A target that waits: both kinds of windows see the same rate of 80,000 a second. */
static void see_waiting(struct mw_estimate *e, struct mw_counts *counts, int windows)
{
	for (int i = 0; i < windows; i++)
		see(e, counts, i % 2 ? MW_WINDOW_FULL : MW_WINDOW_ENTRY, 3000, 1000,
		    i % 2 ? 9e-7 : 5e-7);
}

static void check_near(double got, double want)
{
	if (fabs(got / want - 1) > 1e-6)
		TEST_FAIL("%.3f, expected %.3f", got, want);
}

TEST(the_words_of_counts_are_its_members)
{
	struct mw_counts counts = {0};
	uint64_t *words = (uint64_t *)&counts;

	counts.alloc[MW_PLACE_MMAP][LARGE].bytes = 1;
	CHECK_INT(words[mw_alloc_word(MW_PLACE_MMAP, LARGE) + 1], 1);
	counts.freed_by_realloc = 2;
	CHECK_INT(words[MW_PROBE_WORDS - 1], 2);
	counts.vm.brk_calls = 3;
	CHECK_INT(words[MW_PROBE_WORDS], 3);
	counts.lost[MW_LOSTS - 1] = 4;
	CHECK_INT(words[MW_COUNT_WORDS - 1], 4);
}

TEST(rates_are_carried_over_the_time)
{
	static struct mw_estimate e;
	struct mw_counts counts = {0};
	struct mw_sample sample = {0};

	see_waiting(&e, &counts, 8);
	CHECK(!e.known);
	mw_estimate__extend(&e, 10);
	CHECK(e.known);
	sample.counts.vm.brk_calls = 5; /* exact, and stays */
	mw_estimate__write(&e, &sample);
	check_near((double)sample.counts.alloc[MW_PLACE_THREAD][SMALL].count, 600000);
	check_near((double)sample.counts.alloc[MW_PLACE_THREAD][SMALL].bytes, 600000 * 40.0);
	check_near((double)sample.counts.alloc[MW_PLACE_THREAD][LARGE].bytes, 200000 * 70000.0);
	check_near((double)sample.counts.lifetime[20], 300000);
	check_near((double)sample.counts.calls[MW_FUNC_FREE], 300000);
	/* Entry windows don't know the place: the full ones' holds. */
	CHECK_INT(mw_counts__alloc_at(&sample.counts, MW_PLACE_OTHER).count, 0);
	CHECK_INT(sample.counts.vm.brk_calls, 5);
	CHECK(sample.seen[SMALL] > 3000 && sample.seen[5] == 0);
}

TEST(without_a_full_window_the_place_is_not_known)
{
	static struct mw_estimate e;
	struct mw_counts counts = {0};
	struct mw_sample sample = {0};

	mw_estimate__extend(&e, 10); /* nothing is known yet */
	CHECK(!e.known);
	see(&e, &counts, MW_WINDOW_ENTRY, 3000, 1000, 5e-7);
	mw_estimate__extend(&e, -1);
	CHECK(!e.known);
	mw_estimate__extend(&e, 1);
	mw_estimate__write(&e, &sample);
	check_near((double)mw_counts__alloc_at(&sample.counts, MW_PLACE_OTHER).count, 80000);
	CHECK_INT(sample.counts.lifetime[20], 0);
	CHECK(sample.error == 1);
}

TEST(what_is_counted_in_full_is_added_as_it_is)
{
	static struct mw_estimate e;
	struct mw_counts before = {0}, after;
	struct mw_sample sample = {0};

	before.alloc[MW_PLACE_BRK][SMALL].count = 100;
	before.vm.brk_calls = 7;
	after = before;
	after.alloc[MW_PLACE_BRK][SMALL].count += 11;
	after.freed[SMALL].bytes += 13;
	after.vm.brk_calls += 17;
	mw_estimate__add_counts(&e, &before, &after);
	mw_estimate__write(&e, &sample);
	CHECK_INT(sample.counts.alloc[MW_PLACE_BRK][SMALL].count, 11);
	CHECK_INT(sample.counts.freed[SMALL].bytes, 13);
	CHECK_INT(sample.counts.vm.brk_calls, 0);
}

/* Where the target does other things now, old windows fade. */
TEST(the_present_counts)
{
	static struct mw_estimate e;
	struct mw_counts counts = {0};
	struct mw_sample sample = {0};

	see_waiting(&e, &counts, 8);
	for (int i = 0; i < 60; i++)
		see(&e, &counts, i % 2 ? MW_WINDOW_FULL : MW_WINDOW_ENTRY, 0, 4000,
		    i % 2 ? 9e-7 : 5e-7);
	mw_estimate__extend(&e, 1);
	mw_estimate__write(&e, &sample);
	CHECK(mw_counts__alloc_class(&sample.counts, SMALL).count < 1000);
	CHECK(mw_counts__alloc_class(&sample.counts, LARGE).count > 79000);
}

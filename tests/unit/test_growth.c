// SPDX-License-Identifier: GPL-2.0-or-later
/* Growth by the kernel, which accuses nobody. */
#include "model/growth.h"
#include "model/suspects.h"
#include "model/words.h"
#include "tests/unit/test.h"

#define MIB (1024.0 * 1024)

static const struct mw_frame frames[] = {
	{MW_FRAME_NATIVE, 0, "zend_mm_chunk_alloc", "php", 0x10},
	{MW_FRAME_NATIVE, 0, "arena_new", "python", 0x20},
	{MW_FRAME_NATIVE, 0, "small", "libx.so", 0x30},
	{MW_FRAME_NATIVE, 0, "other", "libx.so", 0x40},
};

static struct mw_site_stats *grown(struct mw_sites *sites, uint32_t target, size_t frame,
				   double bytes, double by_malloc, uint32_t flags)
{
	struct mw_site_stats *site = mw_sites__intern(sites, target, &frames[frame], 1, flags);

	site->flags = flags;
	site->totals.grown_bytes = bytes;
	site->totals.malloc_bytes = by_malloc;
	site->totals.grown_calls = 13;
	site->totals.samples = 13;
	return site;
}

TEST(growth_is_what_no_block_accounts_for)
{
	struct mw_sites *sites = mw_sites__new();
	const struct mw_site_stats *out[3];

	/* malloc's own growth says nothing of the line that happened to ask. */
	grown(sites, 1, 0, 26 * MIB, 0, MW_SITE_TRACKED);
	grown(sites, 1, 1, 60 * MIB, 56 * MIB, MW_SITE_TRACKED | MW_SITE_WINDOWS);
	grown(sites, 1, 2, 90 * MIB, 90 * MIB, MW_SITE_TRACKED);
	grown(sites, 2, 3, 80 * MIB, 0, MW_SITE_TRACKED);
	CHECK_INT(mw_growth__top(sites, 1, false, out, 3), 2);
	CHECK_STR(out[0]->frames[0].function, "zend_mm_chunk_alloc");
	CHECK_STR(out[1]->frames[0].function, "arena_new");
	CHECK_INT(mw_site_own_growth(out[1], false), 4 * MIB);
	CHECK_INT(mw_growth__top(sites, 1, false, out, 1), 1);
	CHECK_STR(out[0]->frames[0].function, "zend_mm_chunk_alloc");
	CHECK_INT(mw_growth__top(sites, 1, false, out, 0), 0);
	CHECK_INT(mw_growth__top(sites, 3, false, out, 3), 0);
	mw_sites__free(sites);

	/* Where no allocation is seen, all of it is. */
	sites = mw_sites__new();
	grown(sites, 1, 0, 26 * MIB, 26 * MIB, MW_SITE_RATES_ONLY);
	/* What is small by itself, or beside the others, is left out. */
	grown(sites, 1, 1, MIB, 0, MW_SITE_RATES_ONLY);
	grown(sites, 1, 2, 200 * 1024, 0, MW_SITE_RATES_ONLY);
	CHECK_INT(mw_growth__top(sites, 1, false, out, 3), 1);
	CHECK_INT(mw_site_own_growth(out[0], false), 26 * MIB);
	mw_sites__free(sites);
}

/* A site that maps ever more, in a mode that has FLAGS. */
static void map_more(uint32_t flags, struct mw_suspect *growing, size_t *growing_count,
		     size_t *suspect_count)
{
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_sites *sites = mw_sites__new();
	struct mw_suspect suspects[2];
	struct mw_site_stats *site = grown(sites, 1, 0, 0, 0, flags);

	for (int t = 1; t <= 40; t++) {
		site->totals.grown_bytes += MIB;
		site->totals.grown_calls = t;
		site->totals.samples = (uint64_t)t;
		mw_sites__tick(sites, t);
	}
	CHECK(groups && !mw_label_groups__update(groups, sites, NULL));
	*suspect_count = mw_suspects__find(groups, NULL, 40, NULL, suspects, 2);
	*growing_count = mw_suspects__find_growing(groups, 40, growing, 2);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

TEST(who_maps_more_is_growing_and_no_suspect)
{
	static const uint32_t modes[] = {MW_SITE_RATES_ONLY, MW_SITE_TRACKED,
					 MW_SITE_TRACKED | MW_SITE_WINDOWS};
	struct mw_suspect growing[2];
	size_t n, suspects;

	for (size_t i = 0; i < 3; i++) {
		map_more(modes[i], growing, &n, &suspects);
		CHECK_INT(suspects, 0);
		CHECK_INT(n, 1);
		CHECK(growing[0].by_growth && growing[0].slope > 0.9 * MIB);
		CHECK(strstr(growing[0].sentence, " of new memory from the kernel, none returned"));
		/* Words of suspicion are for suspects. */
		CHECK(!strstr(growing[0].sentence, "cache"));
	}
}

TEST(what_moved_a_threshold)
{
	struct mw_event event = {.kind = MW_EVENT_THRESHOLD,
				 .old_value = 299008,
				 .new_value = 5001216,
				 .size = 5001216,
				 .cause = MW_MOVED_BY_FREE};
	char text[128];

	CHECK_STR(mw_event_format(text, sizeof(text), &event),
		  "mmap threshold 292.0 KiB -> 4.8 MiB, by a free of 4.8 MiB");
	event.cause = MW_MOVED_BY_MALLOPT;
	CHECK_STR(mw_threshold_cause_format(text, sizeof(text), &event), "by mallopt");
	event.cause = MW_MOVED_UNSEEN;
	CHECK_STR(mw_threshold_cause_format(text, sizeof(text), &event),
		  "by something that was not seen");

	CHECK_INT(mw_threshold_moved_by(131072, 200704, 401408, true), MW_MOVED_BY_FREE);
	CHECK_INT(mw_threshold_moved_by(131072, 200704, 401408, false), MW_MOVED_BY_MALLOPT);
	CHECK_INT(mw_threshold_moved_by(200704, 131072, 262144, true), MW_MOVED_UNSEEN);
	CHECK_INT(mw_threshold_moved_by(131072, 200704, 131072, true), MW_MOVED_UNSEEN);
}

TEST(a_heap_out_of_reach_is_told_in_one_line)
{
	struct mw_sample now = {0};
	char text[160];

	CHECK(!mw_reach_format(text, sizeof(text), &now));
	CHECK_STR(mw_mode_name(MW_MODE_EXACT, &now), "exact");
	now.runtime = "PHP";
	CHECK_STR(mw_reach_format(text, sizeof(text), &now),
		  "PHP's own heap is out of probes' reach: of it, watching what the kernel gives");
	CHECK_STR(mw_mode_name(MW_MODE_EXACT, &now), "exact");
	now.out_of_reach = now.governed = true;
	CHECK_STR(mw_mode_name(MW_MODE_EXACT, &now), "growth");
	now.runtime = NULL;
	CHECK_STR(mw_reach_format(text, sizeof(text), &now),
		  "no allocator that probes can reach: watching what the kernel gives");
}

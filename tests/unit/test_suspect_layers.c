// SPDX-License-Identifier: GPL-2.0-or-later
/* Suspects by what looks say of sizes, and of lines that have several stacks or two allocators. */
#include <math.h>
#include <string.h>

#include "model/sites.h"
#include "model/suspects.h"
#include "tests/unit/all_seen.h"
#include "tests/unit/test.h"

static const struct mw_frame hand_frame = {MW_FRAME_PYTHON, 88, "load_user", "/srv/app.py", 0};

/*
 * A site that windows see make 100 blocks a second for 40 s, FREED of them freed; what stays, and
 * as many that were freed late, are known of 20 blocks in each 2 s. All blocks of the sizes that it
 * keeps become more.
 */
static void make_in_growing_sizes(struct mw_site_stats *site, double freed)
{
	site->generations = (struct mw_generations){.width = 2};
	for (size_t i = 0; i < 20; i++)
		site->generations.list[i] =
			(struct mw_generation){.born = 200,
					       .born_bytes = 20000,
					       .freed = 200 * freed,
					       .kept = 200 * (1 - freed),
					       .kept_bytes = 20000 * (1 - freed),
					       .survivors = 20};
	for (double age = 1; age < 30; age++) {
		for (int k = 0; k < 20 * freed; k++)
			mw_deaths__add(&site->generations.died, age);
	}
	site->totals = (struct mw_site_totals){.allocs = 4000,
					       .alloc_bytes = 400000,
					       .samples = 400,
					       .grows = 2000,
					       .grows_most = 2000,
					       .goes_on = 2000};
}

static enum mw_verdict in_growing_sizes(double freed, double made)
{
	struct mw_site_stats site = {.flags = MW_SITE_TRACKED | MW_SITE_WINDOWS |
					      MW_SITE_LIVE_KNOWN | MW_SITE_UNSCALED,
				     .frames = &hand_frame,
				     .frame_count = 1};
	struct mw_suspect s;

	make_in_growing_sizes(&site, freed);
	site.totals.alloc_bytes *= made;
	mw_suspect__judge(&site, 40, &s);
	return s.verdict;
}

/* Others may have taken the places of blocks that come and go. */
TEST(growth_of_a_size_does_not_accuse_whose_blocks_go)
{
	CHECK_STR(mw_verdict_name(in_growing_sizes(0, 1)), "suspect");
	CHECK_STR(mw_verdict_name(in_growing_sizes(0.5, 1)), "suspect");
	CHECK_STR(mw_verdict_name(in_growing_sizes(0.9, 1)), "steady");
	/* Nor who makes so much that all that the size grows by may be mistaken for its own. */
	CHECK_STR(mw_verdict_name(in_growing_sizes(0, 10)), "suspect");
	CHECK_STR(mw_verdict_name(in_growing_sizes(0, 100)), "steady");
}

/* A leak that comes in by forty ways, none of which shows it by itself. */
TEST(stacks_of_one_label_are_judged_together)
{
	enum { WAYS = 40, TICKS = 40 };
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_site_stats *ways[WAYS];
	struct mw_suspect s;

	for (uint32_t i = 0; i < WAYS; i++) {
		struct mw_frame f[] = {{MW_FRAME_PYTHON, i + 1, "step",
					"/usr/lib/python3/dist-packages/grpc/_channel.py", 0},
				       {MW_FRAME_PYTHON, 88, "call", "/srv/app.py", 0}};

		ways[i] = mw_sites__intern(sites, 1, f, 2, MW_SITE_TRACKED);
		ways[i]->first_seen = 0;
	}
	/* Each way brings one object in the whole time. */
	for (int t = 0; t < TICKS; t++) {
		ways[t % WAYS]->totals.allocs++;
		ways[t % WAYS]->totals.alloc_bytes += 4096;
		ways[t % WAYS]->totals.samples++;
		all_seen(&ways[t % WAYS]->totals);
		mw_sites__tick(sites, t + 1);
	}
	for (int i = 0; i < WAYS; i++) {
		mw_suspect__judge(ways[i], TICKS + 0.5, &s);
		CHECK(s.verdict != MW_VERDICT_SUSPECT);
	}
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_INT(mw_suspects__find(groups, NULL, TICKS + 0.5, NULL, &s, 1), 1);
	CHECK_INT(s.group->site_count, WAYS);
	CHECK_STR(s.label, "app.py:88 call -> _channel.py step");
	CHECK(!strncmp(s.sentence, s.label, strlen(s.label)));
	CHECK(fabs(s.slope - 4096) < 10);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

/*
 * A line keeps a buffer and an object of Python's for it, 50 a second. The probes of malloc stay
 * in; of the small objects windows have seen little, and it isn't known how much that stands for.
 */
TEST(layer_that_is_known_little_does_not_hide_the_other)
{
	enum { TICKS = 40 };
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_site_stats *buffer =
		mw_sites__intern(sites, 1, &hand_frame, 1, MW_SITE_TRACKED | MW_SITE_STAY);
	struct mw_site_stats *object = mw_sites__intern(sites, 1, &hand_frame, 1,
							MW_SITE_TRACKED | MW_SITE_WINDOWS |
								MW_SITE_UNSCALED | MW_SITE_PYTHON);
	const struct mw_site_stats *total;
	struct mw_suspect s;

	for (int t = 1; t <= TICKS; t++) {
		buffer->totals.allocs += 50;
		buffer->totals.alloc_bytes += 50 * 3000;
		buffer->totals.samples += 50;
		all_seen(&buffer->totals);
		object->totals.allocs += 1;
		object->totals.alloc_bytes += 57;
		object->totals.unknown = object->totals.allocs;
		object->totals.unknown_bytes = object->totals.alloc_bytes;
		object->totals.grown_bytes += 4096;
		mw_sites__tick(sites, t);
	}
	object->generations = (struct mw_generations){.width = 2};
	object->generations.list[3] = (struct mw_generation){.born = 40, .born_bytes = 40 * 57};
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_INT(mw_label_groups__count(groups), 1);
	CHECK_INT(mw_suspects__find(groups, NULL, TICKS + 0.5, NULL, &s, 1), 1);
	CHECK(fabs(s.slope - 50 * 3000) < 10);
	total = &mw_label_groups__at(groups, 0)->total;
	CHECK(!(total->flags & (MW_SITE_UNSCALED | MW_SITE_PYTHON)));
	CHECK(fabs(total->totals.alloc_bytes - buffer->totals.alloc_bytes) < 0.5);
	CHECK(fabs(total->totals.grown_bytes - TICKS * 4096) < 0.5);
	/* As where the sums of a layer say too little. */
	object->flags &= ~(uint32_t)MW_SITE_UNSCALED;
	CHECK_INT(mw_label_groups__update(groups, sites, (const bool[]){true, false}), 0);
	CHECK(!(total->flags & MW_SITE_PYTHON));
	/* Looks found that more is kept of it: the buffer is a list's table. */
	object->flags |= MW_SITE_UNSCALED;
	object->totals.kept_bytes = 2 * buffer->totals.kept_bytes;
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK(total->flags & MW_SITE_PYTHON);
	CHECK(fabs(total->totals.kept_bytes - 3 * buffer->totals.kept_bytes) < 0.5);
	object->flags &= ~(uint32_t)MW_SITE_UNSCALED;
	object->totals.kept_bytes = 0;
	/* Once it is known, the row is the sum. */
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK(fabs(total->totals.alloc_bytes - buffer->totals.alloc_bytes -
		   object->totals.alloc_bytes) < 0.5);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

/* A line of which one allocator's blocks are seen exactly, and small objects in windows. */
struct line {
	struct mw_sites *sites;
	struct mw_site_stats *exact, *object;
};

static void begin_line(struct line *l)
{
	l->sites = mw_sites__new();
	l->exact = mw_sites__intern(l->sites, 1, &hand_frame, 1, MW_SITE_TRACKED | MW_SITE_STAY);
	l->object = mw_sites__intern(l->sites, 1, &hand_frame, 1,
				     MW_SITE_TRACKED | MW_SITE_WINDOWS | MW_SITE_LIVE_KNOWN |
					     MW_SITE_UNSCALED | MW_SITE_PYTHON);
}

/* Is the line accused once its objects have become more for 40 s? Into S. Ends the line. */
static size_t accused(struct line *l, struct mw_suspect *s)
{
	struct mw_label_groups *groups = mw_label_groups__new(1);
	size_t n;

	make_in_growing_sizes(l->object, 0);
	CHECK_INT(mw_label_groups__update(groups, l->sites, NULL), 0);
	n = mw_suspects__find(groups, NULL, 40, NULL, s, 1);
	mw_label_groups__free(groups);
	mw_sites__free(l->sites);
	return n;
}

/* A list's table moves as it grows, seen exactly; its elements are small objects, in windows. */
TEST(a_list_that_moves_is_no_churn)
{
	struct mw_suspect s;
	struct line l;
	struct mw_site_totals *table;

	begin_line(&l);
	table = &l.exact->totals;
	for (int t = 1; t <= 40; t++) {
		table->allocs += 1;
		table->resized += 1;
		table->alloc_bytes += 1000 * t;
		table->frees = table->allocs - 1;
		table->freed_bytes = table->alloc_bytes - 1000 * t;
		table->samples += 1;
		all_seen(table);
		mw_sites__tick(l.sites, t);
	}
	CHECK_INT(accused(&l, &s), 1);
	/* Of the 2,000 bytes a second that its objects' sizes grow by. */
	CHECK(s.slope > 2000.0 / 2);
}

/* MADE buffers of a line a second, all freed and seen exactly, and its objects in windows. */
static size_t beside_buffers(double made)
{
	struct mw_suspect s;
	struct line l;

	begin_line(&l);
	for (int t = 1; t <= 40; t++) {
		l.exact->totals.allocs += made;
		l.exact->totals.alloc_bytes += made * 3000;
		l.exact->totals.frees += made;
		l.exact->totals.freed_bytes += made * 3000;
		l.exact->totals.samples += (uint64_t)made;
		mw_sites__tick(l.sites, t);
	}
	return accused(&l, &s);
}

/* In windows, objects of a leak take the places of those that come and go. */
TEST(exact_churn_is_not_accused_by_windows)
{
	CHECK_INT(beside_buffers(0), 1);
	CHECK_INT(beside_buffers(50), 0);
}

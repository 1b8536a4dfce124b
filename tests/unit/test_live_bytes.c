// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "model/live_bytes.h"
#include "model/live_parts.h"
#include "model/tracked.h"
#include "tests/unit/test.h"

/* Windows of 0.1 s every 2 s stand for 20 times as much, so a leak of a block each is one of 1,040
 * bytes/s. */
enum { SITES = 2, ROOM = 104, WINDOWS = 28, TRUE_SCALE = 20, RATE = TRUE_SCALE * ROOM / 2 };

static unsigned int fine_of(uint32_t kind)
{
	return kind == MW_KIND_PYTHON ? MW_LIVE_PYTHON : MW_LIVE_MALLOC;
}

/* LIVE(t) bytes of blocks of ROOM at N looks, which come every 5 s. */
static struct mw_live_growth growth_of_kind(uint32_t kind, double (*live)(double time), int n)
{
	struct mw_live_bytes *all = calloc(1, sizeof(*all));
	struct mw_live_growth growth;

	for (int i = 0; i < n; i++)
		mw_live_bytes__begin_look(all, 2 + 5 * i)
			->bytes[mw_live_class(ROOM, fine_of(kind))] = (uint64_t)live(2 + 5 * i);
	mw_live_bytes__growth(all, &growth);
	free(all);
	return growth;
}

static struct mw_live_growth growth_of(double (*live)(double time), int n)
{
	return growth_of_kind(MW_KIND_ALLOC, live, n);
}

static double leaks(double time)
{
	return 5e6 + RATE * time;
}

static double is_steady(double time)
{
	(void)time;
	return 5e6;
}

static double fills(double time)
{
	return 5e6 * (1 - exp(-time / 25));
}

static double comes_and_goes(double time)
{
	return 5e6 + 1e6 * fmod(time, 15);
}

/* What is in no class that was marked is of none that grows. */
TEST(sizes_that_grow_are_marked_from_the_second_look_on)
{
	static const struct {
		double (*live)(double time);
		int looks;
		bool grows;
	} cases[] = {{leaks, 1, false}, {leaks, 2, true}, {leaks, 5, true}, {is_steady, 5, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int kind = MW_KIND_ALLOC; kind <= MW_KIND_PYTHON; kind++) {
			struct mw_live_growth growth =
				growth_of_kind((uint32_t)kind, cases[i].live, cases[i].looks);
			bool marked[MW_CLASSES] = {0};

			if (kind != MW_KIND_ALLOC && kind != MW_KIND_PYTHON)
				continue;
			mw_live_growth__mark(&growth, fine_of((uint32_t)kind), marked);
			CHECK_INT(marked[mw_size_class(ROOM)], cases[i].grows);
			/* Malloc's room of 104 bytes is that of a request of 89 to 104. */
			CHECK_INT(marked[mw_size_class(90)],
				  cases[i].grows && kind == MW_KIND_ALLOC);
			CHECK(!marked[mw_size_class(ROOM + 32)] && !marked[mw_size_class(32)]);
			CHECK((mw_live_growth__rate(&growth) > 0) == cases[i].grows);
		}
	}
}

/* Each size is of a class that is marked for the room that it may have got. */
TEST(every_size_is_found_by_its_room)
{
	for (uint64_t size = 24; size < 1 << 20; size += 8 + size / 64) {
		uint64_t room = (size + 8 + 15) / 16 * 16 - 8;
		struct mw_live_bytes *all = calloc(1, sizeof(*all));
		struct mw_live_growth growth;
		bool marked[MW_CLASSES] = {0};

		mw_live_bytes__begin_look(all, 1)->bytes[mw_live_class(room, MW_LIVE_MALLOC)] = 1;
		mw_live_bytes__begin_look(all, 6)->bytes[mw_live_class(room, MW_LIVE_MALLOC)] = 9;
		mw_live_bytes__growth(all, &growth);
		mw_live_growth__mark(&growth, MW_LIVE_MALLOC, marked);
		if (!marked[mw_size_class(size)])
			TEST_FAIL("%llu", (unsigned long long)size);
		free(all);
	}
}

TEST(classes_are_in_order_and_cover_all_sizes)
{
	for (unsigned int fine = MW_LIVE_PYTHON; fine <= MW_LIVE_MALLOC; fine += 8) {
		size_t last = 0;

		for (uint64_t size = 1; size < 1ULL << 62; size += 1 + size / 64) {
			size_t class = mw_live_class(size, fine);

			CHECK(class >= last && class < MW_LIVE_CLASSES);
			last = class;
		}
	}
	CHECK(mw_live_class(104, MW_LIVE_MALLOC) != mw_live_class(120, MW_LIVE_MALLOC));
	CHECK(mw_live_class(48, MW_LIVE_PYTHON) != mw_live_class(56, MW_LIVE_PYTHON));
}

TEST(growth_by_looks)
{
	size_t class = mw_live_class(ROOM, MW_LIVE_MALLOC);
	struct mw_live_growth g = growth_of(leaks, 2);

	CHECK(!g.known);
	g = growth_of(leaks, 12);
	CHECK(g.known && g.time == 57);
	CHECK(fabs(g.least[class] - RATE) < 1 && fabs(g.most[class] - RATE) < 1);
	CHECK_INT(g.course[class], MW_LIVE_GOES_ON);
	g = growth_of(is_steady, 12);
	CHECK(g.most[class] == 0 && g.live[class] == 5e6);
	CHECK(g.course[class] != MW_LIVE_GOES_ON);
	CHECK_INT(growth_of(fills, 16).course[class], MW_LIVE_ENDS);
	CHECK_INT(growth_of(comes_and_goes, 12).course[class], MW_LIVE_ENDS);
}

/* The first look stays, and so do the last ones; whatever came in between. */
TEST(history_is_thinned_out)
{
	struct mw_live_bytes *all = calloc(1, sizeof(*all));
	struct mw_live_growth growth;
	size_t class = mw_live_class(ROOM, MW_LIVE_MALLOC);

	for (int i = 0; i < 1000; i++)
		mw_live_bytes__begin_look(all, i)->bytes[class] = 1000 * (uint64_t)i;
	CHECK(all->count <= MW_LIVE_LOOKS);
	mw_live_bytes__growth(all, &growth);
	CHECK(all->looks[0].time == 0 && growth.time == 999);
	CHECK(fabs(growth.rate[class] - 1000) < 1);
	for (size_t i = 1; i < all->count; i++)
		CHECK(all->looks[i].time > all->looks[i - 1].time);
	free(all);
}

TEST(of_two_processes_growth_adds_up)
{
	size_t class = mw_live_class(ROOM, MW_LIVE_MALLOC);
	struct mw_live_growth sum = {0}, one = growth_of(leaks, 12), new = growth_of(leaks, 1);

	mw_live_growth__add(&sum, &one);
	mw_live_growth__add(&sum, &one);
	CHECK(sum.known && fabs(sum.rate[class] - 2 * RATE) < 2);
	CHECK_INT(sum.course[class], MW_LIVE_GOES_ON);
	/* One that was not looked at often enough makes all of it unknown. */
	mw_live_growth__add(&sum, &new);
	CHECK(!sum.known);
}

/*
 * Two sites make blocks of one size; of KEEPER's all stay, of the other's none, but their places
 * are always taken again. In windows too few to see that, looks say how much is kept.
 */
static struct mw_tracked *track(uint32_t kind, const struct mw_live_growth *growth, double scale,
				bool one_dies)
{
	const double scales[1] = {scale};
	struct mw_tracked *t = mw_tracked__new(0);
	struct mw_tracked_block *blocks;
	size_t count;

	mw_tracked__begin(t, 0, (const double[]){0}, 1);
	for (uint64_t w = 0; w < WINDOWS; w++) {
		struct mw_site_counts counts = {.kind = kind,
						.samples = w + 1,
						.allocs = (w + 1) << MW_COUNT_SHIFT,
						.alloc_bytes = (w + 1) * 100};
		uint64_t now = 2 * (w + 1) * 1000000000;
		const double own[1] = {2.0 * (double)(w + 1)};

		mw_tracked__begin_window(t, 2.0 * (double)(w + 1), 0.1, scales, own, 1);
		for (uint64_t site = 1; site <= SITES; site++)
			mw_tracked__add_counts(t, site, &counts);
		/* The keeper's blocks are all seen again, of the other's always another one. */
		for (uint64_t i = one_dies && w > 9; i <= w; i++)
			mw_tracked__add_block(
				t, 100 + i,
				&(struct mw_alloc_record){100, 2 * (i + 1) * 1000000000, 1});
		mw_tracked__add_block(t, 10, &(struct mw_alloc_record){100, now, 2});
		mw_tracked__end_window(t);
	}
	blocks = mw_tracked__blocks(t, &count);
	for (size_t i = 0; i < count; i++)
		mw_tracked__found(t, &blocks[i], MW_LIVENESS_ALIVE, ROOM, 0, 57);
	/* Of small objects it is seen whether they are the same. */
	for (size_t i = 0; i < count && kind == MW_KIND_PYTHON; i++) {
		blocks[i].same = blocks[i].site == 1;
		blocks[i].other = !blocks[i].same;
	}
	mw_tracked__set_live_bytes(t, 0, fine_of(kind), growth);
	return t;
}

static void check(double (*live)(double), double scale, double bias, bool one_dies, double least,
		  double most)
{
	struct mw_live_growth growth = growth_of(live, 12);
	struct mw_tracked *t = track(MW_KIND_ALLOC, &growth, scale, one_dies);
	const struct mw_tracked_site *keeper, *other;

	mw_tracked__settle(t, 57, NULL, 1, bias);
	keeper = mw_tracked__site(t, 1);
	other = mw_tracked__site(t, 2);
	CHECK(keeper->kept.bytes >= least && keeper->kept.bytes <= most);
	CHECK(other->kept.bytes <= 0.05 * keeper->kept.bytes + 1);
	CHECK(keeper->grows <= fmax(keeper->grows_most, 0) * 1.001);
	CHECK(fabs(keeper->kept.bytes + keeper->freed.bytes + keeper->unknown.bytes -
		   keeper->allocated.bytes) <= 1 + 1e-6 * keeper->allocated.bytes);
	mw_tracked__free(t);
}

static void check_kept(double (*live)(double), double scale, double bias, double least, double most)
{
	check(live, scale, bias, false, least, most);
	check(live, scale, bias, true, least, most);
}

/* 100 bytes of each block of 104, 59 KB in 57 s. */
static const double LEAST = 45e3, MOST = 62e3;

TEST(what_grows_is_kept_by_whose_blocks_stay)
{
	check_kept(leaks, TRUE_SCALE, 0, LEAST, MOST);
}

TEST(no_more_is_kept_than_there_is)
{
	check_kept(is_steady, 1e6, 0, 0, 5.1e6);
}

TEST(where_windows_have_no_scale_looks_have)
{
	check_kept(leaks, 50 * TRUE_SCALE, INFINITY, LEAST, MOST);
	check_kept(leaks, TRUE_SCALE / 50.0, INFINITY, LEAST, MOST);
	check_kept(is_steady, 1e9, INFINITY, 0, 0);
}

/* What the keeper keeps of small objects, which windows take for SCALE times as many. */
static struct mw_amount small_objects(double scale, double bias, bool *scaled)
{
	struct mw_live_growth growth = growth_of_kind(MW_KIND_PYTHON, leaks, 12);
	struct mw_tracked *t = track(MW_KIND_PYTHON, &growth, scale, false);
	struct mw_amount kept;

	mw_tracked__settle(t, 57, NULL, 1, bias);
	kept = mw_tracked__site(t, 1)->kept;
	*scaled = mw_tracked__site(t, 1)->scaled;
	CHECK(mw_tracked__site(t, 2)->kept.bytes <= 0.05 * kept.bytes);
	mw_tracked__free(t);
	return kept;
}

TEST(small_objects_can_not_stand_for_far_less_than_their_size_grows_by)
{
	bool scaled;
	struct mw_amount kept = small_objects(TRUE_SCALE, 0, &scaled);

	CHECK(scaled && kept.bytes > LEAST && kept.bytes < MOST);
	kept = small_objects(TRUE_SCALE / 5.0, 0, &scaled);
	CHECK(!scaled && kept.bytes > LEAST && kept.bytes < MOST);
	kept = small_objects(TRUE_SCALE, INFINITY, &scaled);
	CHECK(!scaled && kept.bytes > LEAST && kept.bytes < MOST);
}

/* ---- blocks that are resized --------------------------------------------------------------------
 *
 * Site 1 resizes one of ten buffers a window, each by 4,000 bytes: 20 KB/s. A look sees the one
 * that was resized last. Site 2 makes small blocks that go.
 */
static uint64_t buffer_at(double time)
{
	return 50000 + (uint64_t)(2000 * time);
}

static struct mw_live_growth growth_of_buffers(bool goes)
{
	struct mw_live_bytes *all = calloc(1, sizeof(*all));
	struct mw_live_growth growth;

	for (int i = 0; i < 12; i++) {
		struct mw_live_look *look = mw_live_bytes__begin_look(all, 2 + 5 * i);

		look->bytes[mw_live_class(buffer_at(2 + 5 * i), MW_LIVE_MALLOC)] +=
			(goes && i % 3 == 2 ? 1 : 10) * buffer_at(2 + 5 * i);
	}
	mw_live_bytes__growth(all, &growth);
	free(all);
	return growth;
}

/* RESIZED: of 4 of its calls; OTHER: SITE 2 has blocks of the same sizes, and keeps them. */
static struct mw_tracked_site watch_buffers(uint64_t resized, bool other, bool goes)
{
	struct mw_live_growth growth = growth_of_buffers(goes);
	struct mw_tracked *t = mw_tracked__new(0);
	struct mw_tracked_site site;

	mw_tracked__begin(t, 0, (const double[]){0}, 1);
	for (uint64_t w = 1; w <= WINDOWS; w++) {
		double now = 2.0 * (double)w;
		uint64_t time = 2 * w * 1000000000, size = buffer_at(now);
		struct mw_site_counts counts = {.kind = MW_KIND_ALLOC,
						.samples = w,
						.allocs = 4 * w << MW_COUNT_SHIFT,
						.alloc_bytes = w * size,
						.resized = resized * w << MW_COUNT_SHIFT};
		struct mw_tracked_block *blocks;
		size_t count;

		mw_tracked__begin_window(t, now, 0.1, (const double[]){20}, (const double[]){now},
					 1);
		mw_tracked__add_counts(t, 1, &counts);
		counts.resized = 0;
		mw_tracked__add_counts(t, 2, &counts);
		mw_tracked__add_block(t, 100 + w, &(struct mw_alloc_record){size, time, 1});
		mw_tracked__add_block(t, 10, &(struct mw_alloc_record){other ? size : 64, time, 2});
		mw_tracked__end_window(t);
		blocks = mw_tracked__blocks(t, &count);
		for (size_t i = 0; i < count; i++)
			mw_tracked__found(t, &blocks[i],
					  blocks[i].time == time ? MW_LIVENESS_ALIVE
								 : MW_LIVENESS_FREED,
					  blocks[i].size + 8, 0, now);
		mw_tracked__sweep(t, now, NULL, NULL);
	}
	mw_tracked__set_live_bytes(t, 0, MW_LIVE_MALLOC, &growth);
	mw_tracked__settle(t, 57, NULL, 1, 0);
	site = *mw_tracked__site(t, 1);
	mw_tracked__free(t);
	return site;
}

TEST(buffers_that_grow_by_realloc)
{
	struct mw_tracked_site site = watch_buffers(4, false, false);

	CHECK(site.swells > 18e3 && site.swells < 22e3);
	CHECK(site.swells_most >= site.swells);
	CHECK(fabs(site.resized - site.allocated.calls) <= 1e-6 * site.allocated.calls);
}

TEST(a_site_that_also_makes_blocks_is_judged_by_their_age)
{
	CHECK(watch_buffers(3, false, false).swells == 0);
}

TEST(of_sizes_that_others_keep_too_nothing_is_said)
{
	CHECK(watch_buffers(4, true, false).swells == 0);
}

TEST(buffers_that_go_do_not_swell)
{
	CHECK(watch_buffers(4, false, true).swells == 0);
}

TEST(looks_at_two_processes_add_up_while_both_are_looked_at)
{
	size_t class = mw_live_class(ROOM, MW_LIVE_MALLOC);
	struct mw_live_growth sum = {0}, one = growth_of(leaks, 12), late = growth_of(leaks, 9);

	for (size_t i = 0; i < late.looks.count; i++)
		late.looks.looks[i].time += 11.5;
	mw_live_growth__add(&sum, &one);
	mw_live_growth__add(&sum, &late);
	CHECK_INT(sum.looks.count, 8);
	CHECK(sum.looks.looks[0].time == 17);
	for (size_t i = 0; i < sum.looks.count; i++) {
		double time = sum.looks.looks[i].time;
		double expected = leaks(time) + leaks(time - 11.5);

		CHECK(fabs((double)sum.looks.looks[i].bytes[class] - expected) < 2);
	}
}

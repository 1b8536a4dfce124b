// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/sample.h"
#include "tests/unit/test.h"

TEST(size_classes_cover_every_size_once)
{
	uint64_t expected = 0;

	for (unsigned int c = 0; c < MW_CLASSES; c++) {
		uint64_t low, high;

		mw_class_bounds(c, &low, &high);
		CHECK_INT(low, expected);
		CHECK(high >= low);
		CHECK_INT(mw_size_class(low), c);
		CHECK_INT(mw_size_class(high), c);
		expected = high + 1;
	}
	CHECK_INT(expected, 0); /* the last one ends at 2^64 - 1 */
}

TEST(size_classes_are_where_documented)
{
	CHECK_INT(mw_size_class(0), 0);
	CHECK_INT(mw_size_class(1), 1);
	CHECK_INT(mw_size_class(16), 1);
	CHECK_INT(mw_size_class(17), 2);
	CHECK_INT(mw_size_class(1009), 64);
	CHECK_INT(mw_size_class(1024), 64);
	CHECK_INT(mw_size_class(1025), 65);
	CHECK_INT(mw_size_class(2048), 65);
	CHECK_INT(mw_size_class(2049), 66);
	CHECK_INT(mw_size_class(UINT64_MAX), MW_CLASSES - 1);
}

TEST(log2_is_exact)
{
	for (unsigned int i = 0; i < 64; i++) {
		CHECK_INT(mw_log2(1ULL << i), i);
		CHECK_INT(mw_log2((2ULL << i) - 1), i);
	}
}

TEST(cookie_keeps_its_parts)
{
	uint64_t cookie = mw_cookie(MW_FUNC_DELETE, 2040, MW_COOKIE_CHUNKS, 63, MW_SPACES - 1);

	CHECK_INT(MW_COOKIE_FUNC(cookie), MW_FUNC_DELETE);
	CHECK_INT(MW_COOKIE_SHIFT(cookie), 2040);
	CHECK_INT(MW_COOKIE_FLAGS(cookie), MW_COOKIE_CHUNKS);
	CHECK_INT(MW_COOKIE_SLOT(cookie), 63);
	CHECK_INT(MW_COOKIE_SPACE(cookie), MW_SPACES - 1);
}

TEST(block_keys_do_not_collide)
{
	CHECK(mw_block_key(1, 0x7fffffff8ULL) != mw_block_key(2, 0x7fffffff8ULL));
	CHECK(mw_block_key(0, 0x7ffffffffff8ULL) != mw_block_key(0, 0x7ffffffffff0ULL));
	CHECK_INT(mw_block_key(3, 0x7fffdeadbee8ULL) >> MW_SPACE_SHIFT, 3);
}

TEST(differences_and_sums)
{
	static struct mw_sample a, b, d;

	a.counts.alloc[MW_PLACE_BRK][3] = (struct mw_cell){7, 300};
	a.counts.alloc[MW_PLACE_MMAP][90] = (struct mw_cell){2, 1000000};
	a.counts.calls[MW_FUNC_FREE] = 5;
	a.counts.calls[MW_FUNC_MALLOC] = 9;
	a.elapsed = 3;
	a.rss = 10;
	b.counts.alloc[MW_PLACE_BRK][3] = (struct mw_cell){3, 100};
	b.elapsed = 1;
	b.rss = 99;
	mw_sample__difference(&d, &a, &b);
	CHECK_INT(mw_counts__alloc_at(&d.counts, MW_PLACE_BRK).count, 4);
	CHECK_INT(mw_counts__alloc_at(&d.counts, MW_PLACE_BRK).bytes, 200);
	CHECK_INT(mw_counts__alloc(&d.counts).count, 6);
	CHECK_INT(mw_counts__alloc_class(&d.counts, 90).bytes, 1000000);
	CHECK_INT(mw_counts__free_calls(&d.counts), 5);
	CHECK(d.elapsed == 2);
	CHECK_INT(d.rss, 10);
	mw_counts__add(&d.counts, &a.counts);
	CHECK_INT(mw_counts__alloc(&d.counts).count, 15);
}

static struct mw_sample governed(enum mw_place place, uint64_t allocs, uint64_t cpu_seconds)
{
	struct mw_sample s = {.governed = true, .enough = true, .budget = 0.01, .cost = 0.004};

	s.counts.alloc[place][4] = (struct mw_cell){allocs, 64 * allocs};
	s.cpu_ns = cpu_seconds * 1000000000;
	s.windows = 10;
	s.error = 0.1;
	return s;
}

TEST(layers_part_and_join)
{
	struct mw_counts both = {.python_frees = 7, .free_null = 5}, one;

	both.alloc[MW_PLACE_PYTHON][2] = (struct mw_cell){3, 90};
	both.alloc[MW_PLACE_BRK][2] = (struct mw_cell){4, 120};
	both.vm.brk_calls = 9;
	one = both;
	mw_counts__keep_layer(&one, MW_LAYER_PYTHON);
	CHECK_INT(mw_counts__alloc(&one).count, 3);
	CHECK_INT(one.python_frees, 7);
	CHECK_INT(one.free_null, 0);
	CHECK_INT(one.vm.brk_calls, 9);
	one = both;
	mw_counts__keep_layer(&one, MW_LAYER_MALLOC);
	CHECK_INT(mw_counts__alloc(&one).count, 4);
	CHECK_INT(one.python_frees, 0);
	CHECK_INT(one.free_null, 5);
}

TEST(layers_share_what_is_said_of_them)
{
	struct mw_sample sample = governed(MW_PLACE_BRK, 1000, 1);
	struct mw_sample small = governed(MW_PLACE_PYTHON, 3000, 1);

	mw_sample__add_python(&sample, &small);
	CHECK_INT(sample.python, MW_PYTHON_SEEN);
	CHECK_INT(mw_counts__alloc(&sample.counts).count, 4000);
	CHECK(sample.cost > 0.0079 && sample.cost < 0.0081);
	CHECK(sample.enough);
	/* Errors of two layers are independent: a tenth of 1,000 and of 3,000. */
	CHECK(sample.error > 0.079 && sample.error < 0.0791);
}

TEST(a_layer_of_which_nothing_is_known_is_not_counted)
{
	struct mw_sample sample = governed(MW_PLACE_BRK, 1000, 1);
	struct mw_sample small = governed(MW_PLACE_PYTHON, 0, 1);

	small.enough = false;
	small.error = 1;
	mw_sample__add_python(&sample, &small);
	CHECK_INT(sample.python, MW_PYTHON_SAMPLED);
	CHECK_INT(mw_counts__alloc(&sample.counts).count, 1000);
	CHECK(sample.enough);
	CHECK(sample.error > 0.099 && sample.error < 0.101);
}

TEST(a_layer_of_which_little_is_known_leaves_the_other_alone)
{
	struct mw_sample sample = governed(MW_PLACE_BRK, 1000, 1);
	struct mw_sample small = governed(MW_PLACE_PYTHON, 3000, 1);

	small.enough = false;
	mw_sample__add_python(&sample, &small);
	CHECK(!sample.enough && sample.malloc_enough);
}

TEST(a_layer_that_is_known_late_goes_back_to_the_beginning)
{
	struct mw_sample before = governed(MW_PLACE_BRK, 1000, 10), diff;
	struct mw_sample after = governed(MW_PLACE_BRK, 1500, 15);
	struct mw_sample none = governed(MW_PLACE_PYTHON, 0, 10);
	struct mw_sample small = governed(MW_PLACE_PYTHON, 6000, 15);

	mw_sample__add_python(&before, &none);
	mw_sample__add_python(&after, &small);
	mw_sample__difference(&diff, &after, &before);
	CHECK_INT(mw_counts__alloc_at(&diff.counts, MW_PLACE_BRK).count, 500);
	/* 5 of 15 seconds. */
	CHECK_INT(mw_counts__alloc_at(&diff.counts, MW_PLACE_PYTHON).count, 2000);
}

TEST(coverage_is_what_the_own_count_says)
{
	struct mw_coverage all = {0}, part = {0};
	struct mw_sample sum = {0}, small = {.always = true};
	double error, share;

	/* Each window differs by chance; nothing is missed for sure. */
	for (int i = 0; i < 20; i++)
		mw_coverage__add(&all, 1000, 900, 100 + (i % 2 ? 7 : -7));
	share = mw_coverage__share(&all, &error);
	CHECK(share > 0.999 && share <= 1);
	CHECK(error > 0.001 && error < 0.003);
	CHECK(mw_coverage__scale(&all) == 1);
	/* A tenth of what is handed out is not seen, all that is taken back is. */
	for (int i = 0; i < 20; i++)
		mw_coverage__add(&part, 900, 900, 100 + (i % 2 ? 7 : -7));
	share = mw_coverage__share(&part, &error);
	CHECK(share > 0.899 && share < 0.901);
	CHECK(mw_coverage__scale(&part) > 1.11 && mw_coverage__scale(&part) < 1.112);
	/* What was missed joins the sum. */
	small.python_coverage = part;
	small.counts.alloc[MW_PLACE_PYTHON][3].count = 900;
	small.counts.alloc[MW_PLACE_PYTHON][3].bytes = 900 * 48;
	mw_sample__add_python(&sum, &small);
	CHECK_INT(mw_counts__alloc(&sum.counts).count, 1000);
	CHECK_INT(mw_counts__alloc(&sum.counts).bytes, 48000);
	CHECK(sum.python_coverage.windows == 20);
	/* A few windows say nothing. */
	part = (struct mw_coverage){0};
	mw_coverage__add(&part, 900, 900, 100);
	CHECK(mw_coverage__share(&part, &error) < 0);
	CHECK(mw_coverage__scale(&part) == 1);
}

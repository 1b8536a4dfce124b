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

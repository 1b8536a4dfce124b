// SPDX-License-Identifier: GPL-2.0-or-later
/* Which blocks pin the end of a heap, and whose they are: against trying every possibility. */
#include "model/pins.h"
#include "tests/unit/test.h"

enum { BLOCKS = 60, PAGE = MW_TAIL_PAGE };

/* One block with what is free below it. */
struct block {
	uint64_t gap, size;
};

static void feed(struct mw_tail *tail, const struct block *blocks, size_t count)
{
	uint64_t at = 0x10000;

	for (size_t i = 0; i < count; i++) {
		struct mw_pin pin = {.addr = at + blocks[i].gap, .bytes = blocks[i].size};

		if (blocks[i].gap)
			mw_tail__free_block(tail, at, blocks[i].gap);
		CHECK_INT(mw_tail__used_block(tail, &pin, pin.addr, pin.bytes), 0);
		at += blocks[i].gap + blocks[i].size;
	}
}

/* The most that any number of blocks from the end down brings, less a page for each. */
static int64_t best(const struct block *blocks, size_t count)
{
	int64_t sum = 0, most = INT64_MIN;

	for (size_t i = count; i-- > 0;) {
		sum += (int64_t)(blocks[i].gap + blocks[i].size) - PAGE;
		most = sum > most ? sum : most;
	}
	return most;
}

TEST(the_blocks_that_are_named_bring_most)
{
	unsigned int seed = 7;

	for (int round = 0; round < 2000; round++) {
		struct block blocks[BLOCKS];
		struct mw_tail tail = {0};
		uint64_t bytes = 0, freed = 0;
		size_t count = 1 + (size_t)rand_r(&seed) % BLOCKS;

		for (size_t i = 0; i < count; i++) {
			blocks[i].gap = rand_r(&seed) % 3 ? 0 : (uint64_t)rand_r(&seed) % 40000;
			blocks[i].size = 32 + (uint64_t)rand_r(&seed) % 3000;
		}
		feed(&tail, blocks, count);
		CHECK_INT(tail.worth, best(blocks, count));
		for (size_t i = count - tail.count; i < count; i++) {
			bytes += blocks[i].gap + blocks[i].size;
			freed += blocks[i].gap;
		}
		CHECK_INT(tail.bytes, bytes);
		CHECK_INT(tail.free_bytes, freed);
		mw_tail__done(&tail);
	}
}

TEST(what_is_free_behind_the_last_block_goes_by_itself)
{
	struct block blocks[] = {{1 << 20, 64}, {0, 64}};
	struct mw_tail tail = {0};

	feed(&tail, blocks, 2);
	mw_tail__free_block(&tail, 0x900000, 5 << 20);
	CHECK_INT(tail.count, 2);
	CHECK_INT(tail.bytes, (1 << 20) + 128);
	CHECK_INT(tail.start, 0x10000);
	mw_tail__clear(&tail);
	CHECK_INT(tail.count, 0);
	mw_tail__done(&tail);
}

static void add(struct mw_places *places, uint32_t holder, uint32_t item, int32_t type,
		uint64_t gives)
{
	struct mw_pin pin = {.holder = holder, .type = type, .bytes = 64, .gives = gives};

	CHECK_INT(mw_places__add(places, &pin), 0);
	places->pins[places->pin_count - 1].item = item;
}

static void begin(struct mw_places *places, enum mw_place_kind kind, uint64_t bytes)
{
	CHECK_INT(mw_places__begin(places, kind, "app", 0x1000 * places->count), 0);
	places->places[places->count - 1].bytes = bytes;
}

TEST(places_are_grouped_by_all_who_hold_them)
{
	struct mw_places places = {0};
	struct mw_pin_group *groups;
	size_t count;

	begin(&places, MW_PLACE_ARENA, 100);
	add(&places, 1, 10, 5, 0);
	add(&places, 1, 10, 5, 0); /* another block of the same item */
	begin(&places, MW_PLACE_ARENA, 200);
	add(&places, 1, 11, 5, 0);
	add(&places, 1, 12, 6, 0);
	begin(&places, MW_PLACE_ARENA, 70);
	add(&places, 2, 20, 6, 0);
	add(&places, 1, 10, 5, 0);
	begin(&places, MW_PLACE_ARENA, 9);
	for (uint32_t i = 0; i < 5; i++)
		add(&places, 3 + i, 30 + i, 6, 0);
	CHECK_INT(mw_places__groups(&places, &groups, &count), 0);
	CHECK_INT(count, 3);
	CHECK_INT(groups[0].bytes, 300);
	CHECK_INT(groups[0].places, 2);
	CHECK_INT(groups[0].objects, 3);
	CHECK_INT(groups[0].part_count, 1);
	CHECK_INT(groups[0].parts[0].holder, 1);
	CHECK_INT(groups[0].parts[0].type, 5);
	CHECK_INT(groups[0].parts[0].of_type, 2);
	CHECK_INT(groups[1].bytes, 70);
	CHECK_INT(groups[1].part_count, 2);
	CHECK_INT(groups[1].objects, 2);
	CHECK_INT(groups[2].bytes, 9);
	CHECK_INT(groups[2].part_count, 0);
	CHECK_INT(groups[2].holders, 5);
	CHECK_INT(groups[2].objects, 5);
	free(groups);
	mw_places__free(&places);
}

TEST(the_end_of_a_heap_is_cut_where_another_holder_begins)
{
	struct mw_places places = {0};
	struct mw_pin_group *groups;
	size_t count;

	begin(&places, MW_PLACE_TOP, 1000000);
	add(&places, 1, 10, 5, 500000);
	add(&places, 1, 11, 5, 300000);
	add(&places, 2, 20, 6, 150000);
	add(&places, 1, 12, 5, 50000); /* comes back only when holder 2's is gone */
	CHECK_INT(mw_places__cut(&places), 0);
	CHECK_INT(places.count, 2);
	CHECK_INT(places.places[0].bytes, 800000);
	CHECK_INT(places.places[0].free_bytes, 800000 - 128);
	CHECK_INT(places.places[1].bytes, 200000);
	CHECK_INT(places.places[1].after, 2);
	mw_places__sort(&places);
	CHECK_INT(places.places[0].bytes, 800000);
	CHECK_INT(mw_places__groups(&places, &groups, &count), 0);
	CHECK_INT(count, 2);
	CHECK_INT(groups[0].bytes, 800000);
	CHECK_INT(groups[0].objects, 2);
	CHECK(!groups[0].after);
	CHECK_INT(groups[1].bytes, 200000);
	CHECK_INT(groups[1].objects, 4);
	CHECK(groups[1].after);
	free(groups);
	mw_places__free(&places);
}

TEST(a_place_more_than_half_used_is_not_pinned)
{
	struct mw_places places = {0};

	begin(&places, MW_PLACE_ARENA, 0);
	add(&places, 1, 10, 5, 0);
	mw_places__end(&places, 128);
	begin(&places, MW_PLACE_ARENA, 0);
	add(&places, 1, 11, 5, 0);
	mw_places__end(&places, 127);
	begin(&places, MW_PLACE_ARENA, 0);
	mw_places__end(&places, 4096);
	CHECK_INT(places.count, 1);
	CHECK_INT(places.pin_count, 1);
	CHECK_INT(places.places[0].bytes, 128);
	CHECK_INT(places.places[0].free_bytes, 64);
	CHECK_INT(places.well_used, 1);
	CHECK_INT(places.well_used_bytes, 127);
	CHECK_INT(places.well_used_free, 63);
	mw_places__free(&places);
}

TEST(no_places_no_groups)
{
	struct mw_places places = {0};
	struct mw_pin_group *groups;
	size_t count;

	CHECK_INT(mw_places__cut(&places), 0);
	mw_places__sort(&places);
	CHECK_INT(mw_places__groups(&places, &groups, &count), 0);
	CHECK_INT(count, 0);
	free(groups);
	mw_places__free(&places);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What changed between two inventories. */
#include "model/diff.h"
#include "tests/unit/test.h"

static void put(struct mw_inventory *inventory, enum mw_stock stock, const char *name,
		const char *detail, uint64_t addr, uint64_t count, uint64_t bytes)
{
	CHECK_INT(mw_inventory__add(inventory, stock, name, detail, addr, count, bytes), 0);
}

static void free_all(struct mw_diff *diff, struct mw_inventory *a, struct mw_inventory *b)
{
	mw_diff__free(diff);
	mw_inventory__free(a);
	mw_inventory__free(b);
}

TEST(rows_are_what_differs_the_largest_change_first)
{
	struct mw_inventory a = {0}, b = {0};
	struct mw_diff diff;
	struct mw_diff_row *rows;

	put(&a, MW_STOCK_TYPES, "dict", "builtins", 0, 10, 1000);
	put(&a, MW_STOCK_TYPES, "gone", "app", 0, 3, 50);
	put(&a, MW_STOCK_TYPES, "same", "app", 0, 7, 70);
	put(&b, MW_STOCK_TYPES, "same", "app", 0, 7, 70);
	put(&b, MW_STOCK_TYPES, "new", "app", 0, 1, 400);
	put(&b, MW_STOCK_TYPES, "dict", "builtins", 0, 4, 400);
	put(&b, MW_STOCK_TYPES, "dict", "app", 0, 1, 10);
	CHECK_INT(mw_diff__make(&diff, &a, &b), 0);
	rows = diff.lists[MW_STOCK_TYPES].rows;
	CHECK_INT(diff.lists[MW_STOCK_TYPES].count, 4);
	CHECK_STR(rows[0].name, "dict");
	CHECK_INT(mw_diff_bytes(&rows[0]), -600);
	CHECK_INT(mw_diff_count(&rows[0]), -6);
	CHECK_STR(rows[1].name, "new");
	CHECK(rows[1].before.known);
	CHECK_INT(rows[1].before.count, 0);
	CHECK_STR(rows[2].name, "gone");
	CHECK_INT(mw_diff_bytes(&rows[2]), -50);
	CHECK_STR(rows[3].detail, "app");
	CHECK_INT(diff.lists[MW_STOCK_OWNERS].count, 0);
	free_all(&diff, &a, &b);
}

TEST(things_of_one_name_are_added_up)
{
	struct mw_inventory a = {0}, b = {0};
	struct mw_diff diff;

	put(&a, MW_STOCK_TYPES, "Row", "app", 0, 10, 1000);
	put(&a, MW_STOCK_TYPES, "Row", "app", 0, 5, 500);
	put(&b, MW_STOCK_TYPES, "Row", "app", 0, 16, 1600);
	CHECK_INT(mw_diff__make(&diff, &a, &b), 0);
	CHECK_INT(diff.lists[MW_STOCK_TYPES].count, 1);
	CHECK_INT(mw_diff_bytes(&diff.lists[MW_STOCK_TYPES].rows[0]), 100);
	CHECK_INT(mw_diff_count(&diff.lists[MW_STOCK_TYPES].rows[0]), 1);
	free_all(&diff, &a, &b);
}

/* The containers at 0x10 and 0x20 go by another name in the second image. */
static void renamed(struct mw_inventory *a, struct mw_inventory *b)
{
	put(a, MW_STOCK_CONTAINERS, "app.old", "list", 0x10, 5, 50);
	put(a, MW_STOCK_CONTAINERS, "app.other", "list", 0x20, 7, 70);
	put(b, MW_STOCK_CONTAINERS, "app.new", "list", 0x10, 9, 90);
	put(b, MW_STOCK_CONTAINERS, "app.another", "dict", 0x20, 7, 70);
}

TEST(in_one_process_an_address_is_a_thing)
{
	struct mw_inventory a = {.places = {1, 2, 3}}, b = a;
	struct mw_diff diff;
	struct mw_diff_row *rows;

	renamed(&a, &b);
	CHECK_INT(mw_diff__make(&diff, &a, &b), 0);
	CHECK(diff.same_process);
	rows = diff.lists[MW_STOCK_CONTAINERS].rows;
	CHECK_INT(diff.lists[MW_STOCK_CONTAINERS].count, 3);
	/* Another type is another thing. */
	CHECK_STR(rows[0].name, "app.another");
	CHECK_INT(rows[0].before.count, 0);
	CHECK_STR(rows[1].name, "app.other");
	CHECK_INT(rows[1].after.count, 0);
	CHECK_STR(rows[2].name, "app.new");
	CHECK_INT(rows[2].before.count, 5);
	CHECK_INT(rows[2].after.count, 9);
	free_all(&diff, &a, &b);
}

TEST(in_another_process_it_is_not)
{
	struct mw_inventory a = {.places = {1, 2, 3}}, b = {.places = {1, 2, 4}};
	struct mw_diff diff;

	renamed(&a, &b);
	CHECK_INT(mw_diff__make(&diff, &a, &b), 0);
	CHECK(!diff.same_process);
	CHECK_INT(diff.lists[MW_STOCK_CONTAINERS].count, 4);
	free_all(&diff, &a, &b);
}

TEST(what_a_capped_list_leaves_out_is_unknown)
{
	struct mw_inventory a = {.build_id = "12"}, b = {.build_id = "34"};
	struct mw_diff diff;
	struct mw_diff_row *rows;

	a.lists[MW_STOCK_CONTAINERS].capped = true;
	put(&b, MW_STOCK_CONTAINERS, "app.new", "list", 0x10, 9, 90);
	put(&a, MW_STOCK_CONTAINERS, "app.old", "list", 0x20, 5, 50);
	CHECK_INT(mw_diff__make(&diff, &a, &b), 0);
	CHECK(diff.other_program);
	rows = diff.lists[MW_STOCK_CONTAINERS].rows;
	CHECK_INT(diff.lists[MW_STOCK_CONTAINERS].count, 2);
	CHECK_STR(rows[0].name, "app.new");
	CHECK(!rows[0].before.known);
	CHECK(rows[0].after.known);
	CHECK(rows[1].after.known);
	free_all(&diff, &a, &b);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/diff.h"
#include "util/array.h"

/*
 * ---- inventories --------------------------------------------------------------------------------
 */

int mw_inventory__add(struct mw_inventory *inventory, enum mw_stock stock, const char *name,
		      const char *detail, uint64_t addr, uint64_t count, uint64_t bytes)
{
	struct mw_stock_list *list = &inventory->lists[stock];
	struct mw_stock_item item = {strdup(name), strdup(detail), addr, count, bytes};

	if (!item.name || !item.detail ||
	    mw_array_reserve(&list->items, &list->capacity, list->count + 1,
			     sizeof(*list->items))) {
		free(item.name);
		free(item.detail);
		return -ENOMEM;
	}
	list->items[list->count++] = item;
	return 0;
}

static void free_item(struct mw_stock_item *item)
{
	free(item->name);
	free(item->detail);
}

void mw_inventory__free(struct mw_inventory *inventory)
{
	for (size_t i = 0; i < MW_STOCKS; i++) {
		struct mw_stock_list *list = &inventory->lists[i];

		for (size_t k = 0; k < list->count; k++)
			free_item(&list->items[k]);
		free(list->items);
	}
	memset(inventory, 0, sizeof(*inventory));
}

static int compare(const struct mw_stock_item *x, const struct mw_stock_item *y)
{
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->detail, y->detail);
}

static int by_name(const void *a, const void *b)
{
	return compare(a, b);
}

/* In order, and what goes by one name and detail as one. */
static void put_in_order(struct mw_stock_list *list)
{
	size_t n = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_name);
	for (size_t i = 0; i < list->count; i++) {
		struct mw_stock_item *last = n ? &list->items[n - 1] : NULL;

		if (!last || compare(last, &list->items[i])) {
			list->items[n++] = list->items[i];
			continue;
		}
		last->addr = 0;
		last->count += list->items[i].count;
		last->bytes += list->items[i].bytes;
		free_item(&list->items[i]);
	}
	list->count = n;
}

/*
 * ---- differences --------------------------------------------------------------------------------
 */

int64_t mw_diff_bytes(const struct mw_diff_row *row)
{
	return (int64_t)(row->after.bytes - row->before.bytes);
}

int64_t mw_diff_count(const struct mw_diff_row *row)
{
	return (int64_t)(row->after.count - row->before.count);
}

static uint64_t size_of(int64_t change)
{
	return change < 0 ? 0 - (uint64_t)change : (uint64_t)change;
}

static int by_change(const void *a, const void *b)
{
	const struct mw_diff_row *x = a, *y = b;
	uint64_t p = size_of(mw_diff_bytes(x)), q = size_of(mw_diff_bytes(y));

	if (p != q)
		return p < q ? 1 : -1;
	p = size_of(mw_diff_count(x));
	q = size_of(mw_diff_count(y));
	if (p != q)
		return p < q ? 1 : -1;
	return strcmp(x->name, y->name);
}

static struct mw_diff_numbers numbers(const struct mw_stock_item *item)
{
	return (struct mw_diff_numbers){item->count, item->bytes, true};
}

/* A row for what only one of the inventories has. */
static struct mw_diff_row one_sided(const struct mw_diff *diff, enum mw_stock stock,
				    const struct mw_stock_item *item, bool is_after)
{
	struct mw_diff_row row = {.name = item->name, .detail = item->detail};

	row.before.known = !diff->before->lists[stock].capped;
	row.after.known = !diff->after->lists[stock].capped;
	*(is_after ? &row.after : &row.before) = numbers(item);
	return row;
}

/* What is there before but not after under its name, and the other way round. */
struct rest {
	const struct mw_stock_item **items;
	size_t count;
};

static int by_address(const void *a, const void *b)
{
	const struct mw_stock_item *const *x = a, *const *y = b;

	return (*x)->addr < (*y)->addr ? -1 : (*x)->addr > (*y)->addr;
}

static void add_row(struct mw_diff_list *list, struct mw_diff_row row)
{
	if (mw_diff_bytes(&row) || mw_diff_count(&row) || !row.before.known || !row.after.known)
		list->rows[list->count++] = row;
}

/* The rest by address, where that says something. */
static void match_rest(const struct mw_diff *diff, enum mw_stock stock, struct mw_diff_list *list,
		       struct rest *before, struct rest *after)
{
	size_t i = 0, k = 0;

	if (before->count)
		qsort(before->items, before->count, sizeof(void *), by_address);
	if (after->count)
		qsort(after->items, after->count, sizeof(void *), by_address);
	while (i < before->count || k < after->count) {
		const struct mw_stock_item *b = i < before->count ? before->items[i] : NULL,
					   *a = k < after->count ? after->items[k] : NULL;

		if (a && b && a->addr == b->addr && a->addr && diff->same_process &&
		    !strcmp(a->detail, b->detail)) {
			add_row(list,
				(struct mw_diff_row){a->name, a->detail, numbers(b), numbers(a)});
			i++;
			k++;
		} else if (b && (!a || b->addr <= a->addr)) {
			add_row(list, one_sided(diff, stock, b, false));
			i++;
		} else if (a) {
			add_row(list, one_sided(diff, stock, a, true));
			k++;
		}
	}
}

static int compare_lists(struct mw_diff *diff, enum mw_stock stock)
{
	const struct mw_stock_list *b = &diff->before->lists[stock],
				   *a = &diff->after->lists[stock];
	struct mw_diff_list *list = &diff->lists[stock];
	struct rest before = {calloc(b->count + 1, sizeof(void *)), 0},
		    after = {calloc(a->count + 1, sizeof(void *)), 0};
	int ret = -ENOMEM;

	list->rows = malloc((b->count + a->count + 1) * sizeof(*list->rows));
	if (list->rows && before.items && after.items) {
		for (size_t i = 0, k = 0; i < b->count || k < a->count;) {
			int order = i == b->count   ? 1
				    : k == a->count ? -1
						    : compare(&b->items[i], &a->items[k]);

			if (!order)
				add_row(list,
					(struct mw_diff_row){a->items[k].name, a->items[k].detail,
							     numbers(&b->items[i]),
							     numbers(&a->items[k])});
			else if (order < 0)
				before.items[before.count++] = &b->items[i];
			else
				after.items[after.count++] = &a->items[k];
			i += order <= 0;
			k += order >= 0;
		}
		match_rest(diff, stock, list, &before, &after);
		if (list->count)
			qsort(list->rows, list->count, sizeof(*list->rows), by_change);
		ret = 0;
	}
	free(before.items);
	free(after.items);
	return ret;
}

int mw_diff__make(struct mw_diff *diff, struct mw_inventory *before, struct mw_inventory *after)
{
	int ret = 0;

	*diff = (struct mw_diff){.before = before, .after = after};
	diff->other_program = before->build_id[0] && after->build_id[0] &&
			      strcmp(before->build_id, after->build_id) != 0;
	diff->same_process = !diff->other_program && before->places[0];
	for (size_t i = 0; i < MW_INVENTORY_PLACES; i++) {
		if (before->places[i] != after->places[i])
			diff->same_process = false;
	}
	for (size_t i = 0; i < MW_STOCKS && !ret; i++) {
		put_in_order(&before->lists[i]);
		put_in_order(&after->lists[i]);
		ret = compare_lists(diff, (enum mw_stock)i);
	}
	return ret;
}

void mw_diff__free(struct mw_diff *diff)
{
	for (size_t i = 0; i < MW_STOCKS; i++)
		free(diff->lists[i].rows);
	memset(diff, 0, sizeof(*diff));
}

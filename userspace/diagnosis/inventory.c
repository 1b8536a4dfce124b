// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/inventory.h"
#include "graph/holders.h"
#include "util/array.h"

enum { PAGE = 4096 };

/* Of one kind, a container or a holder, before it has a name. */
struct thing {
	uint32_t number; /* of the block, or a special holder's */
	uint64_t addr;
	int32_t type;
	uint64_t count, bytes;
	uint64_t rank;
};

struct things {
	struct thing *list;
	size_t count, capacity;
};

struct taking {
	struct mw_inventory *inventory;
	struct mw_python *py;
	struct mw_graph *graph;
	struct mw_holders *holders;
	struct mw_diff_numbers *held; /* by holder */
	struct things containers, owners;
};

static int add_thing(struct things *things, const struct thing *thing)
{
	if (mw_array_reserve(&things->list, &things->capacity, things->count + 1,
			     sizeof(*things->list)))
		return -ENOMEM;
	things->list[things->count++] = *thing;
	return 0;
}

static int by_rank(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Keep those of the highest rank; true: there were more. */
static bool keep_largest(struct things *things)
{
	bool more = things->count > MW_INVENTORY_MAX;

	if (things->count)
		qsort(things->list, things->count, sizeof(*things->list), by_rank);
	if (more)
		things->count = MW_INVENTORY_MAX;
	return more;
}

static int see_container(void *arg, const struct mw_py_container *c)
{
	struct taking *t = arg;
	int64_t number = mw_python__number(t->py, c->addr);
	struct mw_retained retained = {0};
	struct thing thing = {.addr = c->addr, .type = c->type, .count = c->length};

	if (number < 0 || !mw_holders__is_container(t->holders, (uint32_t)number))
		return 0;
	mw_graph__retained(t->graph, c->addr, &retained);
	thing.number = (uint32_t)number;
	thing.rank = c->length;
	thing.bytes = retained.bytes;
	return add_thing(&t->containers, &thing);
}

static int see_node(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct taking *t = arg;
	struct mw_diff_numbers *held = &t->held[mw_holders__of(t->holders, number)];

	held->count += node->object != 0;
	held->bytes += node->bytes;
	return 0;
}

static int list_holders(struct taking *t)
{
	size_t all = (size_t)mw_holders__special(t->holders) + MW_HOLDER_KINDS;
	int ret;

	t->held = calloc(all, sizeof(*t->held));
	ret = t->held ? mw_python__each_node(t->py, false, see_node, t) : -ENOMEM;
	for (size_t i = 0; i < all && !ret; i++) {
		struct thing thing = {.number = (uint32_t)i,
				      .type = -1,
				      .count = t->held[i].count,
				      .bytes = t->held[i].bytes,
				      .rank = t->held[i].bytes};
		struct mw_py_node node;

		if (!t->held[i].bytes)
			continue;
		if (i < mw_holders__special(t->holders) &&
		    mw_python__node(t->py, (uint32_t)i, &node)) {
			thing.addr = node.object ? node.object : node.start;
			thing.type = node.object ? node.type : -1;
		}
		ret = add_thing(&t->owners, &thing);
	}
	return ret;
}

static int put_things(struct taking *t, enum mw_stock stock, struct things *things, char *way)
{
	int ret = 0;

	for (size_t i = 0; i < things->count && !ret; i++) {
		const struct thing *thing = &things->list[i];
		char type[160] = "";

		if (thing->type >= 0)
			mw_python_type_name(mw_python__type(t->py, thing->type), type,
					    sizeof(type));
		mw_holders__text(t->holders, thing->number, way, MW_GRAPH_TEXT_MAX);
		ret = mw_inventory__add(t->inventory, stock, way, type, thing->addr, thing->count,
					thing->bytes);
	}
	return ret;
}

/* Give names to all that were chosen. */
static int name_things(struct taking *t)
{
	size_t count = t->containers.count + t->owners.count, n = 0;
	uint64_t *addrs = malloc((count + 1) * sizeof(*addrs));
	char *way = malloc(MW_GRAPH_TEXT_MAX);
	int ret = addrs && way ? 0 : -ENOMEM;

	for (size_t i = 0; i < t->containers.count && !ret; i++)
		addrs[n++] = t->containers.list[i].addr;
	for (size_t i = 0; i < t->owners.count && !ret; i++)
		addrs[n++] = t->owners.list[i].addr;
	if (!ret)
		ret = mw_graph__explain(t->graph, addrs, n);
	if (!ret)
		ret = put_things(t, MW_STOCK_CONTAINERS, &t->containers, way);
	if (!ret)
		ret = put_things(t, MW_STOCK_HELD, &t->owners, way);
	free(addrs);
	free(way);
	return ret;
}

static int take_references(struct taking *t, struct mw_err *err)
{
	const char *name = t->inventory->name;
	int ret;

	t->holders = mw_holders__find(t->graph, false, err);
	if (!t->holders)
		return -ENOMEM;
	ret = mw_graph__dominate(t->graph, err);
	if (ret)
		return ret;
	if (mw_python__each_container(t->py, see_container, t) || list_holders(t))
		return mw_err_no_memory(err, name);
	t->inventory->lists[MW_STOCK_CONTAINERS].capped = keep_largest(&t->containers);
	t->inventory->lists[MW_STOCK_HELD].capped = keep_largest(&t->owners);
	return name_things(t) ? mw_err_no_memory(err, name) : 0;
}

static int take_types(struct mw_inventory *inventory, const struct mw_py_census *census)
{
	int ret = 0;

	for (size_t i = 0; i < census->type_count && !ret; i++) {
		const struct mw_py_type *type = &census->types[i];

		if (type->count)
			ret = mw_inventory__add(inventory, MW_STOCK_TYPES, type->name, type->module,
						0, type->count, type->bytes);
	}
	return ret;
}

static int take_python(struct mw_inventory *inventory, struct mw_survey *survey, struct mw_err *err)
{
	struct taking t = {.inventory = inventory, .py = mw_survey__python(survey, NULL)};
	struct mw_py_census census;
	int ret;

	if (!t.py || !mw_python__info(t.py)->layout)
		return 0;
	ret = mw_survey__census(survey, &census, err);
	if (ret)
		return ret == -ENODATA ? 0 : ret;
	inventory->python = true;
	if (take_types(inventory, &census))
		return mw_err_no_memory(err, inventory->name);
	t.graph = mw_graph__build(survey->image, t.py, err);
	ret = t.graph ? take_references(&t, err) : -errno;
	free(t.held);
	free(t.containers.list);
	free(t.owners.list);
	mw_holders__free(t.holders);
	mw_graph__free(t.graph);
	return ret;
}

/* Which program and which process it is. */
static void identify(struct mw_inventory *inventory, struct mw_image *image)
{
	uint64_t headers = mw_image__auxv(image, AT_PHDR);

	snprintf(inventory->name, sizeof(inventory->name), "%s", mw_image__name(image));
	if (headers)
		mw_image__build_id(image, headers & ~(uint64_t)(PAGE - 1), inventory->build_id,
				   sizeof(inventory->build_id));
	inventory->places[0] = headers;
	inventory->places[1] = mw_image__auxv(image, AT_RANDOM);
	inventory->places[2] = mw_image__auxv(image, AT_SYSINFO_EHDR);
}

int mw_inventory__take(struct mw_inventory *inventory, struct mw_survey *survey, struct mw_err *err)
{
	struct mw_ledger ledger = {0};
	int ret;

	memset(inventory, 0, sizeof(*inventory));
	identify(inventory, survey->image);
	ret = mw_survey__ledger(survey, &ledger, err);
	inventory->resident = ledger.resident;
	for (size_t i = 0; i < ledger.count && !ret; i++) {
		const struct mw_ledger_entry *e = &ledger.entries[i];

		if (mw_inventory__add(inventory, MW_STOCK_OWNERS, e->owner, "", 0, e->count,
				      e->resident))
			ret = mw_err_no_memory(err, inventory->name);
	}
	mw_ledger__free(&ledger);
	return ret ? ret : take_python(inventory, survey, err);
}

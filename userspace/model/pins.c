// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/pins.h"
#include "util/array.h"

const char *mw_place_kind_name(enum mw_place_kind kind)
{
	static const char *const names[] = {
		[MW_PLACE_ARENA] = "arena", [MW_PLACE_PAGE] = "page", [MW_PLACE_TOP] = "top",
		[MW_PLACE_HEAP] = "heap",   [MW_PLACE_SPAN] = "span",
	};

	return names[kind];
}

/*
 * ---- places -------------------------------------------------------------------------------------
 */

void mw_places__free(struct mw_places *places)
{
	free(places->places);
	free(places->pins);
	memset(places, 0, sizeof(*places));
}

int mw_places__begin(struct mw_places *places, enum mw_place_kind kind, const char *maker,
		     uint64_t addr)
{
	if (mw_array_reserve(&places->places, &places->capacity, places->count + 1,
			     sizeof(*places->places)))
		return -ENOMEM;
	places->places[places->count++] = (struct mw_place){
		.kind = kind, .maker = maker, .addr = addr, .first = places->pin_count};
	return 0;
}

void mw_places__end(struct mw_places *places, uint64_t resident)
{
	struct mw_place *place = &places->places[places->count - 1];
	uint64_t used = 0;

	for (size_t i = place->first; i < place->first + place->count; i++)
		used += places->pins[i].bytes;
	place->bytes = resident;
	place->free_bytes = resident > used ? resident - used : 0;
	if (place->count && place->free_bytes && place->free_bytes >= resident - resident / 2)
		return;
	if (place->count) {
		places->well_used++;
		places->well_used_bytes += resident;
		places->well_used_free += place->free_bytes;
	}
	places->pin_count = place->first;
	places->count--;
}

int mw_places__add(struct mw_places *places, const struct mw_pin *pin)
{
	if (mw_array_reserve(&places->pins, &places->pin_capacity, places->pin_count + 1,
			     sizeof(*places->pins)))
		return -ENOMEM;
	places->pins[places->pin_count] = *pin;
	places->pins[places->pin_count].item = (uint32_t)places->pin_count;
	places->pin_count++;
	places->places[places->count - 1].count++;
	return 0;
}

static int by_worth(const void *a, const void *b)
{
	const struct mw_place *x = a, *y = b;
	double p = (double)x->bytes / (double)x->count, q = (double)y->bytes / (double)y->count;

	if (p != q)
		return p < q ? 1 : -1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void mw_places__sort(struct mw_places *places)
{
	if (places->count)
		qsort(places->places, places->count, sizeof(*places->places), by_worth);
}

/*
 * ---- the end of a heap --------------------------------------------------------------------------
 */

void mw_tail__free_block(struct mw_tail *tail, uint64_t addr, uint64_t bytes)
{
	if (!tail->gap)
		tail->gap_start = addr;
	tail->gap += bytes;
}

/*
 * The blocks that end with the present one and are worth most: once those before it bring less than
 * their pages, it is better to begin with it.
 */
int mw_tail__used_block(struct mw_tail *tail, const struct mw_pin *pin, uint64_t start,
			uint64_t resident)
{
	if (tail->worth < 0 || !tail->count || tail->count == MW_TAIL_MAX) {
		tail->count = 0;
		tail->worth = 0;
		tail->bytes = tail->free_bytes = 0;
		tail->start = tail->gap ? tail->gap_start : start;
	}
	if (mw_array_reserve(&tail->list, &tail->capacity, tail->count + 1, sizeof(*tail->list)))
		return -ENOMEM;
	tail->list[tail->count] = *pin;
	tail->list[tail->count++].gives = tail->gap + resident;
	tail->bytes += tail->gap + resident;
	tail->free_bytes += tail->gap;
	tail->worth += (int64_t)(tail->gap + resident) - MW_TAIL_PAGE;
	tail->gap = 0;
	return 0;
}

void mw_tail__clear(struct mw_tail *tail)
{
	tail->count = 0;
	tail->worth = 0;
	tail->start = tail->bytes = tail->free_bytes = tail->gap = 0;
}

void mw_tail__done(struct mw_tail *tail)
{
	free(tail->list);
	memset(tail, 0, sizeof(*tail));
}

/*
 * ---- groups -------------------------------------------------------------------------------------
 */

enum { LOTS = UINT32_MAX }; /* as the first holder of a key: more than fit */

/* The holders of one place, in ascending order. */
struct key {
	uint32_t holders[MW_PIN_PARTS];
	uint32_t count;
	uint32_t place;
};

struct one {
	uint32_t group, holder, item;
	int32_t type;
};

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Insert HOLDER, unless it is there or too many are. */
static void add_holder(struct key *key, uint32_t holder)
{
	for (uint32_t i = 0; i < key->count && i < MW_PIN_PARTS; i++) {
		if (key->holders[i] == holder)
			return;
	}
	if (key->count < MW_PIN_PARTS)
		key->holders[key->count] = holder;
	key->count++;
}

static void set_key(struct key *key, const struct mw_places *places, uint32_t place)
{
	const struct mw_place *p = &places->places[place];

	memset(key, 0, sizeof(*key));
	key->place = place;
	for (size_t i = p->first - p->after; i < p->first + p->count && key->count <= MW_PIN_PARTS;
	     i++)
		add_holder(key, places->pins[i].holder);
	if (key->count > MW_PIN_PARTS)
		*key = (struct key){.holders = {LOTS}, .count = MW_PIN_PARTS + 1, .place = place};
	else
		qsort(key->holders, key->count, sizeof(*key->holders), by_number);
}

/* Cut a place, the end of a heap, where a holder comes that none of the pins before has. */
static int cut(struct mw_places *places, size_t place)
{
	struct key key = {0};
	size_t first = places->places[place].first, end = first + places->places[place].count;
	struct mw_place *p = &places->places[place];

	p->bytes = p->free_bytes = p->count = 0;
	for (size_t i = first; i < end; i++) {
		const struct mw_pin *pin = &places->pins[i];
		uint32_t holders = key.count;

		if (key.count <= MW_PIN_PARTS)
			add_holder(&key, pin->holder);
		if (i > first && key.count > holders) {
			struct mw_place next = *p;

			next.first = i;
			next.after = i - first;
			next.bytes = next.free_bytes = next.count = 0;
			p->addr = pin->addr + pin->bytes;
			if (mw_array_reserve(&places->places, &places->capacity, places->count + 1,
					     sizeof(*places->places)))
				return -ENOMEM;
			places->places[places->count++] = next;
			p = &places->places[places->count - 1];
		}
		p->count++;
		p->bytes += pin->gives;
		p->free_bytes += pin->gives > pin->bytes ? pin->gives - pin->bytes : 0;
	}
	return 0;
}

int mw_places__cut(struct mw_places *places)
{
	size_t count = places->count;
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		enum mw_place_kind kind = places->places[i].kind;

		if (kind == MW_PLACE_TOP || kind == MW_PLACE_HEAP)
			ret = cut(places, i);
	}
	return ret;
}

static int compare_keys(const struct key *x, const struct key *y)
{
	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return memcmp(x->holders, y->holders, sizeof(x->holders));
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = compare_keys(x, y);

	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int by_group(const void *a, const void *b)
{
	const struct one *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->holder != y->holder)
		return x->holder < y->holder ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

static int by_bytes(const void *a, const void *b)
{
	const struct mw_pin_group *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->objects < y->objects ? -1 : x->objects > y->objects;
}

/* OBJECTS of one type and one holder are in GROUP. */
static void add_objects(struct mw_pin_group *group, const struct one *of, bool new_holder,
			uint64_t objects, uint32_t *part)
{
	group->holders += new_holder;
	group->objects += objects;
	if (group->part_count == 0)
		return;
	if (new_holder)
		*part = (uint32_t)group->holders - 1;
	group->parts[*part].holder = of->holder;
	group->parts[*part].objects += objects;
	if (objects > group->parts[*part].of_type) {
		group->parts[*part].of_type = objects;
		group->parts[*part].type = of->type;
	}
}

/* Items of ALL, which is sorted, each counted once for its group. */
static void count_objects(struct mw_pin_group *groups, const struct one *all, size_t count)
{
	uint32_t part = 0;

	for (size_t i = 0; i < count;) {
		size_t from = i;
		uint64_t objects = 0;

		for (; i < count && all[i].group == all[from].group &&
		       all[i].holder == all[from].holder && all[i].type == all[from].type;
		     i++)
			objects += i == from || all[i].item != all[i - 1].item;
		add_objects(&groups[all[from].group], &all[from],
			    !from || all[from - 1].group != all[from].group ||
				    all[from - 1].holder != all[from].holder,
			    objects, &part);
	}
}

static int by_objects(const void *a, const void *b)
{
	const struct mw_pin_part *x = a, *y = b;

	return x->objects < y->objects ? 1 : x->objects > y->objects ? -1 : 0;
}

static size_t count_ones(const struct mw_places *places)
{
	size_t n = 0;

	for (size_t i = 0; i < places->count; i++)
		n += places->places[i].after + places->places[i].count;
	return n;
}

/* Number the keys' groups, and list the pins with them. Returns the number of groups. */
static size_t number_groups(const struct mw_places *places, const struct key *keys,
			    struct mw_pin_group *groups, struct one *all)
{
	size_t n = 0, out = 0;

	for (size_t i = 0; i < places->count; i++) {
		const struct mw_place *p = &places->places[keys[i].place];

		if (!i || compare_keys(&keys[i - 1], &keys[i]))
			groups[n++] = (struct mw_pin_group){
				.part_count = keys[i].count > MW_PIN_PARTS ? 0 : keys[i].count};
		groups[n - 1].places++;
		groups[n - 1].after |= p->after != 0;
		groups[n - 1].bytes += p->bytes;
		for (size_t k = p->first - p->after; k < p->first + p->count; k++) {
			const struct mw_pin *pin = &places->pins[k];

			all[out++] =
				(struct one){(uint32_t)n - 1, pin->holder, pin->item, pin->type};
		}
	}
	return n;
}

int mw_places__groups(const struct mw_places *places, struct mw_pin_group **groups, size_t *count)
{
	struct key *keys = malloc((places->count + 1) * sizeof(*keys));
	size_t all_count = count_ones(places);
	struct one *all = malloc((all_count + 1) * sizeof(*all));

	*groups = malloc((places->count + 1) * sizeof(**groups));
	*count = 0;
	if (!keys || !all || !*groups) {
		free(keys);
		free(all);
		free(*groups);
		*groups = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < places->count; i++)
		set_key(&keys[i], places, (uint32_t)i);
	if (places->count)
		qsort(keys, places->count, sizeof(*keys), by_key);
	*count = number_groups(places, keys, *groups, all);
	if (all_count)
		qsort(all, all_count, sizeof(*all), by_group);
	count_objects(*groups, all, all_count);
	for (size_t i = 0; i < *count; i++)
		qsort((*groups)[i].parts, (*groups)[i].part_count, sizeof(struct mw_pin_part),
		      by_objects);
	if (*count)
		qsort(*groups, *count, sizeof(**groups), by_bytes);
	free(keys);
	free(all);
	return 0;
}

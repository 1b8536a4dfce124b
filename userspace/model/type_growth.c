// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/type_growth.h"
#include "util/array.h"

/* Survivors behind what is said of a line, and seconds between two looks. */
static const double SAMPLES_MIN = 8, SECONDS_MIN = 10;

/* Objects of a type that all lines are known to keep. */
struct kept {
	const struct mw_type_name *type;
	double count;
};

struct limits {
	const struct mw_look_growth *growth;
	struct kept *kept;
	size_t count, capacity;
};

/* NULL: of many types only those that grow most are listed. */
static const struct mw_grown_type *find_type(const struct mw_look_growth *growth,
					     const struct mw_type_name *type)
{
	for (size_t i = 0; i < growth->type_count; i++) {
		const struct mw_grown_type *t = &growth->types[i];

		if (!strcmp(t->name, type->name) && !strcmp(t->module, type->module))
			return t;
	}
	return NULL;
}

/* Objects a second that TYPE grows by. */
static double rate_of(const struct mw_look_growth *growth, const struct mw_type_name *type)
{
	const struct mw_grown_type *t = find_type(growth, type);

	if (t)
		return fmax(t->count_per_second, 0);
	return growth->type_count < MW_GROWN_TYPES ? 0 : INFINITY;
}

/* Objects of TYPE that there are. */
static double there_are(const struct mw_look_growth *growth, const struct mw_type_name *type)
{
	const struct mw_grown_type *t = find_type(growth, type);

	return t && t->now ? (double)t->now : INFINITY;
}

static double kept_of(const struct limits *limits, const struct mw_type_name *type)
{
	for (size_t i = 0; i < limits->count; i++) {
		if (limits->kept[i].type == type)
			return limits->kept[i].count;
	}
	return 0;
}

static int add_kept(struct limits *limits, const struct mw_type_count *c)
{
	for (size_t i = 0; i < limits->count; i++) {
		if (limits->kept[i].type == c->type) {
			limits->kept[i].count += c->count;
			return 0;
		}
	}
	if (mw_array_reserve(&limits->kept, &limits->capacity, limits->count + 1,
			     sizeof(*limits->kept)))
		return -1;
	limits->kept[limits->count++] = (struct kept){c->type, c->count};
	return 0;
}

/* Before any of it is lowered. */
static int add_up(struct limits *limits, const struct mw_sites *sites, uint32_t target)
{
	for (size_t i = 0; i < mw_sites__count(sites); i++) {
		const struct mw_site_stats *site = mw_sites__at(sites, i);

		for (size_t k = 0; site->target == target && k < site->types.count; k++) {
			if (add_kept(limits, &site->types.list[k]))
				return -1;
		}
	}
	return 0;
}

/* What the types of SITE say of it; BYTES: of what is kept. */
struct said {
	double samples, bytes;
	double part, most; /* bytes a second */
	double there;	   /* of BYTES, at the most: so many objects are there */
};

static struct said ask_types(const struct limits *limits, const struct mw_site_stats *site)
{
	struct said said = {0};

	for (size_t i = 0; i < site->types.count; i++) {
		const struct mw_type_count *c = &site->types.list[i];
		double rate = rate_of(limits->growth, c->type), all;

		if (!(c->count > 0))
			continue;
		all = fmax(kept_of(limits, c->type), c->count);
		said.samples += c->samples;
		said.bytes += c->bytes;
		said.most += rate * c->bytes / c->count;
		said.part += rate * c->bytes / all;
		said.there += c->bytes * fmin(there_are(limits->growth, c->type) / all, 1);
	}
	return said;
}

/*
 * Windows say more than there is: of what is told of the line so much does not exist. What was
 * asked for is the sum of what became of it.
 */
static void limit_kept(const struct said *said, struct mw_site_stats *site)
{
	struct mw_site_totals *const both[] = {&site->totals, &site->interval};
	double typed = said->there / said->bytes;
	double less = fmin(said->bytes / site->totals.kept_bytes, 1) * (1 - typed);

	for (size_t i = 0; i < MW_ARRAY_SIZE(both); i++) {
		both[i]->allocs -= less * both[i]->kept;
		both[i]->alloc_bytes -= less * both[i]->kept_bytes;
		both[i]->kept *= 1 - less;
		both[i]->kept_bytes *= 1 - less;
	}
	for (size_t i = 0; i < site->types.count; i++) {
		site->types.list[i].count *= typed;
		site->types.list[i].bytes *= typed;
	}
}

static void limit(const struct limits *limits, struct mw_site_stats *site)
{
	struct mw_site_totals *t = &site->totals;
	struct said said = ask_types(limits, site);
	double untyped, factor;

	if (said.samples < SAMPLES_MIN || !(t->grows > 0) || !(t->kept_bytes > 0))
		return;
	untyped = fmax(1 - said.bytes / t->kept_bytes, 0);
	factor = fmin(said.part / t->grows + untyped, 1);
	t->grows_most = fmin(t->grows_most, said.most + untyped * t->grows_most);
	t->grows *= factor;
	t->goes_on *= factor;
	t->ends *= factor;
	if (site->flags & MW_SITE_WINDOWS && said.there < said.bytes)
		limit_kept(&said, site);
}

void mw_type_growth__limit(struct mw_sites *sites, uint32_t target,
			   const struct mw_look_growth *growth)
{
	struct limits limits = {.growth = growth};

	if (growth->seconds < SECONDS_MIN)
		return;
	/* Without memory for it what sizes say has to do. */
	if (add_up(&limits, sites, target))
		goto out;
	for (size_t i = 0; i < mw_sites__count(sites); i++) {
		if (mw_sites__at(sites, i)->target == target)
			limit(&limits, mw_sites__edit(sites, i));
	}
out:
	free(limits.kept);
}

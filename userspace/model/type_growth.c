// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/type_growth.h"

/* Survivors behind what is said of a line, and seconds between two looks. */
static const double SAMPLES_MIN = 8, SECONDS_MIN = 10;

struct limits {
	const struct mw_label_groups *groups;
	const struct mw_look_growth *growth;
};

/* Objects a second that TYPE grows by; of many types only those that grow most are listed. */
static double rate_of(const struct mw_look_growth *growth, const struct mw_type_name *type)
{
	for (size_t i = 0; i < growth->type_count; i++) {
		const struct mw_grown_type *t = &growth->types[i];

		if (!strcmp(t->name, type->name) && !strcmp(t->module, type->module))
			return fmax(t->count_per_second, 0);
	}
	return growth->type_count < MW_GROWN_TYPES ? 0 : INFINITY;
}

/* Objects of TYPE that all lines are known to keep. */
static double kept_of(const struct mw_label_groups *groups, const struct mw_type_name *type)
{
	double kept = 0;

	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; group->site_count && k < group->total.types.count; k++) {
			const struct mw_type_count *t = &group->total.types.list[k];

			kept += t->type == type ? t->count : 0;
		}
	}
	return kept;
}

static void limit(void *arg, struct mw_site_stats *site)
{
	const struct limits *limits = arg;
	struct mw_site_totals *t = &site->totals;
	double samples = 0, typed = 0, part = 0, most = 0, untyped, factor;

	for (size_t i = 0; i < site->types.count; i++) {
		const struct mw_type_count *c = &site->types.list[i];
		double rate = rate_of(limits->growth, c->type), all;

		if (!(c->count > 0))
			continue;
		all = fmax(kept_of(limits->groups, c->type), c->count);
		samples += c->samples;
		typed += c->bytes;
		most += rate * c->bytes / c->count;
		part += rate * c->bytes / all;
	}
	if (samples < SAMPLES_MIN || !(t->grows > 0) || !(t->kept_bytes > 0))
		return;
	untyped = fmax(1 - typed / t->kept_bytes, 0);
	factor = fmin(part / t->grows + untyped, 1);
	t->grows_most = fmin(t->grows_most, most + untyped * t->grows_most);
	t->grows *= factor;
	t->goes_on *= factor;
	t->ends *= factor;
}

void mw_type_growth__limit(struct mw_label_groups *groups, const struct mw_look_growth *growth)
{
	struct limits limits = {groups, growth};

	if (growth->seconds >= SECONDS_MIN)
		mw_label_groups__each_judged(groups, limit, &limits);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "model/reuse.h"

/* Survivors behind what is said of a line. */
enum { SAMPLES_MIN = 8 };
/* Of what a holder takes in: less than this share was asked for at its own line. */
static const double HERE = 0.5;
/* Of a suspect's bytes, and of a type's growth: what must be explained by holders. */
static const double MOST = 0.7;

static const struct mw_label_group *find_group(const struct mw_label_groups *groups,
					       const char *label)
{
	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		if (group->site_count && !strcmp(group->label, label))
			return group;
	}
	return NULL;
}

static const struct mw_grown_type *find_type(const struct mw_look_growth *growth, const char *name)
{
	for (size_t i = 0; i < growth->type_count; i++) {
		if (!strcmp(growth->types[i].name, name))
			return &growth->types[i];
	}
	return NULL;
}

static enum mw_births births_of(const struct mw_grown_holder *h,
				const struct mw_look_growth *growth,
				const struct mw_label_group *group, double elapsed)
{
	const struct mw_grown_type *type = find_type(growth, h->element);
	double kept = 0, samples = 0;

	for (size_t i = 0; group && i < group->total.types.count; i++) {
		const struct mw_type_count *t = &group->total.types.list[i];

		samples += t->samples;
		if (!strcmp(t->type->name, h->element))
			kept += t->count;
	}
	if (kept >= HERE * h->length_per_second * elapsed)
		return kept > 0 && samples >= SAMPLES_MIN ? MW_BIRTHS_HERE : MW_BIRTHS_UNKNOWN;
	return type && type->parks && samples >= SAMPLES_MIN ? MW_BIRTHS_REUSED : MW_BIRTHS_UNKNOWN;
}

/* A chain has no length of its own: whoever keeps most objects of its type asked for them. */
static void find_asker(struct mw_grown_holder *h, const struct mw_label_groups *groups)
{
	struct mw_grown_changer *asker = &h->changers[0];

	h->changer_count = 0;
	*asker = (struct mw_grown_changer){0};
	for (size_t i = 0; i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		for (size_t k = 0; group->site_count && k < group->total.types.count; k++) {
			const struct mw_type_count *t = &group->total.types.list[k];

			if (strcmp(t->type->name, h->element) != 0 ||
			    t->count <= (double)asker->added)
				continue;
			snprintf(asker->label, sizeof(asker->label), "%s", group->label);
			asker->added = (uint64_t)t->count;
			asker->samples = (uint64_t)t->samples;
			h->changer_count = 1;
		}
	}
	h->births = h->changer_count ? MW_BIRTHS_HERE : MW_BIRTHS_UNKNOWN;
}

void mw_reuse__judge(struct mw_look_growth *growth, const struct mw_label_groups *groups,
		     double elapsed)
{
	for (size_t i = 0; i < growth->holder_count; i++) {
		struct mw_grown_holder *h = &growth->holders[i];

		h->births = MW_BIRTHS_UNKNOWN;
		if (h->chain)
			find_asker(h, groups);
		else if (h->element[0] && h->changer_count && h->changers[0].added)
			h->births = births_of(h, growth, find_group(groups, h->changers[0].label),
					      elapsed);
	}
}

/* Is what TYPE grows by in holders that are filled elsewhere than at LABEL? */
static bool is_held_elsewhere(const struct mw_look_growth *growth, const char *name,
			      const char *label)
{
	const struct mw_grown_type *type = find_type(growth, name);
	double held = 0;

	if (!type || !type->parks)
		return false;
	for (size_t i = 0; i < growth->holder_count; i++) {
		const struct mw_grown_holder *h = &growth->holders[i];

		if (!strcmp(h->element, name) && h->changer_count && h->changers[0].added &&
		    strcmp(h->changers[0].label, label) != 0)
			held += h->length_per_second;
	}
	return held > 0 && held >= MOST * type->count_per_second;
}

static bool is_acquitted(const struct mw_suspect *s, const struct mw_look_growth *growth)
{
	const struct mw_type_counts *types = s->group ? &s->group->total.types : &s->site->types;
	double all = 0, elsewhere = 0;

	if (mw_look_growth__added_at(growth, s->label))
		return false;
	for (size_t i = 0; i < types->count; i++) {
		all += types->list[i].bytes;
		if (is_held_elsewhere(growth, types->list[i].type->name, s->label))
			elsewhere += types->list[i].bytes;
	}
	return all > 0 && elsewhere >= MOST * all;
}

size_t mw_reuse__acquit(struct mw_suspect *suspects, size_t count,
			const struct mw_look_growth *growth)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_acquitted(&suspects[i], growth))
			suspects[left++] = suspects[i];
	}
	return left;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/label_groups.h"
#include "model/labels.h"
#include "util/array.h"
#include "util/u64map.h"

struct sums {
	struct mw_site_stats layers[MW_LABEL_LAYERS], all;
};

struct group {
	struct mw_label_group group; /* what callers see */
	const struct mw_site_stats **sites;
	size_t capacity;
	struct sums *sums; /* where it has had sites of both layers */
	char label[];
};

struct mw_label_groups {
	uint32_t target;
	struct mw_wrappers *wrappers;
	struct group **list; /* each a block of its own: pointers to groups stay valid */
	size_t count, capacity;
	struct mw_u64map by_label; /* by hash, and the next number where two labels share one */
	struct group **of_site;	   /* by the site's place among all sites; NULL: another target's */
	size_t site_count, site_capacity;
	size_t learned_count; /* sites and allocations when wrappers were last looked for */
	double learned_allocs;
};

struct mw_label_groups *mw_label_groups__new(uint32_t target)
{
	struct mw_label_groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->target = target;
	groups->wrappers = mw_wrappers__new();
	if (!groups->wrappers) {
		free(groups);
		return NULL;
	}
	return groups;
}

void mw_label_groups__free(struct mw_label_groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; i < groups->count; i++) {
		free(groups->list[i]->sites);
		free(groups->list[i]->sums);
		free(groups->list[i]);
	}
	free(groups->list);
	free(groups->of_site);
	mw_u64map__free(&groups->by_label);
	mw_wrappers__free(groups->wrappers);
	free(groups);
}

/*
 * ---- membership -------------------------------------------------------------------------------
 */

static uint64_t hash_label(const char *label)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *label; label++)
		hash = (hash ^ (unsigned char)*label) * 0x100000001b3ULL; /* FNV-1a */
	return hash;
}

static struct group *group_of_label(struct mw_label_groups *groups, const char *label)
{
	uint64_t key = hash_label(label);
	size_t len = strlen(label);
	struct group *group;

	for (;; key++) {
		group = mw_u64map__find(&groups->by_label, key);
		if (!group)
			break;
		if (!strcmp(group->label, label))
			return group;
	}
	if (mw_array_reserve(&groups->list, &groups->capacity, groups->count + 1, sizeof(void *)))
		return NULL;
	group = calloc(1, sizeof(*group) + len + 1);
	if (!group || mw_u64map__set(&groups->by_label, key, group)) {
		free(group);
		return NULL;
	}
	memcpy(group->label, label, len + 1);
	group->group.label = group->label;
	groups->list[groups->count++] = group;
	return group;
}

static int put_in_group(struct mw_label_groups *groups, const struct mw_site_stats *site,
			struct group **out)
{
	char label[MW_LABEL_SIZE];
	struct group *group = group_of_label(
		groups, mw_label_format(site, groups->wrappers, label, sizeof(label)));

	if (!group || mw_array_reserve(&group->sites, &group->capacity, group->group.site_count + 1,
				       sizeof(void *)))
		return -ENOMEM;
	group->group.sites = group->sites;
	group->sites[group->group.site_count++] = site;
	*out = group;
	return 0;
}

static void empty_groups(struct mw_label_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		groups->list[i]->group.site_count = 0;
	groups->site_count = 0;
}

/* Look for wrappers anew when there is an eighth more of stacks, or twice the allocations. */
static int learn(struct mw_label_groups *groups, const struct mw_sites *sites)
{
	size_t count = mw_sites__count(sites);
	double allocs = 0;
	int ret;

	for (size_t i = 0; i < count; i++)
		allocs += mw_sites__at(sites, i)->totals.allocs;
	if (count <= groups->learned_count + groups->learned_count / 8 &&
	    allocs < 2 * groups->learned_allocs)
		return 0;
	ret = mw_wrappers__learn(groups->wrappers, sites, groups->target);
	if (ret < 0)
		return ret;
	groups->learned_count = count;
	groups->learned_allocs = allocs;
	if (ret)
		empty_groups(groups);
	return 0;
}

/*
 * ---- sums -------------------------------------------------------------------------------------
 */

static void add_totals(struct mw_site_totals *sum, const struct mw_site_totals *t)
{
	sum->allocs += t->allocs;
	sum->alloc_bytes += t->alloc_bytes;
	sum->frees += t->frees;
	sum->freed_bytes += t->freed_bytes;
	sum->kept += t->kept;
	sum->kept_bytes += t->kept_bytes;
	sum->unknown += t->unknown;
	sum->unknown_bytes += t->unknown_bytes;
	sum->alloc_variance += t->alloc_variance;
	sum->freed_variance += t->freed_variance;
	sum->live_variance += t->live_variance;
	sum->unknown_variance += t->unknown_variance;
	sum->temporaries += t->temporaries;
	sum->lifetime_seconds += t->lifetime_seconds;
	sum->grown_calls += t->grown_calls;
	sum->grown_bytes += t->grown_bytes;
	sum->returned_bytes += t->returned_bytes;
	sum->malloc_bytes += t->malloc_bytes;
	sum->fault_bytes += t->fault_bytes;
	sum->watched_seconds += t->watched_seconds;
	sum->samples += t->samples;
	sum->grows += t->grows;
	sum->goes_on += t->goes_on;
	sum->ends += t->ends;
	sum->resized += t->resized;
	sum->swells += t->swells;
	sum->swells_most = fmax(sum->swells_most, t->swells_most);
	/* They may keep blocks of the same sizes. */
	sum->grows_most = fmax(sum->grows_most, t->grows_most);
}

static void add_point(struct mw_site_point *sum, const struct mw_site_point *p)
{
	sum->allocs += p->allocs;
	sum->alloc_bytes += p->alloc_bytes;
	sum->frees += p->frees;
	sum->freed_bytes += p->freed_bytes;
	sum->held_bytes += p->held_bytes;
	sum->grown_bytes += p->grown_bytes;
	sum->returned_bytes += p->returned_bytes;
	sum->fault_bytes += p->fault_bytes;
	sum->malloc_bytes += p->malloc_bytes;
}

/* Sites have points of the same moments; one that came later has none of those before it came. */
static void add_history(struct mw_site_stats *sum, const struct mw_site_stats *site)
{
	size_t k = 0;

	for (size_t i = 0; i < sum->point_count; i++) {
		while (k < site->point_count && site->points[k].elapsed <= sum->points[i].elapsed)
			k++;
		if (k)
			add_point(&sum->points[i], &site->points[k - 1]);
	}
}

static void add_cohorts(struct mw_site_stats *sum, const struct mw_site_stats *site)
{
	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		struct mw_site_cohort *to = &sum->cohorts[i];
		const struct mw_site_cohort *from = &site->cohorts[i];

		if (!(from->before > 0))
			continue;
		if (from->before > to->before)
			to->before = from->before;
		to->born += from->born;
		to->born_bytes += from->born_bytes;
		to->alive += from->alive;
		to->alive_bytes += from->alive_bytes;
	}
}

/* The totals of SUM are 0 or those of other sites. */
static void add_site(struct mw_site_stats *sum, const struct mw_site_stats *site)
{
	sum->flags |= site->flags;
	add_totals(&sum->totals, &site->totals);
	add_totals(&sum->interval, &site->interval);
	add_history(sum, site);
	add_cohorts(sum, site);
	mw_generations__add(&sum->generations, &site->generations);
	mw_type_counts__add_all(&sum->types, &site->types);
	if (site->first_seen >= 0 && (sum->first_seen < 0 || site->first_seen < sum->first_seen))
		sum->first_seen = site->first_seen;
	if (site->last_seen > sum->last_seen)
		sum->last_seen = site->last_seen;
}

/* The sums of the sites of GROUP that have FLAG as WANTED says; 0 for FLAG: of all. */
static void sum_sites(const struct mw_label_group *group, uint32_t flag, uint32_t wanted,
		      struct mw_site_stats *sum)
{
	const struct mw_site_stats *first = NULL, *longest = NULL;

	memset(sum, 0, sizeof(*sum));
	for (size_t i = 0; i < group->site_count; i++) {
		const struct mw_site_stats *site = group->sites[i];

		if ((site->flags & flag) != wanted)
			continue;
		first = first ? first : site;
		if (!longest || site->point_count > longest->point_count)
			longest = site;
	}
	if (!first)
		return;
	sum->id = first->id;
	sum->target = first->target;
	sum->frames = first->frames;
	sum->frame_count = first->frame_count;
	sum->first_seen = sum->last_seen = -1;
	sum->point_count = longest->point_count;
	for (size_t i = 0; i < longest->point_count; i++)
		sum->points[i].elapsed = longest->points[i].elapsed;
	for (size_t i = 0; i < group->site_count; i++) {
		if ((group->sites[i]->flags & flag) == wanted)
			add_site(sum, group->sites[i]);
	}
	mw_type_counts__sort(&sum->types);
}

/* Is LAYER known, as KNOWN says? */
static bool is_known(const struct mw_site_stats *layer, const bool *known, size_t i)
{
	return (!known || known[i]) && !(layer->flags & MW_SITE_UNSCALED);
}

/* What the kernel gave is known of all sites. */
static void copy_given(struct mw_site_totals *to, const struct mw_site_totals *from)
{
	to->grown_calls = from->grown_calls;
	to->grown_bytes = from->grown_bytes;
	to->returned_bytes = from->returned_bytes;
	to->malloc_bytes = from->malloc_bytes;
	to->fault_bytes = from->fault_bytes;
}

/*
 * What people see of SUMS: of two layers of which one is known, only the amounts of that one. But
 * not where looks found that more is kept of the other: a list's table is little beside its
 * elements.
 */
static void leave_out_unknown(const struct sums *sums, const bool *known, struct mw_site_stats *out)
{
	const struct mw_site_stats *of = &sums->all;

	for (size_t i = 0; i < MW_LABEL_LAYERS; i++) {
		if (sums->layers[i].totals.allocs > 0 && is_known(&sums->layers[i], known, i) &&
		    !is_known(&sums->layers[!i], known, !i) &&
		    sums->layers[i].totals.kept_bytes >= sums->layers[!i].totals.kept_bytes)
			of = &sums->layers[i];
	}
	*out = *of;
	out->id = sums->all.id;
	out->frames = sums->all.frames;
	out->frame_count = sums->all.frame_count;
	out->types = sums->all.types;
	copy_given(&out->totals, &sums->all.totals);
	copy_given(&out->interval, &sums->all.interval);
}

static int sum_up(struct group *g, const bool *known)
{
	struct mw_label_group *group = &g->group;
	struct mw_site_stats *layers;
	size_t python = 0;

	for (size_t i = 0; i < group->site_count; i++)
		python += (group->sites[i]->flags & MW_SITE_PYTHON) != 0;
	group->judged[0] = &group->total;
	group->judged_count = group->site_count ? 1 : 0;
	if (!python || python == group->site_count) {
		sum_sites(group, 0, 0, &group->total);
		return 0;
	}
	if (!g->sums)
		g->sums = malloc(sizeof(*g->sums));
	if (!g->sums)
		return -ENOMEM;
	layers = g->sums->layers;
	sum_sites(group, 0, 0, &g->sums->all);
	sum_sites(group, MW_SITE_PYTHON, 0, &layers[0]);
	sum_sites(group, MW_SITE_PYTHON, MW_SITE_PYTHON, &layers[1]);
	leave_out_unknown(g->sums, known, &group->total);
	group->judged[0] = &g->sums->all;
	if ((layers[0].flags ^ layers[1].flags) & MW_SITE_STAY) {
		group->judged[0] = &layers[0];
		group->judged[1] = &layers[1];
		group->judged_count = MW_LABEL_LAYERS;
	}
	return 0;
}

int mw_label_groups__update(struct mw_label_groups *groups, const struct mw_sites *sites,
			    const bool known[MW_LABEL_LAYERS])
{
	size_t count = mw_sites__count(sites);
	int ret = learn(groups, sites);

	if (ret ||
	    mw_array_reserve(&groups->of_site, &groups->site_capacity, count + 1, sizeof(void *)))
		return -ENOMEM;
	for (size_t i = groups->site_count; i < count; i++) {
		const struct mw_site_stats *site = mw_sites__at(sites, i);

		groups->of_site[i] = NULL;
		if (site->target == groups->target &&
		    put_in_group(groups, site, &groups->of_site[i]))
			return -ENOMEM;
		groups->site_count = i + 1;
	}
	for (size_t i = 0; i < groups->count; i++) {
		if (sum_up(groups->list[i], known))
			return -ENOMEM;
	}
	return 0;
}

/*
 * ---- answers ----------------------------------------------------------------------------------
 */

uint32_t mw_label_groups__target(const struct mw_label_groups *groups)
{
	return groups->target;
}

size_t mw_label_groups__count(const struct mw_label_groups *groups)
{
	return groups->count;
}

const struct mw_label_group *mw_label_groups__at(const struct mw_label_groups *groups, size_t i)
{
	return &groups->list[i]->group;
}

const struct mw_label_group *mw_label_groups__of(const struct mw_label_groups *groups,
						 const struct mw_site_stats *site)
{
	size_t i = site->id - 1;

	return i < groups->site_count && groups->of_site[i] ? &groups->of_site[i]->group : NULL;
}

size_t mw_label_groups__top(const struct mw_label_groups *groups, enum mw_site_order order,
			    const struct mw_label_group **out, size_t max)
{
	size_t n = 0;

	/* MAX is small: insertion into the sorted few. Of equals the older group comes first. */
	for (size_t i = 0; i < groups->count && max; i++) {
		const struct mw_label_group *group = &groups->list[i]->group;
		double key = mw_site_key(&group->total, order);
		size_t at;

		if (!(key > 0) || (n == max && key <= mw_site_key(&out[n - 1]->total, order)))
			continue;
		if (n < max)
			n++;
		for (at = n - 1; at && mw_site_key(&out[at - 1]->total, order) < key; at--)
			out[at] = out[at - 1];
		out[at] = group;
	}
	return n;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/cohorts.h"
#include "util/search.h"

static bool is_up_to(const void *at, const void *key)
{
	return ((const struct mw_site_point *)at)->elapsed <= *(const double *)key;
}

/* What SITE has allocated up to END, or up to the last moment before it that its history has. */
static struct mw_site_cohort born_up_to(const struct mw_site_stats *site, double end)
{
	size_t i =
		mw_search(site->points, site->point_count, sizeof(site->points[0]), is_up_to, &end);
	struct mw_site_cohort cohort = {.before = end};
	const struct mw_site_point *p;

	if (i) {
		p = &site->points[i - 1];
		cohort.before = p->elapsed;
		cohort.born = p->allocs;
		cohort.born_bytes = p->alloc_bytes;
	} else if (site->point_count) {
		p = &site->points[0];
		cohort.born = p->allocs * end / p->elapsed;
		cohort.born_bytes = p->alloc_bytes * end / p->elapsed;
	}
	return cohort;
}

void mw_cohorts__begin(struct mw_site_stats *site, double elapsed)
{
	static const double parts[MW_SITE_COHORTS] = {1, 0.5, 0.25};

	for (size_t k = 0; k < MW_SITE_COHORTS; k++)
		site->cohorts[k] = born_up_to(site, parts[k] * elapsed);
}

void mw_cohorts__add_survivor(struct mw_site_stats *site, double born, uint64_t size, double weight)
{
	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		struct mw_site_cohort *c = &site->cohorts[i];

		if (born > c->before)
			continue;
		c->alive += weight;
		c->alive_bytes += weight * (double)size;
	}
}

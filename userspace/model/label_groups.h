/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sites of one target by their labels: stacks that people call by one name are one row, and
 * are judged as one. A group counts like a site whose totals and history are the sums of its
 * sites', so what ranks or judges a site does the same with a group. Pure data.
 */
#ifndef MW_MODEL_LABEL_GROUPS_H
#define MW_MODEL_LABEL_GROUPS_H

#include "model/sites.h"

enum { MW_LABEL_LAYERS = 2 }; /* the C library's allocator, Python's */

struct mw_label_group {
	const char *label; /* clean; as long as the groups live */
	/*
	 * The sums of its layers, but for amounts of one that is not known beside one that is.
	 * Number and frames are those of its oldest site; points are at the times of the site that
	 * has most of them.
	 */
	struct mw_site_stats total;
	/*
	 * What is judged: the sum of all. Where probes stay in in one layer and not in the other,
	 * the sum of each by itself, for what is known exactly is judged otherwise.
	 */
	const struct mw_site_stats *judged[MW_LABEL_LAYERS];
	size_t judged_count;
	const struct mw_site_stats *const *sites; /* oldest first; until the next update */
	size_t site_count;			  /* 0: all its sites have got other labels */
};

struct mw_label_groups; /* opaque */

struct mw_label_groups *mw_label_groups__new(uint32_t target);
void mw_label_groups__free(struct mw_label_groups *groups);

/*
 * After SITES have been read. KNOWN: of each layer, whether enough was seen for amounts to say
 * something; NULL: it was. 0 or -ENOMEM. Labels of native stacks change when it is found which
 * functions are allocation wrappers. Pointers to groups stay valid until the groups are freed;
 * SITES outlive them.
 */
int mw_label_groups__update(struct mw_label_groups *groups, const struct mw_sites *sites,
			    const bool known[MW_LABEL_LAYERS]);

uint32_t mw_label_groups__target(const struct mw_label_groups *groups);
size_t mw_label_groups__count(const struct mw_label_groups *groups);
const struct mw_label_group *mw_label_groups__at(const struct mw_label_groups *groups, size_t i);

/* The group of SITE. NULL: it has come since the last update, or is another target's. */
const struct mw_label_group *mw_label_groups__of(const struct mw_label_groups *groups,
						 const struct mw_site_stats *site);

/* As mw_sites__top(): the up to MAX groups with the largest keys, largest first. */
size_t mw_label_groups__top(const struct mw_label_groups *groups, enum mw_site_order order,
			    const struct mw_label_group **out, size_t max);

#endif

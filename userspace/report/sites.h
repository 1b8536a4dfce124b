/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites for people and for programs: the top ones, their stacks, and which of them look like leaks.
 */
#ifndef MW_REPORT_SITES_H
#define MW_REPORT_SITES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "model/label_groups.h"
#include "model/sites.h"
#include "model/suspects.h"

/* Whose sites, and how to show them. */
struct mw_sites_view {
	const struct mw_sites *sites;
	const struct mw_label_groups *groups; /* of TARGET, with SITES */
	uint32_t target;
	const struct mw_suspect *suspects; /* of TARGET, fastest first */
	const struct mw_suspect *growing;  /* by what the kernel gave; no suspects */
	size_t suspect_count, growing_count;
	enum mw_site_order order; /* what ranks the sites */
	size_t top;		  /* how many */
	bool own_heap;		  /* TARGET has one that no probe reaches */
	bool stacks;		  /* all frames, not only the one that names the site */
	bool interval;	   /* what was allocated in the interval, not since the watch began */
	double walked_ago; /* seconds since the heap was walked; < 0: never */
};

/* Lines of a report, each beginning with two spaces. COLOR: with escape sequences. */
void mw_sites_report__text(FILE *out, const struct mw_sites_view *view, bool color);

/* The frames of SITE, an array, or NULL. */
json_t *mw_site_json_frames(const struct mw_site_stats *site);

/* {"top": [...], "suspects": [...], "growth": [...], …} as a new reference, NULL when there is no
 * memory. */
json_t *mw_sites_report__json(const struct mw_sites_view *view);

const char *mw_site_order_name(enum mw_site_order order);

#endif

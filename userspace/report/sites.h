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
#include "model/looks.h"
#include "model/sites.h"
#include "model/suspects.h"

/* Whose sites, and how to show them. */
struct mw_sites_view {
	const struct mw_sites *sites;
	const struct mw_label_groups *groups; /* of TARGET, with SITES */
	uint32_t target;
	const struct mw_suspect *suspects; /* of TARGET, fastest first */
	const struct mw_suspect *growing;  /* by what the kernel gave; no suspects */
	const struct mw_look_growth
		*looked; /* containers that grow, with the lines that add to them */
	size_t suspect_count, growing_count;
	bool too_little;		/* was seen: amounts of blocks say nothing */
	bool python_too_little;		/* the same of sites of Python's own allocator */
	bool too_fast, python_too_fast; /* for either: the allocator is called too often */
	const struct mw_outlook *outlook;
	size_t windows;		  /* that probes were in for; 0: they stay in */
	double watched;		  /* seconds */
	enum mw_site_order order; /* what ranks the sites */
	size_t top;		  /* how many */
	bool own_heap;		  /* TARGET has one that no probe reaches */
	bool stacks;		  /* all frames, not only the one that names the site */
	bool interval;	   /* what was allocated in the interval, not since the watch began */
	double walked_ago; /* seconds since the heap was walked; < 0: never */
};

/* Lines of a report, each beginning with two spaces. COLOR: with escape sequences. */
void mw_sites_report__text(FILE *out, const struct mw_sites_view *view, bool color);

/* The same in a few lines: sites in one, who grows or is under suspicion in another. */
void mw_sites_report__brief(FILE *out, const struct mw_sites_view *view, bool color);

/*
 * Why too little was seen of malloc's layer, or of PYTHON's: it is called TOO_FAST, or windows were
 * few yet.
 */
const char *mw_sites_report__why_too_little(bool python, bool too_fast);

/* The frames of SITE, an array, or NULL. */
json_t *mw_site_json_frames(const struct mw_site_stats *site);

/* {"top": [...], "suspects": [...], "growth": [...], …} as a new reference, NULL when there is no
 * memory. */
json_t *mw_sites_report__json(const struct mw_sites_view *view);

const char *mw_site_order_name(enum mw_site_order order);

#endif

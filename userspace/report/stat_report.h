/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A watch, interval by interval, for people and for programs: two sinks (watch/watch.h). */
#ifndef MW_REPORT_STAT_REPORT_H
#define MW_REPORT_STAT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "report/sites.h"
#include "watch/watch.h"

/* Where it goes and how it looks; outlives the watch. */
struct mw_stat_report {
	FILE *out;
	enum mw_mode mode;	  /* of the watch */
	enum mw_site_order order; /* what sites are ranked by */
	size_t top;		  /* sites shown */
	bool stacks;		  /* all frames of each */
	/* Text only: */
	bool color;
	bool utf8;    /* block characters for bars, else '#' */
	bool verbose; /* functions, lifetimes */
};

/* Events of one interval that a report shows; further ones are counted. */
enum { MW_STAT_EVENTS = 64 };

/*
 * Both flush after each interval of a target. Their calls fail with -EIO when OUT failed, with
 * -ENOMEM when there is no memory.
 */

/* Blocks of lines; after more than one interval, a last block for each target's whole time. */
struct mw_watch_sink mw_stat_report__text(struct mw_stat_report *report);

/* One JSON object on one line (docs/json.md). */
struct mw_watch_sink mw_stat_report__json(struct mw_stat_report *report);

/* TARGET's sites as both show them. */
static inline struct mw_sites_view mw_stat_report__sites(const struct mw_stat_report *report,
							 const struct mw_watch_target *target)
{
	return (struct mw_sites_view){
		.sites = target->sites,
		.groups = target->groups,
		.target = target->index,
		.suspects = target->suspects,
		.suspect_count = target->suspect_count,
		.order = report->order,
		.top = report->top,
		.stacks = report->stacks,
	};
}

/* How many of the interval's events are shown. MORE: how many are not, dropped ones included. */
static inline size_t mw_stat_report__events(const struct mw_watch_target *target, size_t *more)
{
	size_t n = target->event_count < MW_STAT_EVENTS ? target->event_count : MW_STAT_EVENTS;

	*more = target->event_count - n + target->events_dropped;
	return n;
}

#endif

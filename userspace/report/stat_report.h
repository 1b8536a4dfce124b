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
	/* Text only. Without any of the first three an interval is five lines at most: */
	bool sizes; /* requests by size, where they were placed, what the kernel gave */
	bool sites; /* as a list, one a line */
	bool all;   /* both, events, and what Python's looks show */
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

/*
 * Blocks of lines: memory, what grows, sites, suspects, cost, each where there is something to say;
 * after more than one interval, a last block for each target's whole time.
 */
struct mw_watch_sink mw_stat_report__text(struct mw_stat_report *report);

/* One JSON object on one line (docs/json.md). */
struct mw_watch_sink mw_stat_report__json(struct mw_stat_report *report);

/* TARGET's sites as both show them. */
static inline struct mw_sites_view mw_stat_report__sites(const struct mw_stat_report *report,
							 const struct mw_watch_target *target,
							 bool interval)
{
	const struct mw_sample *now = &target->now;

	return (struct mw_sites_view){
		.sites = target->sites,
		.groups = target->groups,
		.target = target->index,
		.suspects = target->suspects,
		.growing = target->growing,
		.looked = &target->looked.growth,
		.suspect_count = target->suspect_count,
		.outlook = target->groups && report->mode == MW_MODE_EXACT && !now->out_of_reach
				   ? &target->outlook
				   : NULL,
		.windows = target->now.governed && !target->now.always ? target->now.windows : 0,
		.watched = now->elapsed,
		.too_little = !mw_sample__knows(now, false),
		.python_too_little = !mw_sample__knows(now, true),
		.too_fast = now->too_fast,
		.python_too_fast = now->python_too_fast,
		.growing_count = target->growing_count,
		.order = target->now.out_of_reach && report->order != MW_SITES_BY_FAULTS
				 ? MW_SITES_BY_GROWTH
				 : report->order,
		.top = report->top,
		.own_heap = target->now.out_of_reach || target->now.runtime,
		.stacks = report->stacks,
		.interval = interval,
		.walked_ago = now->governed
				      ? now->walked_at >= 0 ? now->elapsed - now->walked_at : -1
			      : report->mode == MW_MODE_EXACT ? 0
							      : -1,
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

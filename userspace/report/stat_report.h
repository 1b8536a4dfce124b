/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One interval of a watch, for people and for programs. Reads models, measures nothing. */
#ifndef MW_REPORT_STAT_REPORT_H
#define MW_REPORT_STAT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "model/sample.h"
#include "report/sites.h"

struct mw_stat_report {
	pid_t pid;
	const char *name; /* clean */
	enum mw_mode mode;
	const struct mw_sample *interval; /* what happened in it */
	const struct mw_sample *total;	  /* since the watch began */
	int64_t rss_change;		  /* bytes, over the interval */
	const struct mw_event *events;	  /* of the interval, oldest first */
	size_t event_count, events_dropped;
	struct mw_sites_view sites; /* its `sites` are NULL when there are none */
};

/* For one of the two below, how to draw. */
struct mw_stat_style {
	bool color;
	bool utf8;    /* block characters for bars, else '#' */
	bool verbose; /* functions, lifetimes */
	bool total;   /* show `total` instead of `interval` */
};

/* 0, or -EIO when OUT failed, or -ENOMEM. */
int mw_stat_report__text(FILE *out, const struct mw_stat_report *report,
			 const struct mw_stat_style *style);

/* One JSON object on one line, flushed (docs/json.md). */
int mw_stat_report__json(FILE *out, const struct mw_stat_report *report);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that recurs as often as its cost allows: reading sites, finding suspects, making ledgers for
 * the screen.
 */
#ifndef MW_WATCH_PACE_H
#define MW_WATCH_PACE_H

#include <stdbool.h>

struct mw_pace {
	double share;	    /* of time that the work may take; 0: it is always due */
	double least, most; /* seconds from the end of one run to the next; MOST 0: no limit */
	double next;	    /* when it is due, seconds of CLOCK_MONOTONIC */
};

static inline bool mw_pace__is_due(const struct mw_pace *pace, double now)
{
	return now >= pace->next;
}

/* A run that took TOOK seconds ended at NOW. */
static inline void mw_pace__ran(struct mw_pace *pace, double now, double took)
{
	double pause = pace->share > 0 ? took / pace->share : 0;

	if (pace->most > 0 && pause > pace->most)
		pause = pace->most;
	pace->next = now + (pause > pace->least ? pause : pace->least);
}

#endif

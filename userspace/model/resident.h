/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a target's processes had resident, over the time of a watch. Pure data. */
#ifndef MW_MODEL_RESIDENT_H
#define MW_MODEL_RESIDENT_H

#include <stddef.h>

#include "model/decline.h"

enum { MW_RESIDENT_POINTS = 64 };
struct mw_resident {
	size_t count, skip, skipped; /* of SKIP moments after each point none becomes one */
	struct {
		double elapsed, bytes; /* seconds since the watch began */
	} points[MW_RESIDENT_POINTS];  /* oldest first; coarser as time goes on */
};

void mw_resident__add(struct mw_resident *resident, double elapsed, double bytes);

/* Bytes a second that have become resident since then; RESIDENT may be NULL: 0. */
double mw_resident__rate(const struct mw_resident *resident, double since);

/* Does it become resident ever more slowly since then? RESIDENT may be NULL. */
struct mw_decline mw_resident__decline(const struct mw_resident *resident, double since);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the probes' cost within a budget. Probes that cost more than it are put in for short
 * windows only, and what they see is scaled to the full time. This says when the next window is due
 * and of which kind it is. Pure logic: no clock, no kernel.
 */
#ifndef MW_TRACE_GOVERNOR_H
#define MW_TRACE_GOVERNOR_H

#include <stddef.h>

#include "model/rates.h"

struct mw_governor {
	double budget;	     /* share of the target's time, 0 to 1 */
	double lost, opened; /* seconds: lost to probes, probes were in */
	double began, next;  /* when the watch began, when the next window is due */
	size_t windows;
};

void mw_governor__begin(struct mw_governor *governor, double budget, double now);

/* Which kind the next window has. */
enum mw_window_kind mw_governor__kind(const struct mw_governor *governor);

/*
 * A window is over, NOW: probes were in for OPEN seconds in all (putting them in and taking them
 * out included), of which LOSS was lost. Sets when the next is due.
 */
void mw_governor__closed(struct mw_governor *governor, double now, double open, double loss);

/* What the windows have cost up to NOW, as a share of the target's time; and how long they were. */
double mw_governor__cost(const struct mw_governor *governor, double now);
double mw_governor__duty(const struct mw_governor *governor, double now);

#endif

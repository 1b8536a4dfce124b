/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the probes' cost within a budget. Probes that cost more than it are put in for short
 * windows only, and what they see is scaled to the full time. Pure logic: no clock, no kernel.
 *
 * Probes slow the target, so a count over a window's time is not the target's rate. Windows are
 * therefore of two kinds, entry (entry probes) and full (with returns and frees), whose costs have
 * a known ratio: from the two rates follows the one without any probe. What the target does between
 * two hits is what matters, so this holds for targets that wait as well as for those that compute.
 */
#ifndef MW_TRACE_GOVERNOR_H
#define MW_TRACE_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>

enum mw_window_kind { MW_WINDOW_ENTRY, MW_WINDOW_FULL, MW_WINDOW_KINDS };

enum { MW_WINDOWS_KEPT = 24 };

/* One window of one target. */
struct mw_window {
	enum mw_window_kind kind;
	double seconds; /* during which was counted */
	double allocs;	/* counted */
	double cost;	/* seconds that its hits cost, as calibrated */
};

struct mw_rates {
	struct mw_window windows[MW_WINDOWS_KEPT]; /* the last ones, in a ring */
	size_t count;				   /* since the beginning */
};

void mw_rates__add(struct mw_rates *rates, const struct mw_window *window);

/*
 * Allocations a second while no probe is in, and ERROR, one relative standard deviation of it (1
 * when there is but one window). 0 without windows.
 */
double mw_rates__undisturbed(const struct mw_rates *rates, double *error);

/*
 * What a window of KIND takes of the target's throughput while it is open, as far as that shows: 0
 * to 1.
 */
double mw_rates__loss(const struct mw_rates *rates, enum mw_window_kind kind);

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

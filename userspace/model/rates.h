/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a target allocates while no probe is in, by windows in which probes were.
 *
 * Probes slow the target, so a count over a window's time is not the target's rate. Windows are
 * therefore of two kinds, entry (entry probes) and full (with returns and frees), whose costs have
 * a known ratio: from the two rates follows the one without any probe. What matters is what the
 * target does between two hits, so this holds for targets that wait as well as for those that
 * compute. Pure arithmetic.
 */
#ifndef MW_MODEL_RATES_H
#define MW_MODEL_RATES_H

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
 * for fewer than four windows). 0 without windows.
 */
double mw_rates__undisturbed(const struct mw_rates *rates, double *error);

/*
 * The share of the target's throughput that a window of KIND takes while it is open, as far as the
 * rates show it: 0 to 1.
 */
double mw_rates__loss(const struct mw_rates *rates, enum mw_window_kind kind);

/*
 * Seconds that an allocation costs with its return and free, programs included, by the full
 * windows; 0 when they have met none.
 */
double mw_rates__full_cost(const struct mw_rates *rates);

#endif

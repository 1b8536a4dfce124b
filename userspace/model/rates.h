/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From short windows with probes to the rate of a target without any: allocations per second of
 * CPU time that the target uses for itself. Pure arithmetic: no clock, no kernel.
 *
 * Two things make that rate worth having. Per second of CPU it hardly depends on how busy the
 * target is, so idle time says nothing and bursts count for what they use. And what probes take of
 * the target is CPU time of the target, too: what a window's hits cost leaves its CPU time before
 * anything is divided by it.
 *
 * What a hit costs is calibrated (probe/calibrate.h), but in a loop of our own, where caches are
 * warm: in a target it was seen to be 1.05 to 1.3 times that, the FACTOR. Windows are of two kinds,
 * with entry probes alone and with all, whose costs differ two- to threefold; as the target's own
 * rate is the same in both, the two tell the factor. Where another tracer has return probes in the
 * same places, hits of entry probes return through the kernel, too: the kinds then seem to differ
 * by much less than calibrated, and what a hit costs is not known.
 */
#ifndef MW_MODEL_RATES_H
#define MW_MODEL_RATES_H

#include <stdbool.h>
#include <stddef.h>

enum mw_window_kind { MW_WINDOW_ENTRY, MW_WINDOW_FULL, MW_WINDOW_KINDS };

enum { MW_WINDOWS_KEPT = 48 };

/* One window of one target. */
struct mw_window {
	enum mw_window_kind kind;
	double cpu;    /* seconds that the target used while it was counted, probes included */
	double allocs; /* counted */
	double cost;   /* seconds that its hits took, as calibrated */
	double gap;    /* seconds of CPU from the end of the window before to its own end */
};

struct mw_rates {
	struct mw_window windows[MW_WINDOWS_KEPT]; /* the last ones, in a ring */
	size_t count;				   /* since the beginning */
};

/* What the windows say together. */
struct mw_rate {
	double per_cpu; /* allocations a second of the target's own CPU time; 0: none seen */
	double least;	/* a bound: no fewer while probes were in; 0: not known */
	double error;	/* one relative standard deviation of it */
	double bias;	/* of ERROR, what all windows have in common: what a hit costs */
	double factor;	/* what a hit costs, by what was calibrated */
	bool enough;	/* false: the error is too large for the rate to say anything */
	bool shared;	/* another tracer's return probes are in the same places */
};

void mw_rates__add(struct mw_rates *rates, const struct mw_window *window);

void mw_rates__estimate(const struct mw_rates *rates, struct mw_rate *rate);

/* Seconds of WINDOW that were the target's own, with FACTOR as estimated; above 0. */
double mw_window__own(const struct mw_window *window, double factor);

/*
 * Of the CPU time that the target uses while probes of KIND are in, the share that they take: 0 to
 * 1, and 1 when no window of either kind has shown it yet.
 */
double mw_rates__loss(const struct mw_rates *rates, enum mw_window_kind kind);

/* Seconds that an allocation, its free included, costs in a full window; 0: none was seen. */
double mw_rates__cost(const struct mw_rates *rates);

#endif

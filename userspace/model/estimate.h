/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target's allocator has done since the watch began, estimated from windows of it. The
 * estimate is the integral of rates over time; the rates are those of the windows so far, of which
 * older ones fade, so that the present counts. Pure arithmetic: the caller has the clock and reads
 * the counters.
 */
#ifndef MW_MODEL_ESTIMATE_H
#define MW_MODEL_ESTIMATE_H

#include <stdbool.h>

#include "bpf/memwhere.h"
#include "model/rates.h"
#include "model/sample.h"

struct mw_estimate {
	struct mw_rates rates;
	double rate, error;				/* mw_rates__undisturbed() of them */
	double weight[MW_WINDOW_KINDS][MW_PROBE_WORDS]; /* counted in windows, faded */
	double seen[MW_WINDOW_KINDS];			/* allocations behind `weight` */
	double words[MW_PROBE_WORDS];			/* since the watch began */
	bool known;					/* some time is in `words` */
};

/* WINDOW has closed, in which the counters went from BEFORE to AFTER. */
void mw_estimate__add_window(struct mw_estimate *estimate, const struct mw_window *window,
			     const struct mw_counts *before, const struct mw_counts *after);

/*
 * SECONDS more have passed at the present rates. Without a rate nothing happens: until `known` is
 * set, the caller's SECONDS go back to the watch's beginning.
 */
void mw_estimate__extend(struct mw_estimate *estimate, double seconds);

/* While every allocation is counted: from BEFORE to AFTER. */
void mw_estimate__add_counts(struct mw_estimate *estimate, const struct mw_counts *before,
			     const struct mw_counts *after);

/* Replace what probes count in SAMPLE by the estimates, with what their errors are made of. */
void mw_estimate__write(const struct mw_estimate *estimate, struct mw_sample *sample);

#endif

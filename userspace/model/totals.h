/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the programs have counted under a stack to the totals of its site. Several stacks are
 * one site, so everything here adds. Pure arithmetic.
 */
#ifndef MW_MODEL_TOTALS_H
#define MW_MODEL_TOTALS_H

#include "bpf/memwhere.h"
#include "model/sites.h"
#include "model/tracked.h"

/* Blocks whose address space is gone: freed, though no free was seen. */
struct mw_purged_blocks {
	uint64_t count, bytes;
	double variance; /* bytes squared */
};

/* A block of SIZE bytes, drawn with PERIOD (0: each is). */
void mw_purged__add(struct mw_purged_blocks *purged, uint64_t size, uint64_t period);

/*
 * Allocations and frees, all of them or (PERIOD not 0) samples: what the counters say NOW, without
 * what they said in BASE, and with PURGED as further frees.
 */
void mw_totals__add_counts(struct mw_site_totals *totals, const struct mw_site_counts *now,
			   const struct mw_site_counts *base, const struct mw_purged_blocks *purged,
			   uint64_t period);

/* Allocations as estimated by windows. FREES_KNOWN: it is known, too, which are still allocated. */
void mw_totals__add_tracked(struct mw_site_totals *totals, const struct mw_tracked_site *tracked,
			    bool frees_known);

/* What the kernel gave and took back. DIRECT: not by way of the C library's allocator. */
void mw_totals__add_growth(struct mw_site_totals *totals, const struct mw_site_counts *now,
			   bool direct);

/*
 * After all have been added: the variance is itself an estimate, low where by chance few samples
 * were drawn, so one more is allowed for. Without it 92 of 100 truths are within two standard
 * deviations.
 */
void mw_totals__widen(struct mw_site_totals *totals, uint64_t period);

#endif

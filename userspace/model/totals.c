// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "arch/arch.h"
#include "model/totals.h"
#include "model/weight.h"

void mw_purged__add(struct mw_purged_blocks *purged, uint64_t size, uint64_t period)
{
	double weight = mw_sample_weight(size, period);

	purged->count++;
	purged->bytes += size;
	purged->variance += weight * (weight - 1) * (double)size * (double)size;
}

void mw_totals__add_counts(struct mw_site_totals *t, const struct mw_site_counts *now,
			   const struct mw_site_counts *base, const struct mw_purged_blocks *purged,
			   uint64_t period)
{
	const double unit = 1 << MW_COUNT_SHIFT, kib2 = 1024.0 * 1024.0;
	double mean = purged->count ? (double)purged->bytes / (double)purged->count : 0;
	double weight = mw_sample_weight((uint64_t)mean, period);

	t->allocs += (double)(now->allocs - base->allocs) / unit;
	t->alloc_bytes += (double)(now->alloc_bytes - base->alloc_bytes);
	t->frees += (double)(now->frees - base->frees) / unit + weight * (double)purged->count;
	t->freed_bytes +=
		(double)(now->freed_bytes - base->freed_bytes) + weight * (double)purged->bytes;
	t->live_variance += kib2 * ((double)(now->alloc_variance - base->alloc_variance) -
				    (double)(now->freed_variance - base->freed_variance)) -
			    purged->variance;
	t->temporaries += (double)(now->temporaries - base->temporaries) / unit;
	t->lifetime_seconds += (double)(now->lifetime_us - base->lifetime_us) / 1e6;
}

void mw_totals__add_tracked(struct mw_site_totals *t, const struct mw_tracked_site *tracked,
			    bool frees_known)
{
	t->watched_seconds += tracked->watched;
	t->allocs += tracked->allocs;
	t->alloc_bytes += tracked->alloc_bytes;
	t->frees += frees_known ? fmax(tracked->allocs - tracked->alive, 0) : tracked->allocs;
	t->freed_bytes += frees_known ? fmax(tracked->alloc_bytes - tracked->alive_bytes, 0)
				      : tracked->alloc_bytes;
	t->live_variance += tracked->alive_variance;
	t->temporaries += tracked->temporaries;
}

void mw_totals__add_growth(struct mw_site_totals *t, const struct mw_site_counts *now, bool direct)
{
	t->grown_calls += (double)now->grown_calls;
	t->grown_bytes += (double)now->grown_bytes;
	t->returned_bytes += (double)now->returned_bytes;
	t->fault_bytes += (double)now->faults * MW_PAGE_SIZE;
	if (!direct)
		t->malloc_bytes += (double)now->grown_bytes - (double)now->returned_bytes;
	t->samples += now->samples;
}

void mw_totals__widen(struct mw_site_totals *t, uint64_t period)
{
	if (t->live_variance > 0)
		t->live_variance += (double)period * (double)period;
}

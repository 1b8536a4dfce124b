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
			   uint64_t period, bool frees_known)
{
	const double unit = 1 << MW_COUNT_SHIFT, kib2 = 1024.0 * 1024.0;
	double mean = purged->count ? (double)purged->bytes / (double)purged->count : 0;
	double weight = mw_sample_weight((uint64_t)mean, period);

	double allocs = (double)(now->allocs - base->allocs) / unit;
	double bytes = (double)(now->alloc_bytes - base->alloc_bytes);
	double frees = (double)(now->frees - base->frees) / unit + weight * (double)purged->count;
	double freed =
		(double)(now->freed_bytes - base->freed_bytes) + weight * (double)purged->bytes;
	double variance = kib2 * (double)(now->alloc_variance - base->alloc_variance);
	double gone =
		kib2 * (double)(now->freed_variance - base->freed_variance) + purged->variance;

	t->allocs += allocs;
	t->alloc_bytes += bytes;
	t->alloc_variance += variance;
	t->resized += (double)(now->resized - base->resized) / unit;
	t->frees += frees;
	t->freed_bytes += freed;
	t->freed_variance += gone;
	/* Every free is seen: a block that was not freed is in the programs' map. */
	t->kept += frees_known ? allocs - frees : 0;
	t->kept_bytes += frees_known ? bytes - freed : 0;
	t->live_variance += frees_known ? variance - gone : 0;
	t->unknown += frees_known ? 0 : allocs - frees;
	t->unknown_bytes += frees_known ? 0 : bytes - freed;
	t->unknown_variance += frees_known ? 0 : variance - gone;
	t->temporaries += (double)(now->temporaries - base->temporaries) / unit;
	t->lifetime_seconds += (double)(now->lifetime_us - base->lifetime_us) / 1e6;
}

void mw_totals__add_tracked(struct mw_site_totals *t, const struct mw_tracked_site *tracked)
{
	t->watched_seconds += tracked->watched;
	t->allocs += tracked->allocated.calls;
	t->alloc_bytes += tracked->allocated.bytes;
	t->alloc_variance += tracked->allocated.variance;
	t->frees += tracked->freed.calls;
	t->freed_bytes += tracked->freed.bytes;
	t->freed_variance += tracked->freed.variance;
	t->kept += tracked->kept.calls;
	t->kept_bytes += tracked->kept.bytes;
	t->live_variance += tracked->kept.variance;
	t->unknown += tracked->unknown.calls;
	t->unknown_bytes += tracked->unknown.bytes;
	t->unknown_variance += tracked->unknown.variance;
	t->temporaries += tracked->temporaries;
	t->grows += fmax(tracked->grows, 0);
	t->grows_most = fmax(t->grows_most, tracked->grows_most);
	t->goes_on += tracked->goes_on;
	t->ends += tracked->ends;
	t->resized += tracked->resized;
	t->swells += tracked->swells;
	t->swells_most = fmax(t->swells_most, tracked->swells_most);
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

void mw_interval__begin(struct mw_site_totals *interval, const struct mw_site_totals *totals,
			const struct mw_site_totals *mark)
{
	interval->grown_calls = totals->grown_calls - mark->grown_calls;
	interval->grown_bytes = totals->grown_bytes - mark->grown_bytes;
	interval->returned_bytes = totals->returned_bytes - mark->returned_bytes;
	interval->malloc_bytes = totals->malloc_bytes - mark->malloc_bytes;
	interval->fault_bytes = totals->fault_bytes - mark->fault_bytes;
	interval->temporaries = totals->temporaries - mark->temporaries;
	interval->lifetime_seconds = totals->lifetime_seconds - mark->lifetime_seconds;
	interval->samples = totals->samples - mark->samples;
	/* Relative errors are those of the whole time at least. */
	interval->live_variance = totals->live_variance;
	interval->alloc_variance = totals->alloc_variance;
	interval->freed_variance = totals->freed_variance;
	interval->unknown_variance = totals->unknown_variance;
}

void mw_interval__add_counts(struct mw_site_totals *interval, const struct mw_site_counts *now,
			     const struct mw_site_counts *mark, bool frees_known)
{
	const double unit = 1 << MW_COUNT_SHIFT;
	double allocs = (double)(now->allocs - mark->allocs) / unit;
	double bytes = (double)(now->alloc_bytes - mark->alloc_bytes);
	double frees = (double)(now->young_frees - mark->young_frees) / unit;
	double freed = (double)(now->young_freed_bytes - mark->young_freed_bytes);

	interval->allocs += allocs;
	interval->alloc_bytes += bytes;
	interval->frees += frees;
	interval->freed_bytes += freed;
	*(frees_known ? &interval->kept : &interval->unknown) += fmax(allocs - frees, 0);
	*(frees_known ? &interval->kept_bytes : &interval->unknown_bytes) += fmax(bytes - freed, 0);
}

void mw_interval__add_tracked(struct mw_site_totals *interval,
			      const struct mw_tracked_site *tracked)
{
	interval->allocs += tracked->new_allocated.calls;
	interval->alloc_bytes += tracked->new_allocated.bytes;
	interval->frees += tracked->new_freed.calls;
	interval->freed_bytes += tracked->new_freed.bytes;
	interval->kept += tracked->new_kept.calls;
	interval->kept_bytes += tracked->new_kept.bytes;
	interval->unknown += tracked->new_unknown.calls;
	interval->unknown_bytes += tracked->new_unknown.bytes;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sites asked the kernel for memory that no allocator's blocks account for: mappings by a
 * runtime with a heap of its own, or by the program itself. It says who asked, not who keeps, so it
 * is growth and never a suspicion. Pure logic on model/sites.h.
 */
#ifndef MW_MODEL_GROWTH_H
#define MW_MODEL_GROWTH_H

#include "model/sites.h"

/*
 * Bytes that the kernel gave at SITE and has not got back, since the watch began or in the
 * INTERVAL. Where allocations are watched without what malloc took there: its blocks say more than
 * who happened to ask when its heap was full.
 */
double mw_site_own_growth(const struct mw_site_stats *site, bool interval);

/*
 * The up to MAX sites of TARGET with the most of it, largest first, into OUT; those that bring less
 * than a 20th of the first one's, or less than 256 KiB, say nothing. Returns how many.
 */
size_t mw_growth__top(const struct mw_sites *sites, uint32_t target, bool interval,
		      const struct mw_site_stats **out, size_t max);

#endif

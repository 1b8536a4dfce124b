/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cohorts of a site: the blocks that it had allocated up to some moment, and those of them that
 * are still allocated. Pure arithmetic on model/sites.h.
 */
#ifndef MW_MODEL_COHORTS_H
#define MW_MODEL_COHORTS_H

#include "model/sites.h"

/*
 * Begin SITE's cohorts anew, ELAPSED seconds after the watch began: up to now, to half and to a
 * quarter of that time, each moved back to a moment that the site's history has, so that what was
 * born up to then is known and not guessed. None survives yet.
 */
void mw_cohorts__begin(struct mw_site_stats *site, double elapsed);

/*
 * A block of SIZE bytes that stands for WEIGHT and was born BORN seconds after the watch began is
 * still allocated: it survives in every cohort that ends after its birth.
 */
void mw_cohorts__add_survivor(struct mw_site_stats *site, double born, uint64_t size,
			      double weight);

#endif

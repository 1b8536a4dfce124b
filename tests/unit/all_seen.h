/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals of a watch that has seen every free: what was not freed is kept. */
#ifndef MW_TESTS_ALL_SEEN_H
#define MW_TESTS_ALL_SEEN_H

#include "model/sites.h"

static inline void all_seen(struct mw_site_totals *t)
{
	t->kept = t->allocs - t->frees;
	t->kept_bytes = t->alloc_bytes - t->freed_bytes;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sites made the kernel give memory that no allocator's blocks account for. A part of the
 * report on sites.
 */
#ifndef MW_REPORT_GROWTH_H
#define MW_REPORT_GROWTH_H

#include "report/sites.h"

/* Lines as mw_sites_report__text() writes them; none when there is no such site. */
void mw_growth_report__text(FILE *out, const struct mw_sites_view *view, bool color);

/*
 * Puts "growth" and "growing", arrays, into the object SITES. 0, or not 0 when there is no memory.
 */
int mw_growth_report__json(json_t *sites, const struct mw_sites_view *view);

/* The one that asks for ever more, of them the fastest; NULL: none. */
const struct mw_suspect *mw_growth_report__first(const struct mw_sites_view *view);

#endif

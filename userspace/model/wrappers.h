/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which native functions of a program only pass allocations on: zmalloc, xmalloc, ngx_create_pool.
 * Found by evidence in the stacks of all its sites, not by names. Such a function
 *
 *  - is called by at least three functions,
 *  - which choose the size: at one call in it, the mean sizes that its callers get differ at least
 *    by half. A function that makes nodes of one type is a program's own business, however many
 *    call it;
 *  - and in every stack that it is in, it reaches the allocator in one of two ways at most, through
 *    such functions, or with one helper between that fewer call.
 *
 * Without sizes (only growth by the kernel is watched) nothing is a wrapper. Pure data.
 */
#ifndef MW_MODEL_WRAPPERS_H
#define MW_MODEL_WRAPPERS_H

#include "model/sites.h"

struct mw_wrappers; /* opaque */

struct mw_wrappers *mw_wrappers__new(void);
void mw_wrappers__free(struct mw_wrappers *wrappers);

/* Look for them in all sites of TARGET. 1 when the set has changed, 0, or -ENOMEM. */
int mw_wrappers__learn(struct mw_wrappers *wrappers, const struct mw_sites *sites, uint32_t target);

/*
 * The index of SITE's first frame outside the allocator, the language's library and, as far as they
 * are known, wrappers. SITE's frame count when there is none. WRAPPERS may be NULL: none is known.
 */
uint32_t mw_wrappers__skip(const struct mw_wrappers *wrappers, const struct mw_site_stats *site);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many objects of each type there are more of is known exactly, and of which types a site's
 * blocks are, too. So what blocks of a size grow by need not be shared by size alone: a line whose
 * strings are kept has no part in what tuples of the same size grow by. Pure arithmetic.
 */
#ifndef MW_MODEL_TYPE_GROWTH_H
#define MW_MODEL_TYPE_GROWTH_H

#include "model/looks.h"
#include "model/sites.h"

/*
 * Lower what the blocks of each of TARGET's SITES grow by to its part of what their types do, and
 * what it keeps to its part of the objects that there are. After each reading.
 */
void mw_type_growth__limit(struct mw_sites *sites, uint32_t target,
			   const struct mw_look_growth *growth);

#endif

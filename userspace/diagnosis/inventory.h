/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is in an image, for a comparison with another (model/diff.h). */
#ifndef MW_DIAGNOSIS_INVENTORY_H
#define MW_DIAGNOSIS_INVENTORY_H

#include "ledger/survey.h"
#include "model/diff.h"

/*
 * How many containers and how many holders are listed: those with the most elements, and those that
 * hold the most bytes.
 */
enum { MW_INVENTORY_MAX = 4096 };

/*
 * All that is compared, from SURVEY, which may be closed afterwards. Of Python's objects nothing
 * where they are not known. Takes seconds for gigabytes. 0 or -ENOMEM with ERR set; free in either
 * case.
 */
int mw_inventory__take(struct mw_inventory *inventory, struct mw_survey *survey,
		       struct mw_err *err);

#endif

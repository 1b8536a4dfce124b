/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MW_REPORT_LEDGER_H
#define MW_REPORT_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ledger/ledger.h"
#include "report/out.h"

/* Where the resident bytes come from: "rss", "recorded-rss", "held-by-core". */
const char *mw_residency_name(enum mw_residency residency);

/* A new reference, or NULL when out of memory. EVIDENCE (a reference is taken over) may be NULL. */
json_t *mw_ledger_json(const struct mw_ledger *ledger, const char *target,
		       enum mw_residency residency, json_t *evidence);

/*
 * The tree of owners, the largest first, DEPTH levels of it (0: three). What is below half a
 * percent is folded together unless OUT is verbose. 0 or -ENOMEM.
 */
int mw_ledger_text(const struct mw_out *out, const struct mw_ledger *ledger, const char *target,
		   enum mw_residency residency, unsigned int depth);

#endif

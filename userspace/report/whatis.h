/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an address is, as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_WHATIS_H
#define MW_REPORT_WHATIS_H

#include <jansson.h>
#include <stdio.h>

#include "ledger/whatis.h"

/* A new reference, or NULL when out of memory. */
json_t *mw_whatis_json(const struct mw_whatis *what);
void mw_whatis_text(FILE *out, const struct mw_whatis *what);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What grew between looks at a target's Python memory: by owner, type and holder. */
#ifndef MW_REPORT_LOOKS_H
#define MW_REPORT_LOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "watch/looks.h"

/* Lines of a report on an interval; none when nothing is known of Python. */
void mw_looks_report__text(FILE *out, const struct mw_looked *looked, bool color);

/* The end of a line: "; dict +40/s, …; in app.cache (dict of 3,000, +40/s), added at app.py:7
 * remember", or nothing. */
void mw_looks_report__brief(FILE *out, const struct mw_looked *looked);

/* The key "growth" of docs/json.md; JSON's null before the second look. NULL: no memory. */
json_t *mw_looks_report__json(const struct mw_looked *looked);

#endif

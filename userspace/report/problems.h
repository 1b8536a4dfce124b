/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can't be right in an image, and what changed while it was read, as text and as JSON. */
#ifndef MW_REPORT_PROBLEMS_H
#define MW_REPORT_PROBLEMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "image/problems.h"

/* Add the keys "problems", "problem_count" and "changed_while_read" to DOC. */
void mw_problems_add_json(json_t *doc, const struct mw_problems *problems);

void mw_problems_text(FILE *out, const struct mw_problems *problems, bool color);

/* The line about PLACES that changed while they were read; nothing for 0. */
void mw_changed_text(FILE *out, uint64_t places);

#endif

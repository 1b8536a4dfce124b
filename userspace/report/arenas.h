/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pymalloc's arenas, pools and size classes as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_ARENAS_H
#define MW_REPORT_ARENAS_H

#include <jansson.h>
#include <stdio.h>

#include "python/python.h"
#include "report/documents.h"

/* A new reference, NULL: no memory. */
json_t *mw_arenas_json(const struct mw_py_info *info, const char *target);

void mw_arenas_text(FILE *out, const struct mw_py_info *info, const char *target,
		    const struct mw_show *show);

/* What the documents about Python share. */
json_t *mw_python_problems_json(const struct mw_py_info *info);
json_t *mw_python_evidence_json(const struct mw_py_info *info);
void mw_python_problems_text(FILE *out, const struct mw_py_info *info, const struct mw_show *show);
void mw_python_title_text(FILE *out, const struct mw_py_info *info, const char *target);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pymalloc's arenas, pools and size classes as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_ARENAS_H
#define MW_REPORT_ARENAS_H

#include <jansson.h>
#include <stdio.h>

#include "python/python.h"
#include "report/out.h"

/* A new reference, NULL: no memory. */
json_t *mw_arenas_json(const struct mw_py_info *info, const char *target);

void mw_arenas_text(const struct mw_out *out, const struct mw_py_info *info, const char *target);

/* What the documents about Python share. */
json_t *mw_python_evidence_json(const struct mw_py_info *info);
/* Problems, and with -v the evidence. */
void mw_python_problems_text(const struct mw_out *out, const struct mw_py_info *info);
void mw_python_title_text(const struct mw_out *out, const struct mw_py_info *info,
			  const char *target);

#endif

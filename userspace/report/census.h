/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Python's objects by type as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_CENSUS_H
#define MW_REPORT_CENSUS_H

#include <jansson.h>
#include <stdio.h>

#include "python/python.h"
#include "report/out.h"

/* A new reference, NULL: no memory. */
json_t *mw_census_json(const struct mw_py_info *info, const struct mw_py_census *census,
		       const char *target);

void mw_census_text(const struct mw_out *out, const struct mw_py_info *info,
		    const struct mw_py_census *census, const char *target);

#endif

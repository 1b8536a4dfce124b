/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an allocator holds, as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_MALLOC_H
#define MW_REPORT_MALLOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "heap/heap.h"

/* TARGET is the image's name. A new reference, or NULL when out of memory. */
json_t *mw_malloc_json(const struct mw_heap_info *info, const char *target);
void mw_malloc_text(FILE *out, const struct mw_heap_info *info, const char *target, bool color,
		    bool verbose);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an allocator holds, as text and as JSON (docs/json-heap.md). */
#ifndef MW_REPORT_MALLOC_H
#define MW_REPORT_MALLOC_H

#include <jansson.h>

#include "heap/heap.h"
#include "ledger/live_sizes.h"
#include "report/out.h"

/* TARGET is the image's name. A new reference, or NULL when out of memory. */
json_t *mw_malloc_json(const struct mw_heap_info *info, const struct mw_live_sizes *sizes,
		       const char *target);
void mw_malloc_text(const struct mw_out *out, const struct mw_heap_info *info,
		    const struct mw_live_sizes *sizes, const char *target);

#endif

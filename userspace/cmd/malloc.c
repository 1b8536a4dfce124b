// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include <errno.h>

#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		if (mw_heap__info(survey->heaps.list[i], MW_HEAP_LISTS, &info))
			return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	}
	return 0;
}

int mw_cmd_malloc(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_malloc);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include "cmd/heap.h"

int mw_cmd_malloc(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, NULL, mw_show_malloc);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include <errno.h>

#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	if (survey->pt && mw_ptmalloc__read_bins(survey->pt))
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	return 0;
}

static int run_malloc(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_malloc);
}

const struct mw_command mw_cmd_malloc = {
	.name = "malloc",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show glibc malloc's arenas, caches, mmapped chunks and present settings",
	.about =
		"Finds the heap with or without symbols. in_use_bytes and free_bytes are glibc's own figures\n"
		"(malloc_info, mallinfo2), in which chunks in thread caches count as in use.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_heap_group},
	.run = run_malloc,
};

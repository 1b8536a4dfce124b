// SPDX-License-Identifier: GPL-2.0-or-later
/* `malloc`: the allocator's arenas, bins, caches, mmapped chunks and present settings. */
#include "cmd/document.h"

const struct mw_command mw_cmd_malloc = {
	.name = "malloc",
	.args = "PID|NAME|CORE [options]",
	.summary = "Show each allocator's heap: arenas, bins, caches, settings",
	.about =
		"Finds the heaps of glibc, jemalloc, tcmalloc and mimalloc with or without symbols. Of glibc "
		"in_use_bytes and free_bytes are its own figures (malloc_info, mallinfo2), in which chunks in "
		"thread caches count as in use.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_document_group},
	.run = mw_cmd_run_document,
};

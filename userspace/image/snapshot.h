/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing an ELF core of a running process: one that gdb opens, with notes of its own for the
 * residency (core_notes.h). Only pages in memory take space in the file; the rest are holes.
 */
#ifndef MW_IMAGE_SNAPSHOT_H
#define MW_IMAGE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct mw_snapshot {
	uint64_t pause_ns; /* how long the process was held */
	uint64_t resident; /* bytes, by smaps while it was held */
	uint64_t copied;   /* bytes of memory in the file, before compression */
	uint64_t file_size;
};

/*
 * Hold PID, copy it to PATH, let it go on; with ZSTD compress afterwards. PATH only comes to be
 * when the snapshot is whole. 0 or -errno with ERR set.
 */
int mw_snapshot_write(struct mw_snapshot *snapshot, pid_t pid, const char *path, bool zstd,
		      struct mw_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes an ELF core of a running process that GDB can open, with additional notes for residency
 * (core_notes.h). Pages in memory or in swap take space in the file; so does the read-only data of
 * programs and libraries, so that the snapshot can be read without them.
 */
#ifndef MW_IMAGE_SNAPSHOT_H
#define MW_IMAGE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct mw_snapshot {
	uint64_t pause_ns;  /* how long the process was held */
	uint64_t resident;  /* bytes, by smaps while it was held */
	uint64_t copied;    /* bytes of memory in the file, before compression */
	uint64_t file_data; /* bytes of read-only data and the like, copied from files */
	uint64_t files;	    /* from how many */
	uint64_t file_size; /* on disk */
};

/*
 * Hold PID, copy it, resume it; with ZSTD compress the copy afterwards. PATH is created only when
 * the snapshot is complete. 0 or -errno with ERR set.
 */
int mw_snapshot_write(struct mw_snapshot *snapshot, pid_t pid, const char *path, bool zstd,
		      struct mw_err *err);

#endif

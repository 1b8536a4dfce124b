/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mappings of a process, as /proc/PID/maps lists them (proc(5)). */
#ifndef MW_IMAGE_MAPS_H
#define MW_IMAGE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct mw_map {
	uint64_t start, end;   /* bytes, [start, end) */
	uint64_t offset;       /* in the file */
	uint64_t inode;	       /* 0: no file */
	uint32_t major, minor; /* device of the file */
	bool readable, writable, executable, shared;
	bool deleted; /* the file was unlinked */
	char *path;   /* as the process names it, "[heap]", or "" */
};

struct mw_maps {
	struct mw_map *maps; /* by address, not overlapping */
	size_t count, capacity;
};

/*
 * Parse TEXT of LEN bytes in the format of /proc/PID/maps. 0, -EINVAL (with the line) or -ENOMEM.
 */
int mw_maps__parse(struct mw_maps *maps, const char *text, size_t len, struct mw_err *err);

/* Read those of PID. 0, -ESRCH when it is gone, -EACCES, or another -errno. */
int mw_maps__read(struct mw_maps *maps, pid_t pid, struct mw_err *err);

void mw_maps__free(struct mw_maps *maps);

/* The length of the LEN bytes of PATH without the " (deleted)" of an unlinked file. */
size_t mw_map__path_length(const char *path, size_t len);

/*
 * Is PATH the kernel's name of memory that processes share, and no file of a disk: shmget(2),
 * memfd_create(2), shm_open(3), shared anonymous memory?
 */
bool mw_map__is_memory(const char *path);

/* The mapping that holds ADDR, or NULL. */
const struct mw_map *mw_maps__find(const struct mw_maps *maps, uint64_t addr);

/* The mapping called NAME, for example "[heap]"; the first when there are several, or NULL. */
const struct mw_map *mw_maps__named(const struct mw_maps *maps, const char *name);

/* Do A and B map the same file? Cores know files by their path only. */
bool mw_map__is_same_file(const struct mw_map *a, const struct mw_map *b);

/*
 * Write into PATH a path by which we can open the very file that MAP of PID maps, in whatever mount
 * namespace the process is, and even if the file was deleted or replaced since:
 * /proc/PID/map_files/… where the kernel permits it (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), else
 * /proc/PID/root/… if it still is the same inode. 0 or -errno.
 */
int mw_map__file_path(const struct mw_map *map, pid_t pid, char *path, size_t size);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a process maps, opened once each. Any number of threads may ask. */
#ifndef MW_IMAGE_MAPPED_FILES_H
#define MW_IMAGE_MAPPED_FILES_H

#include <pthread.h>

#include "image/maps.h"

struct mw_mapped_files {
	pthread_mutex_t lock;
	struct mw_mapped_file *list;
	size_t count, capacity;
};

void mw_mapped_files__init(struct mw_mapped_files *files);
void mw_mapped_files__free(struct mw_mapped_files *files);

/*
 * A descriptor of the regular file that MAP of process PID maps, which stays that of FILES. -1: no
 * file, a device, or not permitted. Devices are not opened.
 */
int mw_mapped_files__fd(struct mw_mapped_files *files, pid_t pid, const struct mw_map *map);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that a core's process had mapped: found by name and identity, or rebuilt. Any number of
 * threads may ask.
 */
#ifndef MW_IMAGE_CORE_FILES_H
#define MW_IMAGE_CORE_FILES_H

#include <pthread.h>

#include "image/core_notes.h"

struct mw_core_files {
	pthread_mutex_t lock; /* whoever has it may come back: opening a file reads memory */
	const struct mw_core_notes *notes;
	char *exe, *sysroot; /* may be NULL */
	struct mw_backing *list;
	size_t count, capacity;
	bool opening; /* a file is being identified: reads must not look for another one */
};

void mw_core_files__init(struct mw_core_files *files, const struct mw_core_notes *notes);

/*
 * A descriptor of the file of MAPPING, which stays the core's, for reading pages that the core
 * leaves out; -1 when it is not there. It is the same file when its build id is that of the core's
 * memory or, in a core without the pages that have it, when its dynamic section is the same.
 */
int mw_core_files__fd(struct mw_core_files *files, struct mw_image *image,
		      const struct mw_file_mapping *mapping);

/*
 * Open the file of MAPPING; where it is not there, a snapshot has its symbols and read-only data. A
 * new descriptor, or -1.
 */
int mw_core_files__open(struct mw_core_files *files, struct mw_image *image,
			const struct mw_file_mapping *mapping);

/* See mw_image__missing_file(). */
bool mw_core_files__missing(const struct mw_core_files *files, size_t i,
			    struct mw_missing_file *missing);

void mw_core_files__free(struct mw_core_files *files);

#endif

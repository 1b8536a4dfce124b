/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control groups as folders: cgroup.procs of each lists its processes, in version 1 and 2
 * (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst of the kernel).
 */
#ifndef MW_IMAGE_CGROUP_H
#define MW_IMAGE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

/* Is WORD the folder of a cgroup? */
bool mw_cgroup__is_folder(const char *word);

/*
 * The folder of the cgroup that WORD means: a folder, a path below the root of the cgroups, or a
 * name such as "nginx.service" that only one has. The caller frees it; NULL with ERR set.
 */
char *mw_cgroup__find(const char *word, struct mw_err *err);

/*
 * The processes in FOLDER and all cgroups below it, as many as there are, into PIDS, which the
 * caller frees. 0 or -errno with ERR set; -ENOENT: there are none.
 */
int mw_cgroup__processes(const char *folder, pid_t **pids, size_t *count, struct mw_err *err);

#endif

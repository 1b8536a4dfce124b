/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that were forked from one another and have not run another program since, such as the
 * workers of a server and what forked them: how much of their memory they share.
 */
#ifndef MW_IMAGE_FAMILY_H
#define MW_IMAGE_FAMILY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"

struct mw_member {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot */
	/* Bytes, from smaps_rollup (Documentation/filesystems/proc.rst of the kernel): */
	uint64_t resident, proportional; /* Rss, Pss */
	uint64_t own;			 /* Private_Clean, Private_Dirty: what only it maps */
};

struct mw_family {
	struct mw_member *members; /* the oldest first */
	size_t count, capacity;
};

/*
 * PID and its family. fork() copies the auxiliary vector, which execve() makes anew, with the
 * address of 16 random bytes in it (create_elf_tables() in fs/binfmt_elf.c of the kernel), so
 * members have the same vector and the same bytes. 0, or -errno with ERR set; free in either case.
 */
int mw_family__find(struct mw_family *family, pid_t pid, struct mw_err *err);
/* The COUNT processes of PIDS that run, whatever they were forked from; likewise. */
int mw_family__of(struct mw_family *family, const pid_t *pids, size_t count, struct mw_err *err);
void mw_family__free(struct mw_family *family);

/*
 * Add to OUT the resident pages of IMAGE, a process, that no other process maps: bit 56 of pagemap
 * (Documentation/admin-guide/mm/pagemap.rst). 0 or -errno.
 */
int mw_family__own_pages(struct mw_image *image, struct mw_spans *out);

#endif

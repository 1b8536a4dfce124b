/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are sampled blocks of Python's pools still allocated, and to the object that they were sampled
 * for? From the pool's own count and list of free blocks, and a print of the object.
 */
#ifndef MW_TRACE_PYMALLOC_BLOCKS_H
#define MW_TRACE_PYMALLOC_BLOCKS_H

#include <stdint.h>
#include <sys/types.h>

#include "model/tracked.h"
#include "trace/pymalloc.h"

struct mw_image;

/* Whose pools those of address space SPACE are, and the process; NULL: they are not known. */
typedef const struct mw_pymalloc *(*mw_pools_of_space_fn)(void *arg, uint32_t space, pid_t *pid);

/* A print of the object in the block of SIZE bytes at ADDR (python/print.h). */
uint64_t mw_pymalloc_print(const struct mw_pymalloc *pools, struct mw_image *image, uint64_t addr,
			   uint64_t size);

/* Look at all that are older than AGE seconds. Returns how many were looked at. */
size_t mw_pymalloc_blocks__judge(struct mw_tracked *tracked, mw_pools_of_space_fn pools_of,
				 void *arg, double age);

#endif

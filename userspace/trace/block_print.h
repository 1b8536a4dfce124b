/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The print of a block's content (model/tracked.h), from a process's memory. */
#ifndef MW_TRACE_BLOCK_PRINT_H
#define MW_TRACE_BLOCK_PRINT_H

#include <stdint.h>

struct mw_image;

/*
 * Of the block of SIZE bytes at ADDR. Its first 16 bytes are left out: the allocator writes there
 * when it is freed (glibc: links and key), and CPython counts references there. 0: it can't be
 * read, or is too small to tell.
 */
uint64_t mw_block_print(struct mw_image *image, uint64_t addr, uint64_t size);

#endif

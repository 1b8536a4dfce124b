/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions and lines of one ELF file at its place in memory, through elfutils' libdwfl. */
#ifndef MW_IMAGE_NAMER_H
#define MW_IMAGE_NAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/maps.h"

struct mw_namer; /* opaque */

/*
 * Open the separate debug file, if any: a descriptor that the namer closes, or -1. Called at most
 * once.
 */
typedef int (*mw_namer_debug_fn)(void *arg);

/*
 * Names for the file open at FD, which becomes the namer's (also when this fails), and of which MAP
 * is a mapping. NULL with errno set: ENOEXEC or ENOMEM.
 */
struct mw_namer *mw_namer__open(int fd, const struct mw_map *map, mw_namer_debug_fn debug,
				void *arg);
void mw_namer__close(struct mw_namer *namer);

/* The addresses of its segments, [START, END). */
void mw_namer__range(const struct mw_namer *namer, uint64_t *start, uint64_t *end);

/* The file's build id as hexadecimal text, or "". */
void mw_namer__build_id(struct mw_namer *namer, char *text, size_t size);

/*
 * The function or variable that holds ADDR: its name as in the file, good until the namer is
 * closed.
 */
const char *mw_namer__symbol(struct mw_namer *namer, uint64_t addr, uint64_t *offset);

/*
 * The line of ADDR, and the file as the compiler wrote it; 0 when there is none. BUDGET is how many
 * more bytes of debug information may be loaded; a file that has more goes without lines.
 */
uint32_t mw_namer__line(struct mw_namer *namer, uint64_t addr, const char **file, uint64_t *budget);

#endif

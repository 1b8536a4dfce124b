/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the symbols and the DWARF of a mapped ELF file are: in itself, or in a separate debug file.
 * One order of search for all: below each root of the image (mw_image__root()) by build id, then
 * below each by .gnu_debuglink, which counts only with the right checksum.
 */
#ifndef MW_SYMBOL_DEBUGFILE_H
#define MW_SYMBOL_DEBUGFILE_H

#include "image/image.h"

/*
 * Open the PLACE-th candidate for the ELF file that IMAGE has mapped at BASE; place 0 is the file
 * itself. A descriptor; -1 when that one is not there.
 */
enum { MW_DEBUG_PLACES = 1 + 2 * MW_IMAGE_ROOTS };
int mw_debugfile__open(struct mw_image *image, uint64_t base, unsigned int place);

/*
 * The first separate debug file of the ELF file that the process names PATH, has build id ID
 * (hexadecimal, "": none) and is open at FILE (-1: not at hand). A descriptor; -1: there is none.
 */
int mw_debugfile__find(const struct mw_image *image, const char *path, const char *id, int file);

#endif

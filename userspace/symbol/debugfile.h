/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the symbols and the DWARF of a mapped ELF file: in the file itself or in a separate debug
 * file. The one order of search is: by build id below each root of the image (mw_image__root()),
 * then by .gnu_debuglink, with its checksum, below each root.
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
 * Open the first separate debug file of an ELF file: PATH is the process's name for it, ID its
 * build id in hexadecimal or "", FILE a descriptor of it or -1. Returns a descriptor, or -1.
 */
int mw_debugfile__find(const struct mw_image *image, const char *path, const char *id, int file);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for addresses in mapped files, through elfutils' libdwfl and debug files by build id. */
#ifndef MW_SYMBOL_SYMBOLS_H
#define MW_SYMBOL_SYMBOLS_H

#include <stdbool.h>

#include "image/image.h"

struct mw_symbol_name {
	char name[128];	 /* safe to print */
	uint64_t offset; /* bytes from its beginning */
};

/*
 * The function or variable that holds ADDR, by the symbols of the file that is mapped there or of
 * its debug file. False when there is none, or the file is not at hand.
 */
bool mw_image__symbol_name(struct mw_image *image, uint64_t addr, struct mw_symbol_name *out);

#endif

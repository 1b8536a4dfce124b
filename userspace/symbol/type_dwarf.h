/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DWARF of which only the types are wanted. libdw unpacks every section of debug information when a
 * file is opened, and where they are compressed, lines, places and ranges are half of them.
 */
#ifndef MW_SYMBOL_TYPE_DWARF_H
#define MW_SYMBOL_TYPE_DWARF_H

#include <elfutils/libdw.h>

/* Of the ELF file FD, which must stay open; NULL: it has none. What is not about types is missing.
 */
Dwarf *mw_type_dwarf__open(int fd);
void mw_type_dwarf__close(Dwarf *dwarf);

#endif

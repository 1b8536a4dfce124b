/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Demangles C++ and Rust symbols. */
#ifndef MW_SYMBOL_DEMANGLE_H
#define MW_SYMBOL_DEMANGLE_H

#include <stddef.h>

/*
 * Write symbol NAME, demangled and safe to print, into BUF, without argument types and version.
 * Names of other languages, damaged ones and those over 1,024 bytes stay as they are. What does not
 * fit ends in "...". Returns BUF.
 */
char *mw_demangle(char *buf, size_t size, const char *name);

#endif

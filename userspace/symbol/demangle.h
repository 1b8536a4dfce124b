/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that C++ and Rust compilers give to symbols, as their programmers wrote them. */
#ifndef MW_SYMBOL_DEMANGLE_H
#define MW_SYMBOL_DEMANGLE_H

#include <stddef.h>

/*
 * Write what the symbol NAME stands for into BUF, safe to print, without the types of its arguments
 * and without its version; a name of another kind, a damaged one or one of more than 1,024 bytes as
 * it is. What does not fit ends in "...". BUF.
 */
char *mw_demangle(char *buf, size_t size, const char *name);

#endif

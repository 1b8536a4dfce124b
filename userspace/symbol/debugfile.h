/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Separate debug files, below a folder that stands for / ("" is this machine's own). */
#ifndef MW_SYMBOL_DEBUGFILE_H
#define MW_SYMBOL_DEBUGFILE_H

/* The one with build id ID (hexadecimal): a descriptor, -1: there is none. */
int mw_debugfile__by_id(const char *root, const char *id);

/*
 * The one that .gnu_debuglink of the ELF file open at FILE names, in the usual places for a file
 * whose path below ROOT is PATH. Only with the right checksum. A descriptor, -1: there is none.
 */
int mw_debugfile__by_link(const char *root, const char *path, int file);

#endif

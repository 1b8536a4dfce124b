/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MW_UTIL_BAR_H
#define MW_UTIL_BAR_H

#include <stdbool.h>
#include <stddef.h>

enum { MW_BAR_BUF = 3 * 256 + 1 };

/*
 * A bar of SHARE (0 to 1) of WIDTH columns (at most 255) into BUF of MW_BAR_BUF bytes: eighths of
 * a block with UTF8, else '#'. A share above 0 shows at least its smallest step. Returns BUF.
 */
char *mw_bar(char *buf, double share, unsigned int width, bool utf8);

#endif

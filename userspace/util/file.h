/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole small files, above all those of /proc, which have no size until they are read. */
#ifndef MW_UTIL_FILE_H
#define MW_UTIL_FILE_H

#include <stddef.h>

/*
 * Read all of PATH, at most MAX bytes, into a new buffer with a terminating 0 that LEN does not
 * count; the caller frees it. 0, -EFBIG when there is more than MAX, or another -errno.
 */
int mw_file_read(const char *path, size_t max, char **text, size_t *len);

#endif

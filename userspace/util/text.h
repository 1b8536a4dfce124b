/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text from the target or from a file, which must not reach a terminal as it is. */
#ifndef MW_UTIL_TEXT_H
#define MW_UTIL_TEXT_H

#include <stddef.h>

/*
 * Copy SRC (LEN bytes, not necessarily terminated) into DST of SIZE bytes so that it is safe on
 * a terminal and in JSON: control characters, bidirectional overrides and other invisible
 * format characters, and invalid UTF-8 become '?'; what does not fit ends in "...". Always
 * terminates DST (SIZE > 0) and returns it.
 */
char *mw_text_clean(char *dst, size_t size, const char *src, size_t len);

#endif

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

/*
 * printf() into BUF of SIZE bytes, clean as above: names that it is made of may have been cut
 * within a character, and may be too long together. At most MW_TEXT_MAX bytes are kept.
 */
enum { MW_TEXT_MAX = 512 };
__attribute__((format(printf, 3, 4))) char *mw_text_print(char *buf, size_t size, const char *fmt,
							  ...);

/*
 * Break TEXT at a space for WIDTH columns (at least 20): *LEN bytes make the first line; returns
 * where the next begins. Sentences are ASCII but for names, so bytes are counted as columns.
 */
const char *mw_text_break(const char *text, int width, int *len);

/*
 * LABEL, as model/labels.h makes them, in WIDTH columns (at least 20) into BUF, which it returns.
 * Where it is too long, it loses the caller first, a module in front of a function without a line,
 * the middle of a function's name: the line is what people look for.
 */
char *mw_text_fit_label(char *buf, size_t size, const char *label, int width);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The characters of Python's strings, as UTF-8. */
#ifndef MW_PYTHON_CHARS_H
#define MW_PYTHON_CHARS_H

#include <stddef.h>
#include <stdint.h>

/* A character takes as many bytes at most. */
enum { MW_PY_UTF8_MAX = 4 };

/*
 * Write COUNT characters of WIDTH (1, 2 or 4) bytes each at RAW as UTF-8 to TO, which has room for
 * MW_PY_UTF8_MAX bytes each, and return how many bytes that took. What is no character (half a
 * surrogate pair, beyond U+10FFFF) becomes invalid UTF-8, for mw_text_clean() to replace.
 */
size_t mw_py_utf8(char *to, const uint8_t *raw, size_t count, unsigned int width);

#endif

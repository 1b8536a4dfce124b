/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes, counts and durations as people read and write them. Units are binary (K = 1024). */
#ifndef MW_UTIL_UNITS_H
#define MW_UTIL_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define MW_UNIT_BUF 24 /* enough for any of the formatters below */

/* "4096", "128K", "4.2 MiB", "1G": 0, or -EINVAL (not a size), -ERANGE (over 2^63 - 1). */
int mw_parse_size(const char *text, uint64_t *bytes);

/* "0.5", "2", "250ms", "2s", "5m", "1h" to seconds: 0 or -EINVAL. Negative and NaN are refused. */
int mw_parse_seconds(const char *text, double *seconds);

/* A whole number within [min, max], nothing else in the text: 0, -EINVAL or -ERANGE. */
int mw_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* All write at most MW_UNIT_BUF bytes into BUF and return it. */
char *mw_format_size(char *buf, uint64_t bytes);	   /* "4.2 MiB" */
char *mw_format_signed_size(char *buf, int64_t bytes);	   /* "+4.2 MiB" */
char *mw_format_count(char *buf, uint64_t n);		   /* "12.3k", exact below 10,000 */
char *mw_format_duration(char *buf, uint64_t nanoseconds); /* "1.5 ms" */

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/units.h"

static const char unit_letters[] = "KMGTPE";

/* Only digits and one point, so that strtod's "inf", "nan" and hex floats stay out. */
static int parse_decimal(const char *text, double *value, const char **rest)
{
	char digits[64];
	size_t n;

	while (isspace((unsigned char)*text))
		text++;
	n = strspn(text, "0123456789.");
	if (!n || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	char *end;

	*value = strtod(digits, &end);
	if (*end || end == digits)
		return -EINVAL;
	*rest = text + n;
	while (isspace((unsigned char)**rest))
		(*rest)++;
	return 0;
}

int mw_parse_size(const char *text, uint64_t *bytes)
{
	const char *rest;
	unsigned int shift = 0;
	double value;
	int err;

	err = parse_decimal(text, &value, &rest);
	if (err)
		return err;
	if (*rest) {
		const char *unit = strchr(unit_letters, toupper((unsigned char)*rest));

		if (unit) {
			shift = 10 * (unsigned int)(unit - unit_letters + 1);
			rest++;
			if (*rest == 'i')
				rest++;
		}
		if (toupper((unsigned char)*rest) == 'B')
			rest++;
		if (*rest)
			return -EINVAL;
	}
	value = ldexp(value, (int)shift);
	if (value >= 0x1p63)
		return -ERANGE;
	*bytes = (uint64_t)value;
	return 0;
}

int mw_parse_seconds(const char *text, double *seconds)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"m", 60}, {"h", 3600}};
	const char *rest;
	double value;
	int err;

	err = parse_decimal(text, &value, &rest);
	if (err)
		return err;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(rest, units[i].unit)) {
			*seconds = value * units[i].factor;
			return 0;
		}
	}
	return -EINVAL;
}

int mw_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || n < min || n > max)
		return -ERANGE;
	*value = n;
	return 0;
}

char *mw_format_size(char *buf, uint64_t bytes)
{
	double value = (double)bytes;
	int unit = -1;

	if (bytes < 1024) {
		snprintf(buf, MW_UNIT_BUF, "%" PRIu64 " B", bytes);
		return buf;
	}
	/* 1023.95 would be printed as 1024.0: go on to the next unit before that. */
	while (value >= 1023.95 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0) {
		value /= 1024;
		unit = 0;
	}
	snprintf(buf, MW_UNIT_BUF, "%.1f %ciB", value, unit_letters[unit]);
	return buf;
}

char *mw_format_signed_size(char *buf, int64_t bytes)
{
	char size[MW_UNIT_BUF];

	mw_format_size(size, bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes);
	snprintf(buf, MW_UNIT_BUF, "%c%.22s", bytes < 0 ? '-' : '+', size);
	return buf;
}

char *mw_format_count(char *buf, uint64_t n)
{
	static const char suffix[] = "kMGT";
	double value = (double)n;
	int unit = -1;

	if (n < 10000) {
		snprintf(buf, MW_UNIT_BUF, "%" PRIu64, n);
		return buf;
	}
	do {
		value /= 1000;
		unit++;
	} while (value >= 999.95 && unit < 3);
	snprintf(buf, MW_UNIT_BUF, "%.1f%c", value, suffix[unit]);
	return buf;
}

char *mw_format_duration(char *buf, uint64_t nanoseconds)
{
	double ns = (double)nanoseconds;

	if (nanoseconds < 1000)
		snprintf(buf, MW_UNIT_BUF, "%" PRIu64 " ns", nanoseconds);
	else if (ns < 1e6)
		snprintf(buf, MW_UNIT_BUF, "%.1f us", ns / 1e3);
	else if (ns < 1e9)
		snprintf(buf, MW_UNIT_BUF, "%.1f ms", ns / 1e6);
	else if (ns < 60e9)
		snprintf(buf, MW_UNIT_BUF, "%.1f s", ns / 1e9);
	else if (ns < 3600e9)
		snprintf(buf, MW_UNIT_BUF, "%.1f min", ns / 60e9);
	else
		snprintf(buf, MW_UNIT_BUF, "%.1f h", ns / 3600e9);
	return buf;
}

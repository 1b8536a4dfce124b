/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of this project as JSON. Each returns a new reference. */
#ifndef MW_REPORT_JSON_H
#define MW_REPORT_JSON_H

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* jansson's integers are signed; a larger value becomes the largest of them. */
static inline json_t *mw_json_u64(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* An address as text, since a double can't hold one. */
static inline json_t *mw_json_addr(uint64_t addr)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, addr);
	return json_string(text);
}

/*
 * Write DOC, whose reference is taken over, as one line. 0, -ENOMEM when there is no DOC (its maker
 * had no memory), -EIO when OUT takes no more.
 */
static inline int mw_json_line(FILE *out, json_t *doc)
{
	int failed;

	if (!doc)
		return -ENOMEM;
	failed = json_dumpf(doc, out, JSON_COMPACT);
	json_decref(doc);
	if (!failed)
		failed = fputc('\n', out) == EOF;
	return !failed ? 0 : ferror(out) ? -EIO : -ENOMEM;
}

#endif

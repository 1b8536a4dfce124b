/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a document is written, and how. */
#ifndef MW_REPORT_OUT_H
#define MW_REPORT_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

struct mw_image;

struct mw_out {
	FILE *file; /* who opened it checks for write errors when closing it */
	bool json, color, utf8, verbose;
	uint64_t held_ns; /* how long the target was stopped for this; 0: not at all */
	/*
	 * What is written so far can be read, and what follows takes its time; then again, with
	 * false, before that is written. NULL: nobody waits.
	 */
	void (*works)(void *arg, bool works);
	void *arg;
};

/* Say so, if anybody waits. */
static inline void mw_out__works(const struct mw_out *out, bool works)
{
	if (out->works)
		out->works(out->arg, works);
}

/* Write DOC, whose reference is taken over, as a line. 0, or -errno with ERR set. */
int mw_out__json(const struct mw_out *out, json_t *doc, struct mw_err *err);

/*
 * The same for an object about the whole image: adds how much of a core is there, and how long the
 * process was stopped.
 */
int mw_out__image_json(const struct mw_out *out, struct mw_image *image, json_t *doc,
		       struct mw_err *err);

enum { MW_CUT_BUF = 128 };
/* That of a core only PRESENT bytes of PROMISED are there: a line without its end; returns BUF. */
char *mw_out__cut_text(char buf[MW_CUT_BUF], uint64_t present, uint64_t promised);
json_t *mw_out__coverage_json(uint64_t present, uint64_t promised);

/* The lines that say so, where there is something to say. */
void mw_out__image_text(const struct mw_out *out, struct mw_image *image);

#endif

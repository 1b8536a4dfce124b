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
};

/* Write DOC, whose reference is taken over, as a line. 0, or -errno with ERR set. */
int mw_out__json(const struct mw_out *out, json_t *doc, struct mw_err *err);

/*
 * The same for an object about the whole image: adds how much of a core is there, and how long the
 * process was stopped.
 */
int mw_out__image_json(const struct mw_out *out, struct mw_image *image, json_t *doc,
		       struct mw_err *err);

/* The lines that say so, where there is something to say. */
void mw_out__image_text(const struct mw_out *out, struct mw_image *image);

#endif

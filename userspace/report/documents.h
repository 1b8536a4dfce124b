/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole documents about an image's heap, as text or as one line of JSON: what the program prints
 * and what GDB shows is the same because it is written here.
 */
#ifndef MW_REPORT_DOCUMENTS_H
#define MW_REPORT_DOCUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ledger/survey.h"

struct mw_show {
	bool json, color, utf8, verbose;
	unsigned int depth; /* of the ledger's tree; 0: as it fits */
	uint64_t held_ns;   /* how long the target was stopped for this; 0: not at all */
};

/* All write to OUT. 0, or -errno with ERR set: there is nothing to show, or no memory. */
int mw_show_malloc(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err);
int mw_show_ledger(FILE *out, const struct mw_survey *survey, const struct mw_ledger *ledger,
		   const struct mw_show *show, struct mw_err *err);
int mw_show_arenas(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err);
int mw_show_census(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err);
int mw_show_whatis(FILE *out, struct mw_survey *survey, uint64_t addr, const struct mw_show *show,
		   struct mw_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents for a person who explores Python's memory in a debugger: pools, the blocks of one, the
 * objects of a type, free lists, and all of it as lines of JSON. All write to OUT; 0, or -errno
 * with ERR set.
 */
#ifndef MW_REPORT_PYTHON_DOCUMENTS_H
#define MW_REPORT_PYTHON_DOCUMENTS_H

#include <stdint.h>
#include <stdio.h>

#include "report/documents.h"

/* The pools of blocks of CLASS bytes, or all (0). */
int mw_show_pools(FILE *out, struct mw_survey *survey, uint64_t class, const struct mw_show *show,
		  struct mw_err *err);
/* The blocks of the pool that holds ADDR. */
int mw_show_blocks(FILE *out, struct mw_survey *survey, uint64_t addr, const struct mw_show *show,
		   struct mw_err *err);
int mw_show_freelists(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		      struct mw_err *err);
/* The live objects of the type called NAME, with or without its module. */
int mw_show_objects(FILE *out, struct mw_survey *survey, const char *name,
		    const struct mw_show *show, struct mw_err *err);
/* Every arena, pool and block, each a line of JSON. */
int mw_show_dump(FILE *out, struct mw_survey *survey, struct mw_err *err);

/*
 * One word: the address of the pool or of the arena that holds ADDR, the name of an object's type.
 */
int mw_show_pool_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err);
int mw_show_arena_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err);
int mw_show_type_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resident memory in a few parts, each with its own remedy; the ledger has the details. */
#ifndef MW_LEDGER_SPLIT_H
#define MW_LEDGER_SPLIT_H

#include <stdint.h>

#include "util/err.h"

struct mw_survey;

enum mw_split_part {
	MW_SPLIT_BRK,	  /* glibc's main arena */
	MW_SPLIT_THREADS, /* its thread arenas */
	MW_SPLIT_MMAPPED, /* its chunks with a mapping of their own */
	MW_SPLIT_PYTHON,  /* arenas of Python's allocator */
	MW_SPLIT_OTHER,	  /* files, stacks, other allocators */
	MW_SPLIT_PARTS,
};

const char *mw_split_name(enum mw_split_part part);

/* Resident bytes of each part; they sum to the resident size. 0 or -ENOMEM with ERR set. */
int mw_survey__split(struct mw_survey *survey, uint64_t parts[MW_SPLIT_PARTS], struct mw_err *err);

#endif

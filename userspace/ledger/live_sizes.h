/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sizes live in a heap: its live blocks by size, and the largest with their owners. */
#ifndef MW_LEDGER_LIVE_SIZES_H
#define MW_LEDGER_LIVE_SIZES_H

#include "ledger/survey.h"

enum { MW_LIVE_SIZES = 48, MW_LIVE_BIGGEST = MW_PY_PROBES };

struct mw_live_size {
	uint64_t count, bytes; /* blocks, with their headers */
	uint64_t python;       /* of COUNT: those of Python's objects and interpreter */
};

struct mw_live_block {
	uint64_t addr, bytes;	       /* where the program's own bytes begin; with the header */
	const struct mw_py_type *type; /* that has it, NULL: not an object's */
	uint64_t object;	       /* the object that it is or belongs to, 0: not known */
};

struct mw_live_sizes {
	struct mw_live_size sizes[MW_LIVE_SIZES]; /* by power of two: 2^i to 2^(i+1) - 1 bytes */
	struct mw_live_block biggest[MW_LIVE_BIGGEST]; /* the largest first */
	size_t biggest_count;
};

/*
 * Measure HEAP, one of SURVEY's. PY, if not NULL, has taken its census. 0 or -ENOMEM.
 */
int mw_live_sizes__measure(struct mw_live_sizes *sizes, struct mw_heap *heap, struct mw_python *py);

#endif

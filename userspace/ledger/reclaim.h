/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the C library's free memory could go back to the kernel, and what keeps the rest:
 * computed from the heap, before anybody trims.
 */
#ifndef MW_LEDGER_RECLAIM_H
#define MW_LEDGER_RECLAIM_H

#include <stdint.h>

#include "heap/block.h"
#include "util/err.h"

struct mw_survey;

/* glibc's M_MMAP_THRESHOLD before it moves (DEFAULT_MMAP_THRESHOLD_MIN of malloc/malloc.c). */
#define MW_LARGE_BLOCK (128ULL << 10)

/* Resident bytes of glibc's heap, summed over its arenas. */
struct mw_reclaim {
	uint64_t free;	 /* all free chunks and tops */
	uint64_t trim;	 /* of them, what malloc_trim(0) gives back */
	uint64_t thread; /* of them, those of thread arenas */
	uint64_t large;	 /* of them, where large blocks lay: chunks of MW_LARGE_BLOCK or more, but
			    not of  many times the mmap threshold, and the end of the main arena
			    likewise */
	uint64_t large_live; /* live chunks of MW_LARGE_BLOCK or more that lie in an arena */
	/*
	 * The highest live chunk of the main arena, size 0: there is none, and the free bytes below
	 * it: the arena's end can't be lowered past it.
	 */
	struct mw_block pin;
	uint64_t below_pin;
};

/* 0 or -ENOMEM with ERR set; all zeros where that heap has no arenas. */
int mw_survey__reclaim(struct mw_survey *survey, struct mw_reclaim *out, struct mw_err *err);

#endif

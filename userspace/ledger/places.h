/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places of a survey that can't go back to the kernel because of a few blocks: arenas of pymalloc,
 * pages of mimalloc and spans of other allocators that are at most half used, and the ends of
 * glibc's arenas.
 *
 * pymalloc unmaps an arena when its last pool is free (Objects/obmalloc.c, arena_free or
 * insert_to_freepool). glibc lowers the end of the main arena in systrim() and that of a thread's
 * last heap in heap_trim() (malloc/malloc.c, malloc/arena.c), past what lies free below the highest
 * chunk in use, once that is the trim threshold; chunks in a thread's cache count as in use. Heaps
 * of a thread's arena below its last one go only after that one, and are not looked at.
 */
#ifndef MW_LEDGER_PLACES_H
#define MW_LEDGER_PLACES_H

#include "ledger/survey.h"
#include "model/pins.h"

/*
 * All of them, after the census where there is Python. Pins have addresses, bytes and state; who
 * holds them is the caller's to find. 0 or -ENOMEM with ERR set; the caller frees PLACES in either
 * case.
 */
int mw_survey__places(struct mw_survey *survey, struct mw_places *places, struct mw_err *err);

#endif

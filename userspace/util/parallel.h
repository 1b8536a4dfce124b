/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work in parts, on as many threads as this one may have processors. The division into parts is the
 * caller's and must not depend on how many threads there are. Then the results do not either, if
 * the caller puts them together in the order of the parts.
 */
#ifndef MW_UTIL_PARALLEL_H
#define MW_UTIL_PARALLEL_H

#include <stddef.h>

enum { MW_THREADS_MAX = 4 };

/* Processors that this thread may run on (sched_setaffinity(2), taskset(1)), MW_THREADS_MAX at most
 */
unsigned int mw_processors(void);

/* A result other than 0 is an error: no further part is begun. */
typedef int (*mw_part_fn)(void *arg, size_t part);

/*
 * Call FN for each of COUNT parts, in their order, on up to THREADS threads, the caller's among
 * them. Returns when all have ended: 0 or the error of the first part that had one, by its number.
 * Where threads can't be had, those that there are do it all.
 */
int mw_in_parallel(unsigned int threads, size_t count, mw_part_fn fn, void *arg);

/* CPU time of the calling thread and of those that worked for it in mw_in_parallel(), seconds. */
double mw_cpu_seconds(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs' counters: a target's, all CPUs together. */
#ifndef MW_TRACE_COUNTERS_H
#define MW_TRACE_COUNTERS_H

#include "bpf/memwhere.h"
#include "util/err.h"

struct mw_counters;

/*
 * FD is the descriptor of the map of counters, which stays the caller's. NULL with ERR set and, in
 * errno, its code.
 */
struct mw_counters *mw_counters__new(int fd, struct mw_err *err);
void mw_counters__free(struct mw_counters *counters);

/* 0 or -errno; then SUM is all 0. */
int mw_counters__read(struct mw_counters *counters, uint32_t slot, struct mw_counts *sum);

#endif

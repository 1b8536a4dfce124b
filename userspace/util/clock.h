/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one clock for deadlines and durations. */
#ifndef MW_UTIL_CLOCK_H
#define MW_UTIL_CLOCK_H

/* Seconds of CLOCK_MONOTONIC, which bpf_ktime_get_ns() also reads. */
double mw_monotonic(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one clock that deadlines and durations are of. */
#ifndef MW_UTIL_CLOCK_H
#define MW_UTIL_CLOCK_H

/* Seconds of CLOCK_MONOTONIC: the clock of bpf_ktime_get_ns(), too. */
double mw_monotonic(void);

#endif

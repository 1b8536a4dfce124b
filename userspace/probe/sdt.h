/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes that the target was built with (USDT, .note.stapsdt): otel_memory's samples, glibc's
 * growth and thresholds.
 */
#ifndef MW_PROBE_SDT_H
#define MW_PROBE_SDT_H

#include <stdbool.h>
#include <sys/types.h>

struct bpf_program;
struct mw_sdt;

/*
 * Run PROG at those that PID has; with EVERYONE in all processes that use the same files. NULL: it
 * has none, or they can't be attached (mw_detail() says so).
 */
struct mw_sdt *mw_sdt__attach(struct bpf_program *prog, pid_t pid, bool everyone);
void mw_sdt__detach(struct mw_sdt *sdt);

/* Does PID sample its own allocations? */
bool mw_sdt__has_samples(const struct mw_sdt *sdt);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a probe's hit costs on this machine, now: measured by putting probes into a function of
 * our own and calling it, since a trap costs anything from 0.3 to 16 us (docs/overhead.md).
 */
#ifndef MW_PROBE_CALIBRATE_H
#define MW_PROBE_CALIBRATE_H

#include <stdint.h>

#include "probe/detach.h"
#include "probe/prologue.h"

struct bpf_program;

struct mw_cost {
	uint32_t entry_ns[MW_PROBE_UNPROBEABLE]; /* by class, program included */
	uint32_t return_ns;			 /* what a return probe adds */
	/*
	 * The same while the kernel times programs (BPF_STATS_RUN_TIME), without what it tells that
	 * they took: timing costs some 40 ns a run itself, which is not in what is told.
	 */
	uint32_t timed_entry_ns[MW_PROBE_UNPROBEABLE], timed_return_ns;
	int measured; /* 0: the published figures (mw_probe_class_cost) */
};

/*
 * How long PROGRAM has run since it was loaded, while the kernel was timing programs, and how
 * often. Both 0 where the kernel doesn't tell.
 */
void mw_program_ran(const struct bpf_program *program, uint64_t *ns, uint64_t *runs);

/*
 * ENTRY and RET (NULL: no return probes) are the loaded programs, MULTI as in attach.h. Takes
 * about 20 ms; the links go to DETACHER. On any failure COST has the published figures.
 */
void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_detacher *detacher);

#endif

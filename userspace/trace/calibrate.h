/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a probe's hit costs on this machine, now: measured by putting probes into a function of
 * our own and calling it, since a trap costs anything from 0.3 to 16 us (docs/overhead.md).
 */
#ifndef MW_TRACE_CALIBRATE_H
#define MW_TRACE_CALIBRATE_H

#include <stdint.h>

#include "trace/reaper.h"
#include "trace/site.h"

struct bpf_program;

struct mw_cost {
	uint32_t entry_ns[MW_SITE_UNPROBEABLE]; /* by class, program included */
	uint32_t return_ns;			/* what a return probe adds */
	int measured;				/* 0: the published figures (mw_site_cost) */
};

/*
 * ENTRY and RET (NULL: no return probes) are the loaded programs, MULTI as in attach.h. Takes
 * about 20 ms; the links go to REAPER. On any failure COST has the published figures.
 */
void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_reaper *reaper);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a probe's hit costs on this machine, now: measured by putting probes into a function of this
 * program and calling it, since a trap costs anything from 0.3 to 16 us (docs/overhead.md).
 */
#ifndef MW_PROBE_CALIBRATE_H
#define MW_PROBE_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/allocator.h"
#include "probe/detach.h"
#include "probe/prologue.h"

struct bpf_program;

struct mw_cost {
	uint32_t entry_ns[MW_PROBE_UNPROBEABLE]; /* by class, program included */
	uint32_t return_ns;			 /* what a return probe adds */
	/*
	 * The same while the kernel times programs (BPF_STATS_RUN_TIME), without the time that it
	 * reports for them: timing itself costs some 40 ns a run, which that time leaves out.
	 */
	uint32_t timed_entry_ns[MW_PROBE_UNPROBEABLE], timed_return_ns;
};

/* Nanoseconds that a short system call takes here, with whatever traces system calls now. */
uint32_t mw_syscall_ns(void);

/* Nanoseconds of a debug trap: what single-stepping an instruction adds to emulating one. */
uint32_t mw_cost__debug_trap_ns(const struct mw_cost *cost);

/*
 * How long PROGRAM has run since it was loaded, while the kernel was timing programs, and how
 * often. Both 0 where the kernel doesn't report it (before Linux 5.8).
 */
void mw_program_ran(const struct bpf_program *program, uint64_t *ns, uint64_t *runs);

/*
 * ENTRY and RET (NULL: no return probes) are the loaded programs, MULTI as in attach.h. Takes
 * about 20 ms; the links go to DETACHER. On any failure COST has the published figures
 * (mw_probe_class_cost).
 */
void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_detacher *detacher);

/*
 * What a call of FN costs the target: a hit at its entry and, with RETURNS, one at its return.
 * Nanoseconds; 0: it is not probed.
 */
uint64_t mw_cost__call_ns(const struct mw_cost *cost, const struct mw_function *fn, bool returns);

/*
 * Seconds that a hit of LAYER's takes about, before any was seen; with RETURNS, of calls of
 * malloc's that also return.
 */
double mw_cost__hit_seconds(const struct mw_cost *cost, enum mw_layer layer, bool returns);

/* Nanoseconds that the calls that COUNTS has seen of FOUND's functions cost their target. */
uint64_t mw_cost__calls_ns(const struct mw_cost *cost, const struct mw_allocators *found,
			   const struct mw_counts *counts, bool returns);

/*
 * Seconds that the calls between BEFORE and AFTER cost besides their programs, while the kernel was
 * timing those.
 */
double mw_cost__timed_seconds(const struct mw_cost *cost, const struct mw_allocators *found,
			      const struct mw_counts *before, const struct mw_counts *after,
			      bool returns);

#endif

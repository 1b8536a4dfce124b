/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's probes of all processes that are watched: putting them in and out, and what they
 * cost.
 */
#ifndef MW_TRACE_PROBING_H
#define MW_TRACE_PROBING_H

#include <stdbool.h>
#include <stdint.h>

#include "model/rates.h"
#include "probe/calibrate.h"
#include "trace/options.h"
#include "trace/processes.h"
#include "util/err.h"

struct memwhere_bpf;
struct mw_probing;

/*
 * Measures what a hit costs (20 ms). BPF, loaded, and PROCESSES must outlive it; MULTI as in
 * probe/attach.h. New processes are to get their probes at once, until mw_probing__attach_kind().
 * NULL with errno set.
 */
struct mw_probing *mw_probing__new(const struct mw_tracer_options *options,
				   struct memwhere_bpf *bpf, struct mw_processes *processes,
				   bool multi);

/* Take all probes out, for good, and wait until they are. Costs stay known. */
void mw_probing__stop(struct mw_probing *probing);
void mw_probing__free(struct mw_probing *probing);

/*
 * Put malloc's probes into those allocators of PROCESS that have none. 0, or -errno with ERR set.
 */
int mw_probing__attach(struct mw_probing *probing, struct mw_process *process, struct mw_err *err);

/*
 * Put LAYER's probes of windows of KIND into all processes. STAY: malloc's also into processes and
 * libraries that come later (mw_probing__is_for_all()). 0 where any process has them, else -errno.
 */
int mw_probing__attach_kind(struct mw_probing *probing, enum mw_layer layer,
			    enum mw_window_kind kind, bool stay);
bool mw_probing__is_for_all(const struct mw_probing *probing);

/* Begin to take out the probes of PROCESS, or LAYER's of all; is that still going on? */
void mw_probing__detach(struct mw_probing *probing, struct mw_process *process);
void mw_probing__detach_all(struct mw_probing *probing, enum mw_layer layer);
bool mw_probing__is_detaching(const struct mw_probing *probing, enum mw_layer layer);

/* The probes in PROCESS's allocators; with --follow, those in the files. */
const struct mw_allocator_probes *mw_probing__of(const struct mw_probing *probing,
						 const struct mw_process *process);

/* Probes are in for a moment, and are to go out at once (probe/ready.h); or no longer. */
void mw_probing__be_ready(struct mw_probing *probing, enum mw_layer layer, bool on);

const struct mw_cost *mw_probing__cost(const struct mw_probing *probing);

/*
 * Let the kernel time the programs for LAYER's sake, or no longer: it times all of the machine's,
 * so it is switched off on every way out. The seconds that LAYER's ran while it did.
 */
void mw_probing__time_programs(struct mw_probing *probing, enum mw_layer layer, bool on);
double mw_probing__program_seconds(const struct mw_probing *probing, enum mw_layer layer);

#endif

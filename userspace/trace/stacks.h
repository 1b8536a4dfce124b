/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the BPF programs hand over of stacks to the sites of model/sites.h: what a process's
 * stacks need to be walked, names and lines for its frames, and the counters.
 */
#ifndef MW_TRACE_STACKS_H
#define MW_TRACE_STACKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/sites.h"
#include "util/err.h"

struct memwhere_bpf;
struct mw_tracked;
struct mw_stacks;

/* Set what the programs must know of sampling before they are loaded. PERIOD: bytes, 0: all. */
void mw_stacks__configure(struct memwhere_bpf *bpf, uint32_t sites_mode, uint64_t period,
			  uint32_t fault_period);

/* After the load. FREES_KNOWN: frees of allocations are seen. NULL with errno set. */
struct mw_stacks *mw_stacks__new(struct memwhere_bpf *bpf, uint64_t period, bool frees_known);
void mw_stacks__free(struct mw_stacks *stacks);

/*
 * Prepare TGID, whose entry is in the map of processes, PID for userspace (trace/pids.h): its
 * executable mappings and its Python. Called again after an exec or when code was loaded (CHANGED:
 * also for its Python). mw_detail() says what was found.
 */
int mw_stacks__prepare(struct mw_stacks *stacks, uint32_t tgid, pid_t pid, bool changed);

/* CHILD, PID for userspace, begins as a copy of PARENT; both are tgids. */
void mw_stacks__forked(struct mw_stacks *stacks, uint32_t parent, uint32_t child, pid_t pid);
void mw_stacks__ended(struct mw_stacks *stacks, uint32_t tgid);

/*
 * Call FN when a stack is of a process that is not known, before it goes without names: that is to
 * bring the process's fork.
 */
void mw_stacks__on_unknown(struct mw_stacks *stacks, void (*fn)(void *arg), void *arg);

/* A ring_buffer_sample_fn. */
int mw_stacks__handle(void *stacks, void *data, size_t len);

/* Blocks of a space that is gone leave the map: no longer outstanding at their site. */
void mw_stacks__purged(struct mw_stacks *stacks, uint64_t site, uint64_t size);

/*
 * Read the counters into the sites, ELAPSED seconds after the watch began (STARTED, seconds of
 * CLOCK_MONOTONIC), and now and then find out which blocks survive. TRACKED has the allocations
 * of windows; NULL: there were none.
 */
int mw_stacks__read(struct mw_stacks *stacks, double elapsed, double started,
		    const struct mw_tracked *tracked);

/* The target samples its own allocations and reports their frees, whatever the mode. */
void mw_stacks__set_frees_known(struct mw_stacks *stacks);

/*
 * From now on all allocations are counted, beside what windows saw before (STAYS), or only those in
 * windows.
 */
void mw_stacks__stay(struct mw_stacks *stacks, bool stays);

/* A new interval begins with what was read last. */
void mw_stacks__mark(struct mw_stacks *stacks);

/* Of TARGET no allocation is seen, whatever the mode: all that the kernel gave is growth. */
void mw_stacks__set_growth_only(struct mw_stacks *stacks, uint32_t target, bool growth_only);

struct mw_sites *mw_stacks__sites(struct mw_stacks *stacks);

#endif

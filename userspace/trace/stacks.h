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
#include "trace/options.h"
#include "util/err.h"

struct memwhere_bpf;
struct mw_blocks;
struct mw_tracked;
struct mw_stacks;

/* Set what the programs must know of sampling before they are loaded. */
void mw_stacks__configure(struct memwhere_bpf *bpf, const struct mw_tracer_options *options,
			  uint32_t fault_period);

/*
 * After the load; OPTIONS as before it. SEEN: the blocks that the programs know, by layer, the
 * caller's. NULL with errno set.
 */
struct mw_stacks *mw_stacks__new(struct memwhere_bpf *bpf, const struct mw_tracer_options *options,
				 const struct mw_blocks *seen);
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

/*
 * Call FN to ask whether ADDR of TGID is where Python's allocator takes new arenas: mappings made
 * below are one site of its own.
 */
void mw_stacks__on_mapping(struct mw_stacks *stacks,
			   bool (*fn)(void *arg, uint32_t tgid, uint64_t addr), void *arg);

/* A ring_buffer_sample_fn. */
int mw_stacks__handle(void *stacks, void *data, size_t len);

/* Blocks of a space that is gone leave the map: no longer outstanding at their site. */
void mw_stacks__purged(struct mw_stacks *stacks, uint64_t site, uint64_t size);

/*
 * Read the counters into the sites, ELAPSED seconds after the watch began (STARTED, seconds of
 * CLOCK_MONOTONIC), and now and then find out which blocks survive. TRACKED has each layer's
 * allocations of windows; NULL: there were none.
 */
int mw_stacks__read(struct mw_stacks *stacks, double elapsed, double started,
		    const struct mw_tracked *const tracked[MW_LAYERS]);

/* The target samples its own allocations and reports their frees, whatever the mode. */
void mw_stacks__set_frees_known(struct mw_stacks *stacks);

/*
 * From now on all of LAYER's allocations are counted, beside what windows saw before (STAYS), or
 * only those in windows.
 */
void mw_stacks__stay(struct mw_stacks *stacks, enum mw_layer layer, bool stays);

/* A new interval begins with what was read last. */
void mw_stacks__mark(struct mw_stacks *stacks);

/* Of TARGET no allocation is seen, whatever the mode: all that the kernel gave is growth. */
void mw_stacks__set_growth_only(struct mw_stacks *stacks, uint32_t target, bool growth_only);

struct mw_sites *mw_stacks__sites(struct mw_stacks *stacks);

/*
 * Of which types the objects are that stacks keep: forget what was known, then add what is known
 * now. Sites have it when they are read next.
 */
void mw_stacks__forget_types(struct mw_stacks *stacks);
void mw_stacks__add_type(struct mw_stacks *stacks, uint64_t id, const struct mw_type_name *type,
			 double count, double bytes);

/*
 * The stack that the programs call ID, at which a watched container got longer or shorter: NULL
 * when it has not come yet. It has no numbers, and is not among the sites.
 */
const struct mw_site_stats *mw_stacks__changer(const struct mw_stacks *stacks, uint64_t id);

#endif

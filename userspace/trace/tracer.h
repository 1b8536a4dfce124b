/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch over running processes: loads the BPF programs, finds the targets' allocators, puts the
 * probes in, follows forks, execs and libraries loaded later, and reads the counters. Whatever
 * way the process that owns a tracer ends, the kernel takes every probe down with it.
 */
#ifndef MW_TRACE_TRACER_H
#define MW_TRACE_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/sample.h"
#include "model/sites.h"
#include "probe/allocator.h"
#include "util/err.h"

struct mw_tracer; /* opaque */

struct mw_tracer_options {
	enum mw_mode mode;
	bool follow;
	uint64_t min_size, max_size; /* bytes, inclusive */
	uint64_t max_outstanding;    /* entries */
	uint64_t ring_size;	     /* bytes; rounded up to what the kernel takes */
	enum mw_sites_mode sites;    /* of which allocations the stack is taken */
	double max_overhead;	     /* share of the target's time; 0: no limit */
	uint64_t sample_period;	     /* bytes between two samples; for MW_SITES_SAMPLED */
};

typedef void (*mw_event_fn)(const struct mw_event *what, unsigned int target, void *arg);

/*
 * Load the programs; no target is attached yet. NULL with errno and ERR set. A caller wants
 * mw_privilege_check() first, whose words are better than the kernel's.
 */
struct mw_tracer *mw_tracer__open(const struct mw_tracer_options *options, struct mw_err *err);

/* Put probes into PID. Its number, from 0 on, in the order of the calls; or -errno with ERR set. */
int mw_tracer__add(struct mw_tracer *tracer, pid_t pid, struct mw_err *err);

/* Begin to count, everywhere at once. EVENT is called from mw_tracer__wait(). */
int mw_tracer__start(struct mw_tracer *tracer, mw_event_fn event, void *arg, struct mw_err *err);

/*
 * Handle what the programs report until UNTIL (seconds of CLOCK_MONOTONIC), until all targets
 * have ended or a signal came. 0, or -EINTR.
 */
int mw_tracer__wait(struct mw_tracer *tracer, double until);

/* The counters of target TARGET, now. 0 or -errno. */
int mw_tracer__read(struct mw_tracer *tracer, unsigned int target, struct mw_sample *sample);

/*
 * Read the sites' counters, of all targets, and go on with their history. 0 or -errno. It takes its
 * time after they are read: to be of the same moment, mw_tracer__read() goes just before it.
 */
int mw_tracer__read_sites(struct mw_tracer *tracer);

/* The sites; NULL when none were asked for. They live as long as the tracer. */
const struct mw_sites *mw_tracer__sites(const struct mw_tracer *tracer);

bool mw_tracer__all_ended(const struct mw_tracer *tracer);

/* The allocators of a target, for evidence; valid until the tracer is closed. */
const struct mw_allocators *mw_tracer__allocators(const struct mw_tracer *tracer,
						  unsigned int target);

/* Stop counting and take the probes out. The counters can still be read. */
void mw_tracer__stop(struct mw_tracer *tracer);
void mw_tracer__close(struct mw_tracer *tracer);

/* Bytes of kernel memory that the maps take now, as the kernel accounts for them; 0: unknown. */
uint64_t mw_tracer__map_bytes(const struct mw_tracer *tracer);

/* How long putting in and taking out the probes took, in seconds. */
double mw_tracer__attach_seconds(const struct mw_tracer *tracer);
double mw_tracer__detach_seconds(const struct mw_tracer *tracer);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch over running processes: loads the BPF programs, finds the targets' allocators, puts the
 * probes in, follows forks, execs and libraries loaded later, and reads the counters. However the
 * process that owns a tracer ends, the kernel takes every probe out.
 */
#ifndef MW_TRACE_TRACER_H
#define MW_TRACE_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/live_bytes.h"
#include "model/looks.h"
#include "model/sample.h"
#include "model/sites.h"
#include "trace/lengths.h"
#include "trace/options.h"
#include "trace/survivors.h"
#include "util/err.h"

struct mw_tracer; /* opaque */

/*
 * Load the programs; no target is attached yet. NULL with errno and ERR set. Call
 * mw_privilege_check() before: it says what is missing, the kernel does not.
 */
struct mw_tracer *mw_tracer__open(const struct mw_tracer_options *options, struct mw_err *err);

/*
 * Add PID as a target and, without a budget, put probes into it. Its number, from 0 on, in the
 * order of the calls; or -errno with ERR set.
 */
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
 * Read the sites' counters, of all targets, and extend their history. 0 or -errno. Call
 * mw_tracer__read() immediately before, so that both refer to the same moment.
 */
int mw_tracer__read_sites(struct mw_tracer *tracer);

/* Walk the heaps now, not when it is due; from any thread or signal handler. */
void mw_tracer__look(struct mw_tracer *tracer);

/*
 * What looks have shown of TARGET's blocks by size, times by CLOCK_MONOTONIC: of no site more is
 * kept than there is.
 */
void mw_tracer__set_live_bytes(struct mw_tracer *tracer, unsigned int target,
			       const struct mw_live_growth live[MW_LAYERS]);

/*
 * A new interval begins: what sites say of their interval is from here on. Call it after
 * mw_tracer__read_sites().
 */
void mw_tracer__mark(struct mw_tracer *tracer);

/* By GROWTH of what looks have seen of TARGET: a site has no more of its types than there is. */
void mw_tracer__limit_by_types(struct mw_tracer *tracer, unsigned int target,
			       const struct mw_look_growth *growth);

/* The sites; NULL when none were asked for. They live as long as the tracer. */
const struct mw_sites *mw_tracer__sites(const struct mw_tracer *tracer);

bool mw_tracer__all_ended(const struct mw_tracer *tracer);

/* Stop counting and take the probes out. The counters can still be read. */
void mw_tracer__stop(struct mw_tracer *tracer);
void mw_tracer__close(struct mw_tracer *tracer);

/*
 * Watch the lengths of these containers from now on, of LIST as many as there is room for, and of
 * no others (trace/lengths.h). Nothing happens where the kernel can't.
 */
void mw_tracer__watch_lengths(struct mw_tracer *tracer, const struct mw_watched_length *list,
			      size_t count);

/*
 * Sampled small objects of Python that are known to be there, into OUT (which keeps its list), and
 * of which types they are, as somebody else has found out: sites have that when they are read next.
 */
int mw_tracer__survivors(struct mw_tracer *tracer, struct mw_survivors *out);
void mw_tracer__take_types(struct mw_tracer *tracer, const struct mw_survivors *survivors);

/*
 * At which stacks CONTAINER of PID got longer or shorter while it was watched, into OUT, the one
 * that adds most first. Returns how many, at most MAX. SITE has frames, but no numbers.
 */
enum { MW_CHANGERS_MAX = 16 };
struct mw_changer {
	const struct mw_site_stats *site;
	uint64_t samples, added, removed; /* hits; elements */
};
size_t mw_tracer__changers(struct mw_tracer *tracer, pid_t pid, uint64_t container,
			   struct mw_changer *out, size_t max);

/* Bytes of kernel memory that the maps take now, as the kernel accounts for them; 0: unknown. */
uint64_t mw_tracer__map_bytes(const struct mw_tracer *tracer);

/* How long putting in and taking out the probes took, in seconds. */
double mw_tracer__attach_seconds(const struct mw_tracer *tracer);
double mw_tracer__detach_seconds(const struct mw_tracer *tracer);

#endif

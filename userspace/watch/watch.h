/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch: one session over one or many running processes. It puts the probes in, samples every
 * target once an interval, gathers events, reads sites and finds suspects as often as their cost
 * allows, and takes the probes out before the last sample. Sinks show or store the results: text,
 * JSON, the screen.
 *
 * One thread does all of this: the caller of mw_watch__run(), or the one that mw_watch__start()
 * makes. It also calls the sinks, so a slow sink delays the next sample.
 *
 * A periodic job has one of two places. A short one that needs the tracer, such as finding
 * suspects, runs in this thread between reading samples and giving them to the sinks, at its own
 * pace (watch/pace.h). A long one, such as reading the target's memory, needs a thread beside this
 * one, from begin to end of the watch; this thread takes its results over at the same point.
 */
#ifndef MW_WATCH_WATCH_H
#define MW_WATCH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/sample.h"
#include "model/sites.h"
#include "model/suspects.h"
#include "trace/tracer.h"
#include "util/err.h"
#include "watch/looks.h"

struct mw_watch; /* opaque */

enum { MW_WATCH_EVENTS = 256, MW_WATCH_SUSPECTS = 64 };

struct mw_watch_options {
	struct mw_tracer_options tracer;
	const pid_t *pids; /* the targets; copied */
	size_t count;	   /* of PIDS */
	double interval;   /* seconds between two samples */
	uint64_t samples;  /* the watch ends after so many; 0: no limit */
	double duration;   /* the watch ends after so many seconds; 0: no limit */
	/*
	 * Of its time the watch's thread may spend so much on reading sites, and as much again on
	 * finding suspects; 0: both at every sample.
	 */
	double sites_share;
	bool site_intervals; /* sites say what their interval was, too (struct mw_site_stats) */
	bool looks;	     /* at Python processes: what grew (watch/looks.h) */
};

/* A process that the user named; with --follow, together with its children. */
struct mw_watch_target {
	uint32_t index; /* in the order of PIDS; in struct mw_site_stats its `target` */
	pid_t pid;
	char name[64]; /* clean; follows an exec */
	double born;   /* when the process began, seconds of CLOCK_BOOTTIME; 0: unknown */
	double uptime; /* seconds since then, at the latest sample */
	/*
	 * The interval is from LAST to NOW. Until the probes are in, NOW has only what the kernel
	 * counts by itself (rss). LAST of the first interval is the watch's begin: all zeros but
	 * for rss.
	 */
	struct mw_sample last, now;
	struct mw_event events[MW_WATCH_EVENTS]; /* of the interval, oldest first */
	size_t event_count, events_dropped;	 /* those that came after EVENTS was full */
	const struct mw_sites *sites; /* of all targets, as read last; NULL: stacks are not taken */
	struct mw_label_groups *groups; /* its sites by their labels, with SITES */
	struct mw_resident resident;
	struct mw_suspect suspects[MW_WATCH_SUSPECTS]; /* as judged last, fastest first */
	struct mw_suspect growing[MW_WATCH_SUSPECTS];  /* by what the kernel gave; fastest first */
	size_t suspect_count, growing_count;
	struct mw_suspicions named;
	struct mw_looked looked;   /* what looks at its Python memory have shown so far */
	struct mw_outlook outlook; /* of suspects, as of the last time that sites were read */
};

/*
 * Who receives the results. Any of the calls may be NULL. They return 0, or -errno, which ends the
 * watch. They may read what they get until they return; sites and their frames live as long as the
 * watch. There is no call for single events: a target has those of its interval.
 */
struct mw_watch_sink {
	/* All probes are in; every target has its first sample. */
	int (*begin)(void *arg, const struct mw_watch *watch);
	/* An interval of TARGET is over; the last one is that in which its process ended. */
	int (*sample)(void *arg, const struct mw_watch_target *target);
	/* TARGET's sites have been read. Follows the samples of the same time. */
	int (*sites)(void *arg, const struct mw_watch_target *target);
	/* All probes are out; RET as mw_watch__run() returns it. Called however the watch ends. */
	int (*end)(void *arg, const struct mw_watch *watch, int ret);
	void *arg;
};

/*
 * The targets with their names and size; no probe yet. NULL with ERR set when there is no memory.
 * The caller finds out before whether it may trace (mw_privilege_check()).
 */
struct mw_watch *mw_watch__open(const struct mw_watch_options *options, struct mw_err *err);
/* After the watch has ended. Frees its sites, too: sinks may not use them any more. */
void mw_watch__close(struct mw_watch *watch);

/*
 * The whole watch: until its samples or its duration are over, all targets have ended, a signal
 * came (watch/signals.h), mw_watch__stop() was called or a sink failed. 0, or -errno with ERR set;
 * when a sink failed its -errno with ERR untouched. SINKS outlive the watch.
 */
int mw_watch__run(struct mw_watch *watch, const struct mw_watch_sink *sinks, size_t count,
		  struct mw_err *err);

/*
 * Run it in a new thread, which blocks the signals of watch/signals.h. mw_watch__finish() stops the
 * watch, waits for the thread and returns the result of mw_watch__run().
 */
int mw_watch__start(struct mw_watch *watch, const struct mw_watch_sink *sinks, size_t count,
		    struct mw_err *err);
int mw_watch__finish(struct mw_watch *watch, struct mw_err *err);

/* From any thread. */
void mw_watch__stop(struct mw_watch *watch);
void mw_watch__look(struct mw_watch *watch); /* as SIGUSR2: walk the heaps now */
void mw_watch__set_interval(struct mw_watch *watch, double seconds);
/* While PAUSED, probes still count but no sample is taken; events wait for the next sample. */
void mw_watch__pause(struct mw_watch *watch, bool paused);

/* Before it runs, from its sinks, and after it has ended. */
size_t mw_watch__count(const struct mw_watch *watch); /* of targets */
const struct mw_watch_target *mw_watch__target(const struct mw_watch *watch, size_t i);
uint64_t mw_watch__samples(const struct mw_watch *watch); /* intervals that sinks have seen */
bool mw_watch__all_ended(const struct mw_watch *watch);

#endif

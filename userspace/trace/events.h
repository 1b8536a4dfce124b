/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of the processes that are watched, as the BPF programs report them: births, new programs,
 * deaths, thresholds, new code.
 */
#ifndef MW_TRACE_EVENTS_H
#define MW_TRACE_EVENTS_H

#include <stddef.h>

#include "model/sample.h"
#include "trace/dead_spaces.h"
#include "trace/layers.h"
#include "trace/lengths.h"
#include "trace/probing.h"
#include "trace/processes.h"
#include "trace/stacks.h"

/* What events change; its owner's. */
struct mw_events {
	struct mw_processes *processes;
	struct mw_probing *probing;    /* NULL: no allocator probes */
	struct mw_stacks *stacks;      /* NULL: no sites */
	struct mw_layers *layers;      /* NULL: no budget */
	struct mw_lengths *lengths;    /* NULL: none are watched */
	struct mw_dead_spaces *dead;   /* NULL: no blocks are tracked */
	void (*before_end)(void *arg); /* a process ends, or its program does; NULL: nobody asks */
	void *before_end_arg;
	double started_at; /* seconds of CLOCK_MONOTONIC */
	mw_event_fn fn;	   /* NULL before the watch begins */
	void *arg;
};

/* A ring_buffer_sample_fn; EVENTS is a struct mw_events. */
int mw_events__handle(void *events, void *data, size_t len);

/* PROCESS has ended with these faults since its start, and STATUS as of wait(2). */
void mw_events__process_ended(struct mw_events *events, struct mw_process *process,
			      uint64_t min_flt, uint64_t maj_flt, uint64_t status);

/* PROCESS has ended, or can't be watched: nothing of it stays. */
void mw_events__drop(struct mw_events *events, struct mw_process *process);

/* Read PROCESS's thresholds again: mallopt, or a change that no munmap announced. */
void mw_events__refresh_settings(struct mw_events *events, struct mw_process *process);

/* Search for allocators where that is due after an exec or a dlopen. When next, at most UNTIL. */
double mw_events__rescan(struct mw_events *events, double until);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What model/windows.h asks for, done to real targets by the BPF programs of one layer. */
#ifndef MW_TRACE_WINDOWED_H
#define MW_TRACE_WINDOWED_H

#include "model/windows.h"
#include "trace/block_tracker.h"
#include "trace/counters.h"
#include "trace/options.h"
#include "trace/pool_meter.h"
#include "trace/probing.h"
#include "trace/processes.h"
#include "trace/stacks.h"

/* All of it is the tracer's. */
struct mw_windowed {
	enum mw_layer layer;
	const struct mw_tracer_options *options;
	struct memwhere_bpf *bpf;
	struct mw_processes *processes;
	struct mw_probing *probing;
	struct mw_counters *counters;
	struct mw_stacks *stacks;	 /* NULL: no sites */
	struct mw_block_tracker *blocks; /* NULL: no sites, or no budget */
	const struct mw_blocks *seen;	 /* by the programs, by layer */
	struct mw_pool_meter *meter;	 /* NULL: not Python's layer */
	uint32_t windows;		 /* full ones so far */
	bool measures;			 /* in this one */
	bool stays;			 /* probes are in for good */
	bool hurries;			 /* the watch's thread, which was this nice before */
	int usual_nice;
};

/* Their ARG is a struct mw_windowed. */
extern const struct mw_windows_ops mw_windowed_ops;

/* Begin and end to count LAYER; also without windows. */
void mw_windowed__count(struct memwhere_bpf *bpf, enum mw_layer layer, bool on);

/* Seconds of CPU that each target has used; 0 beyond the last. */
void mw_windowed__cpu(struct mw_processes *processes, double cpu[MW_SLOTS]);

#endif

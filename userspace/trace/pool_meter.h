/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measures in windows how much of what Python's pools hand out the probes see, by the pools' own
 * counts (model/coverage.h).
 */
#ifndef MW_TRACE_POOL_METER_H
#define MW_TRACE_POOL_METER_H

#include "model/coverage.h"
#include "trace/counters.h"
#include "trace/options.h"
#include "trace/processes.h"

struct mw_pool_meter {
	struct mw_processes *processes;
	struct mw_counters *counters;
	bool possible; /* all blocks are counted, and taken back, of the targets and nobody else */
	bool on;
	bool known[MW_SLOTS]; /* since it began, nothing of the slot could not be read */
	double allocated[MW_SLOTS], freed[MW_SLOTS]; /* by the probes, when it began */
	struct mw_coverage coverage[MW_SLOTS];
};

void mw_pool_meter__init(struct mw_pool_meter *meter, struct mw_processes *processes,
			 struct mw_counters *counters, const struct mw_tracer_options *options);

/* Counting begins just after, and ends just before. The second is nothing without the first. */
void mw_pool_meter__begin(struct mw_pool_meter *meter);
void mw_pool_meter__end(struct mw_pool_meter *meter);

#endif

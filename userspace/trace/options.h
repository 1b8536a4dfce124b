/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a watch is to do. */
#ifndef MW_TRACE_OPTIONS_H
#define MW_TRACE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/memwhere.h"

struct mw_tracer_options {
	enum mw_mode mode;
	bool needs_allocator;	     /* else a target without one is watched as by MW_MODE_GROWTH */
	bool follow;		     /* watch children, too */
	uint64_t min_size, max_size; /* bytes, inclusive */
	uint64_t max_outstanding;    /* entries */
	uint64_t ring_size;	     /* bytes; rounded up to what the kernel takes */
	enum mw_sites_mode sites;    /* of which allocations the stack is taken */
	double max_overhead;	     /* share of the target's time; 0: no limit */
	uint64_t sample_period;	     /* bytes between two samples; for MW_SITES_SAMPLED */
	bool sample_more;	     /* in windows samples may come more often than that */
};

/*
 * Bytes between two samples of LAYER; 0: stacks are taken of all allocations. Python's small
 * objects leak by fewer bytes, and a hit costs little beside those that are not sampled.
 */
enum { MW_PYTHON_SHARE = 128, MW_PYTHON_PERIOD_MIN = 4096 };
static inline uint64_t mw_tracer_options__period(const struct mw_tracer_options *options,
						 enum mw_layer layer)
{
	uint64_t period = options->sites == MW_SITES_SAMPLED ? options->sample_period : 0;

	if (layer != MW_LAYER_PYTHON || period <= MW_PYTHON_PERIOD_MIN)
		return period;
	period /= MW_PYTHON_SHARE;
	return period > MW_PYTHON_PERIOD_MIN ? period : MW_PYTHON_PERIOD_MIN;
}

#endif

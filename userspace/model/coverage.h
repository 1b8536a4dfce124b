/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of what an allocator hands out do its probes see? In a window, allocations less frees
 * must be what the allocator's own count of blocks in use has moved by; what is missing was handed
 * out unseen. Pure arithmetic.
 */
#ifndef MW_MODEL_COVERAGE_H
#define MW_MODEL_COVERAGE_H

#include <stddef.h>

/* Sums over windows; all zero at first. */
struct mw_coverage {
	size_t windows;
	double allocated;   /* blocks seen handed out */
	double seen, moved; /* blocks that came to be in use: by the probes, by the own count */
	double squares;	    /* of what each window differs by */
};

void mw_coverage__add(struct mw_coverage *coverage, double allocated, double freed, double moved);

/*
 * Share of the blocks handed out that was seen, with one standard ERROR, by how much windows differ
 * from one another. Below 0: too few windows to say.
 */
double mw_coverage__share(const struct mw_coverage *coverage, double *error);

/* By what the number seen is to be multiplied: 1 unless blocks are surely missing. */
double mw_coverage__scale(const struct mw_coverage *coverage);

#endif

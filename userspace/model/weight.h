/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sampled allocation stands for. The programs draw samples by bytes: the distance from one
 * to the next is exponential with the period as its mean, so that an allocation of SIZE bytes is
 * drawn with a chance of 1 - e^(-SIZE / period), and stands for the inverse of it.
 */
#ifndef MW_MODEL_WEIGHT_H
#define MW_MODEL_WEIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"

/* How many allocations a sample of SIZE bytes stands for; 1 when PERIOD is 0: each is drawn. */
double mw_sample_weight(uint64_t size, uint64_t period);

/*
 * How the samples of a window are drawn: classes of sizes (mw_size_class()) that are favoured as if
 * they were larger by MW_FAVOUR_SHIFT bits. What grows is worth more stacks than what comes and
 * goes.
 */
struct mw_sampling {
	uint64_t period; /* bytes; 0: each is drawn */
	bool favoured[MW_CLASSES];
};

/* How many allocations a sample of SIZE bytes stands for that was drawn so. */
double mw_sampling__weight(const struct mw_sampling *sampling, uint64_t size);

/* Allocations, and the bytes of all of them. */
struct mw_amounts {
	double count, bytes;
};

/*
 * Set the period so that of allocations like these, each class being of one size, a third is drawn
 * at the most, and where some are favoured few of the others. 0: there are none.
 */
void mw_sampling__set_period(struct mw_sampling *sampling,
			     const struct mw_amounts sizes[MW_CLASSES]);

/*
 * The tables by which the programs compute the same without floating point: x / (1 - e^-x) for
 * x = i / MW_WEIGHT_STEPS in units of 2^-20, and log2(1 + i / MW_LOG2_STEPS) in units of 2^-16.
 */
void mw_weight_tables(uint32_t weights[MW_WEIGHTS], uint32_t log2_table[MW_LOG2_STEPS + 1]);

#endif

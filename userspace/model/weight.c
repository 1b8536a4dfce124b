// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/weight.h"

double mw_sample_weight(uint64_t size, uint64_t period)
{
	return period && size ? 1 / -expm1(-(double)size / (double)period) : 1;
}

void mw_weight_tables(uint32_t weights[MW_WEIGHTS], uint32_t log2_table[MW_LOG2_STEPS + 1])
{
	for (unsigned int i = 0; i < MW_WEIGHTS; i++) {
		double x = (double)i / MW_WEIGHT_STEPS;

		weights[i] = (uint32_t)lround((x > 0 ? x / -expm1(-x) : 1) * (1 << 20));
	}
	for (unsigned int i = 0; i <= MW_LOG2_STEPS; i++)
		log2_table[i] = (uint32_t)lround(log2(1 + (double)i / MW_LOG2_STEPS) * 65536);
}

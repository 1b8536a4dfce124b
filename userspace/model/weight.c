// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/weight.h"

enum { PERIOD_MIN = 64, PERIOD_MAX = 16 << 10 };
static const double DRAWN = 1 / 3.0;

double mw_sample_weight(uint64_t size, uint64_t period)
{
	return period && size ? 1 / -expm1(-(double)size / (double)period) : 1;
}

static double share_drawn(const struct mw_amounts *sizes, size_t count, double period)
{
	double all = 0, drawn = 0;

	for (size_t i = 0; i < count; i++) {
		if (!(sizes[i].count > 0))
			continue;
		all += sizes[i].count;
		drawn -= sizes[i].count * expm1(-sizes[i].bytes / sizes[i].count / period);
	}
	return all > 0 ? drawn / all : 1;
}

uint64_t mw_sample_period(const struct mw_amounts *sizes, size_t count)
{
	uint64_t period = PERIOD_MAX;

	if (share_drawn(sizes, count, INFINITY) > 0)
		return 0;
	while (period > PERIOD_MIN && share_drawn(sizes, count, (double)period) < DRAWN)
		period /= 2;
	return period;
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

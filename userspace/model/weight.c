// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/weight.h"

enum { PERIOD_MIN = 64, PERIOD_MAX = 16 << 10 };
/* Of all allocations: what is drawn at the least, or of those that nothing favours. */
static const double DRAWN = 1 / 3.0, OTHERS = 1 / 16.0;

double mw_sample_weight(uint64_t size, uint64_t period)
{
	return period && size ? 1 / -expm1(-(double)size / (double)period) : 1;
}

double mw_sampling__weight(const struct mw_sampling *s, uint64_t size)
{
	unsigned int favour = s->favoured[mw_size_class(size)] ? MW_FAVOUR_SHIFT : 0;

	return mw_sample_weight(size << favour, s->period);
}

/* Of all allocations: those that are drawn and favoured, and those that are drawn and are not. */
struct drawn {
	double favoured, others;
};

static struct drawn share_drawn(const struct mw_sampling *s,
				const struct mw_amounts sizes[MW_CLASSES], double period)
{
	struct drawn drawn = {0};
	double all = 0;

	for (size_t i = 0; i < MW_CLASSES; i++) {
		double size = sizes[i].count > 0 ? sizes[i].bytes / sizes[i].count : 0;

		all += sizes[i].count;
		if (s->favoured[i])
			drawn.favoured -=
				sizes[i].count * expm1(-size * (1 << MW_FAVOUR_SHIFT) / period);
		else
			drawn.others -= sizes[i].count * expm1(-size / period);
	}
	if (all > 0) {
		drawn.favoured /= all;
		drawn.others /= all;
	}
	return drawn;
}

static bool are_enough(const struct drawn *drawn)
{
	return drawn->favoured + drawn->others >= DRAWN ||
	       (drawn->favoured > 0 && drawn->others >= OTHERS);
}

void mw_sampling__set_period(struct mw_sampling *s, const struct mw_amounts sizes[MW_CLASSES])
{
	double all = 0;

	for (size_t i = 0; i < MW_CLASSES; i++)
		all += sizes[i].count;
	s->period = all > 0 ? PERIOD_MAX : 0;
	while (s->period > PERIOD_MIN) {
		struct drawn drawn = share_drawn(s, sizes, (double)s->period);

		if (are_enough(&drawn))
			break;
		s->period /= 2;
	}
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

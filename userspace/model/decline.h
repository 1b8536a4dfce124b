/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does something grow ever more slowly, as a cache does while it fills? A leak does not. Pure
 * arithmetic.
 */
#ifndef MW_MODEL_DECLINE_H
#define MW_MODEL_DECLINE_H

#include <stdbool.h>

struct mw_series;

/*
 * How much of its mean rate a series has lost from its first point to its last: 0 when the rate was
 * the same all the time, about 1 when growth that dies away exponentially has fallen to 1/e.
 */
struct mw_decline {
	double share, error; /* ERROR: one standard error; INFINITY: not known */
};

/* By the rates in equal spans, whose scatter gives the error. */
struct mw_decline mw_decline__of(const struct mw_series *series);

/* It slows down; and: it surely doesn't, by much. Neither when too little is known. */
bool mw_decline__is_sure(const struct mw_decline *decline);
bool mw_decline__is_excluded(const struct mw_decline *decline);

/* Two that are known of one thing, each by its weight. */
struct mw_decline mw_decline__mean(const struct mw_decline *a, const struct mw_decline *b);

#endif

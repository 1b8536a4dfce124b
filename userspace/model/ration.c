// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/ration.h"

/* Seconds that are lent at first. */
static const double LENT = 0.002;
/*
 * Seconds: a shorter time on shows little, so it waits until it can be on for as long, unless that
 * takes more than may be saved: what it may take in so many seconds.
 */
static const double SPAN = 0.5, SAVED = 5, SAVED_MIN = 0.0005;
/* Seconds from one look at what it took to the next. */
static const double WAIT_MIN = 0.01, WAIT_MAX = 0.5;

void mw_ration__begin(struct mw_ration *r, double share)
{
	*r = (struct mw_ration){.share = share, .allowance = LENT, .on = true};
}

void mw_ration__passed(struct mw_ration *r, double seconds, double cpu, double taken)
{
	double enough;

	if (!(seconds > 0))
		return;
	r->allowance += r->share * cpu - taken;
	if (r->on)
		r->rate = taken / seconds;
	enough = fmax(fmin(SPAN * r->rate, SAVED * r->share * cpu / seconds), SAVED_MIN);
	r->allowance = fmin(r->allowance, enough);
	r->on = r->on ? r->allowance > 0 : r->allowance >= enough;
}

double mw_ration__wait(const struct mw_ration *r)
{
	if (!r->on || !(r->rate > 0))
		return r->on ? WAIT_MIN : WAIT_MAX;
	return fmin(fmax(r->allowance / r->rate, WAIT_MIN), WAIT_MAX);
}

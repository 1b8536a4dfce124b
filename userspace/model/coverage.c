// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/coverage.h"

/* Fewer windows say little of how much they differ. */
enum { WINDOWS_MIN = 4 };
/* Standard errors, and a share of all, that must be missing. */
static const double SURE = 3, LITTLE = 0.01;

void mw_coverage__add(struct mw_coverage *c, double allocated, double freed, double moved)
{
	double differs = moved - (allocated - freed);

	c->windows++;
	c->allocated += allocated;
	c->seen += allocated - freed;
	c->moved += moved;
	c->squares += differs * differs;
}

double mw_coverage__share(const struct mw_coverage *c, double *error)
{
	double missed = c->moved - c->seen, n = (double)c->windows, all;

	*error = 0;
	if (c->windows < WINDOWS_MIN || !(c->allocated > 0))
		return -1;
	*error = sqrt(fmax(c->squares - missed * missed / n, 0) * n / (n - 1));
	all = c->allocated + fmax(missed, 0);
	*error /= all;
	return c->allocated / all;
}

double mw_coverage__scale(const struct mw_coverage *c)
{
	double error, share = mw_coverage__share(c, &error);

	return share > 0 && 1 - share > SURE * error && 1 - share > LITTLE ? 1 / share : 1;
}

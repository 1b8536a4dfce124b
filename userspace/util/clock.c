// SPDX-License-Identifier: GPL-2.0-or-later
#include <time.h>

#include "util/clock.h"

double mw_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

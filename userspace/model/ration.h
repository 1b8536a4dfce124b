/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What costs the target something as long as it is on, however much or little there is to see, is
 * on for a part of the time: such that it takes no more than a share of the target's CPU time.
 * Pure arithmetic: no clock, no kernel.
 */
#ifndef MW_MODEL_RATION_H
#define MW_MODEL_RATION_H

#include <stdbool.h>

struct mw_ration {
	double share;	  /* of the target's CPU time */
	double allowance; /* seconds that it may take now; below 0: a debt */
	double rate;	  /* seconds that it takes of one in which it is on, as last seen */
	bool on;
};

/* A little is lent, or nothing would be seen of a target that uses little. */
void mw_ration__begin(struct mw_ration *ration, double share);

/*
 * SECONDS have passed, in which the target used CPU seconds, of which it took TAKEN. Sets whether
 * it may be on from now on.
 */
void mw_ration__passed(struct mw_ration *ration, double seconds, double cpu, double taken);

/* Seconds after which mw_ration__passed() is to be called again, at the latest. */
double mw_ration__wait(const struct mw_ration *ration);

#endif

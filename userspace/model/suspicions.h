/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites that were named as suspects. What is known of a site comes by chance, from windows that are
 * few, so that a leak may lack evidence for a moment. It stays named until something speaks against
 * it, or until it has lacked evidence for long. Pure logic.
 */
#ifndef MW_MODEL_SUSPICIONS_H
#define MW_MODEL_SUSPICIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { MW_SUSPICIONS = 16 };

struct mw_suspect_rate {
	double slope, error; /* bytes a second, one standard error of it */
};

/* All zero: none was named. */
struct mw_suspicions {
	struct mw_suspicion {
		const void *who;
		double named, confirmed;     /* seconds since the watch began */
		struct mw_suspect_rate rate; /* when it was confirmed */
		unsigned int against;	     /* judgements in a row */
	} list[MW_SUSPICIONS];
	size_t count;
};

enum mw_evidence {
	MW_EVIDENCE_FOR,
	MW_EVIDENCE_LACKS,
	MW_EVIDENCE_AGAINST, /* it is known not to leak */
};

/*
 * WHO was judged at NOW to grow by RATE. Is it to be named? Until the next judgement. What little
 * is seen while evidence lacks is not what it grows by: RATE becomes that of the last time when
 * there was evidence.
 */
bool mw_suspicions__judged(struct mw_suspicions *suspicions, const void *who,
			   enum mw_evidence evidence, double now, struct mw_suspect_rate *rate);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resident bytes of ranges of an image that are asked for in ascending order. */
#ifndef MW_LEDGER_RESIDENT_RANGES_H
#define MW_LEDGER_RESIDENT_RANGES_H

#include "image/image.h"

/* {SPANS} at first: of mw_image__spans(). */
struct mw_resident_ranges {
	const struct mw_spans *spans;
	size_t at; /* the first span that has not been passed yet */
};

/* Those from START to END; no later call may begin below START. */
uint64_t mw_resident_ranges__between(struct mw_resident_ranges *ranges, uint64_t start,
				     uint64_t end);

#endif

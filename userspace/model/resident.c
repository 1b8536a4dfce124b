// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/resident.h"
#include "model/series.h"

void mw_resident__add(struct mw_resident *r, double elapsed, double bytes)
{
	if (r->skipped++ < r->skip)
		return;
	r->skipped = 0;
	if (r->count == MW_RESIDENT_POINTS) {
		for (size_t i = 0; i < MW_RESIDENT_POINTS / 2; i++)
			r->points[i] = r->points[2 * i];
		r->count /= 2;
		r->skip = 2 * r->skip + 1;
	}
	r->points[r->count].elapsed = elapsed;
	r->points[r->count++].bytes = bytes;
}

double mw_resident__rate(const struct mw_resident *r, double since)
{
	size_t first = 0;

	if (!r || !r->count)
		return 0;
	while (first + 1 < r->count && r->points[first + 1].elapsed <= since)
		first++;
	if (first + 1 == r->count)
		return 0;
	return (r->points[r->count - 1].bytes - r->points[first].bytes) /
	       (r->points[r->count - 1].elapsed - r->points[first].elapsed);
}

struct mw_decline mw_resident__decline(const struct mw_resident *r, double since)
{
	struct mw_series s = {0};

	for (size_t i = 0; r && i < r->count; i++) {
		if (r->points[i].elapsed >= since)
			mw_series__add(&s, r->points[i].elapsed, r->points[i].bytes);
	}
	return mw_decline__of(&s);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger/resident_ranges.h"

uint64_t mw_resident_ranges__between(struct mw_resident_ranges *r, uint64_t start, uint64_t end)
{
	const struct mw_span *s = r->spans->spans;
	uint64_t sum = 0;

	while (r->at < r->spans->count && s[r->at].end <= start)
		r->at++;
	for (size_t i = r->at; i < r->spans->count && s[i].start < end; i++) {
		uint64_t from = s[i].start > start ? s[i].start : start;
		uint64_t to = s[i].end < end ? s[i].end : end;

		sum += to - from;
	}
	return sum;
}

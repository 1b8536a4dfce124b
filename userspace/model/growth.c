// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/growth.h"

#define LEAST_BYTES (256.0 * 1024)
#define LEAST_SHARE 0.05 /* of the largest */

double mw_site_own_growth(const struct mw_site_stats *site, bool interval)
{
	const struct mw_site_totals *t = interval ? &site->interval : &site->totals;
	double bytes = t->grown_bytes - t->returned_bytes;

	if (!(site->flags & MW_SITE_RATES_ONLY))
		bytes -= t->malloc_bytes;
	return bytes > 0 ? bytes : 0;
}

size_t mw_growth__top(const struct mw_sites *sites, uint32_t target, bool interval,
		      const struct mw_site_stats **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < mw_sites__count(sites) && max; i++) {
		const struct mw_site_stats *site = mw_sites__at(sites, i);
		double bytes = mw_site_own_growth(site, interval);
		size_t at;

		if (site->target != target || !(bytes >= LEAST_BYTES) ||
		    (n == max && bytes <= mw_site_own_growth(out[n - 1], interval)))
			continue;
		if (n < max)
			n++;
		for (at = n - 1; at && mw_site_own_growth(out[at - 1], interval) < bytes; at--)
			out[at] = out[at - 1];
		out[at] = site;
	}
	while (n && mw_site_own_growth(out[n - 1], interval) <
			    LEAST_SHARE * mw_site_own_growth(out[0], interval))
		n--;
	return n;
}

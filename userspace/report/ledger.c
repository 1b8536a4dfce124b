// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "report/bar.h"
#include "report/json.h"
#include "report/ledger.h"
#include "util/units.h"

enum { BAR = 24 };

const char *mw_residency_name(enum mw_residency residency)
{
	return residency == MW_RESIDENCY_SMAPS	    ? "rss"
	       : residency == MW_RESIDENCY_RECORDED ? "recorded-rss"
						    : "held-by-core";
}

json_t *mw_ledger_json(const struct mw_ledger *ledger, const char *target,
		       enum mw_residency residency, json_t *evidence)
{
	json_t *entries = json_array();

	for (size_t i = 0; i < ledger->count; i++) {
		const struct mw_ledger_entry *e = &ledger->entries[i];

		json_array_append_new(entries, json_pack("{s:s,s:o,s:o,s:o}", "owner", e->owner,
							 "bytes", mw_json_u64(e->bytes),
							 "resident_bytes", mw_json_u64(e->resident),
							 "count", mw_json_u64(e->count)));
	}
	return json_pack(
		"{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "target", target, "residency",
		mw_residency_name(residency), "resident_bytes", mw_json_u64(ledger->resident),
		"entries", entries, "unknown_bytes", mw_json_u64(ledger->unknown), "swapped_bytes",
		mw_json_u64(ledger->swapped), "hugetlb_bytes", mw_json_u64(ledger->hugetlb),
		"huge_page_bytes", mw_json_u64(ledger->thp), "adjusted_bytes",
		mw_json_u64(ledger->adjusted), "evidence", evidence ? evidence : json_array());
}

static void line(FILE *out, const char *owner, uint64_t resident, uint64_t sum, uint64_t count,
		 bool utf8)
{
	char size[MW_UNIT_BUF], number[MW_UNIT_BUF], bar[MW_BAR_BUF];
	double share = sum ? (double)resident / (double)sum : 0;

	fprintf(out, "%11s %5.1f %%  %-32s %9s  %s\n", mw_format_size(size, resident), 100 * share,
		owner, mw_format_count(number, count), mw_bar(bar, share, BAR, utf8));
}

void mw_ledger_text(FILE *out, const struct mw_ledger *ledger, const char *target,
		    enum mw_residency residency, bool color, bool utf8, bool all)
{
	static const char *const words[] = {
		"resident", "were resident when it was taken",
		"held by the core, which does not say what was resident"};
	uint64_t rest = 0, rest_count = 0;
	char a[MW_UNIT_BUF];

	fprintf(out, "%s: %s %s\n\n%s%11s %7s  %-32s %9s%s\n", target,
		mw_format_size(a, ledger->resident), words[residency], color ? "\033[1m" : "",
		"resident", "", "owner", "count", color ? "\033[0m" : "");
	for (size_t i = 0; i < ledger->count; i++) {
		const struct mw_ledger_entry *e = &ledger->entries[i];

		if (!e->resident && !all)
			continue;
		if (!all && e->resident < ledger->resident / 1000 &&
		    strcmp(e->owner, "anon/unknown")) {
			rest += e->resident;
			rest_count++;
			continue;
		}
		line(out, e->owner, e->resident, ledger->resident, e->count, utf8);
	}
	if (rest)
		line(out, "(smaller owners)", rest, ledger->resident, rest_count, utf8);
	line(out, "sum", ledger->resident, ledger->resident, ledger->count, utf8);
	if (ledger->swapped)
		fprintf(out, "besides, in swap: %s\n", mw_format_size(a, ledger->swapped));
	if (ledger->hugetlb)
		fprintf(out, "besides, in hugetlbfs pages: %s\n",
			mw_format_size(a, ledger->hugetlb));
	if (ledger->adjusted)
		fprintf(out, "changed while it was read: %s\n",
			mw_format_size(a, ledger->adjusted));
}

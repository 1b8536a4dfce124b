// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>

#include "model/growth.h"
#include "report/growth.h"
#include "report/json.h"
#include "util/units.h"

enum { LINES_MAX = 100, WIDTH = 200 };

/* Ranked by growth, the list of sites says the same already. */
static size_t collect(const struct mw_sites_view *view, const struct mw_site_stats **out)
{
	if (view->order == MW_SITES_BY_GROWTH)
		return 0;
	return mw_growth__top(view->sites, view->target, out,
			      view->top < LINES_MAX ? view->top : LINES_MAX);
}

static void print_line(FILE *out, const struct mw_site_stats *site, bool first, bool color)
{
	const struct mw_site_totals *t = &site->totals;
	const struct mw_frame *leaf = mw_site_leaf(site);
	char text[WIDTH], size[MW_UNIT_BUF], back[MW_UNIT_BUF];
	double times = t->grown_calls;

	fprintf(out, "  %-11s%10s  %s%s%s, %.0f mapping%s", first ? "growth" : "",
		mw_format_size(size, (uint64_t)mw_site_own_growth(site)), color ? "\033[1m" : "",
		leaf ? mw_frame_format(leaf, text, sizeof(text)) : "?", color ? "\033[0m" : "",
		times, times > 1 ? "s" : "");
	if (t->returned_bytes > 0)
		fprintf(out, ", %s returned", mw_format_size(back, (uint64_t)t->returned_bytes));
	fputc('\n', out);
}

void mw_growth_report__text(FILE *out, const struct mw_sites_view *view, bool color)
{
	const struct mw_site_stats *sites[LINES_MAX];
	size_t n = collect(view, sites);

	for (size_t i = 0; i < n; i++)
		print_line(out, sites[i], !i, color);
	for (size_t i = 0; i < view->growing_count && i < view->top; i++)
		fprintf(out, "  %-11s%s\n", i ? "" : "growing", view->growing[i].sentence);
}

static json_t *growing(const struct mw_suspect *s)
{
	return json_pack("{s:i,s:s,s:f,s:f,s:f}", "site", (int)s->site->id, "text", s->sentence,
			 "bytes_per_second", s->slope, "error", s->slope_error, "confidence",
			 s->confidence);
}

static json_t *growth(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;

	return json_pack("{s:i,s:o,s:o,s:o,s:o}", "site", (int)site->id, "bytes",
			 mw_json_u64((uint64_t)mw_site_own_growth(site)), "mappings",
			 mw_json_u64((uint64_t)llround(t->grown_calls)), "returned_bytes",
			 mw_json_u64((uint64_t)t->returned_bytes), "frames",
			 mw_site_json_frames(site));
}

int mw_growth_report__json(json_t *sites, const struct mw_sites_view *view)
{
	const struct mw_site_stats *list[LINES_MAX];
	size_t n = mw_growth__top(view->sites, view->target, list,
				  view->top < LINES_MAX ? view->top : LINES_MAX);
	json_t *lines = json_array(), *judged = json_array();
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		failed |= json_array_append_new(lines, growth(list[i]));
	for (size_t i = 0; i < view->growing_count; i++)
		failed |= json_array_append_new(judged, growing(&view->growing[i]));
	return failed | json_object_set_new(sites, "growth", lines) |
	       json_object_set_new(sites, "growing", judged);
}

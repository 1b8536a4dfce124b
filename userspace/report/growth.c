// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/growth.h"
#include "report/growth.h"
#include "report/json.h"
#include "util/units.h"

enum { LINES_MAX = 100, WIDTH = 200 };

/* Sites, and by what they are in the list. */
struct lines {
	const struct mw_site_stats *sites[LINES_MAX];
	size_t count;
	bool by_faults;
};

/*
 * A heap that lies in what was mapped before the watch grows without new mappings: then those that
 * touch its pages first.
 */
static void collect(const struct mw_sites_view *view, struct lines *lines)
{
	size_t max = view->top < LINES_MAX ? view->top : LINES_MAX;

	lines->count = mw_growth__top(view->sites, view->target, lines->sites, max);
	lines->by_faults = view->own_heap && !lines->count;
	if (lines->by_faults)
		lines->count = mw_sites__top(view->sites, view->target, MW_SITES_BY_FAULTS,
					     lines->sites, max);
}

static double bytes_of(const struct lines *lines, size_t i)
{
	return lines->by_faults ? lines->sites[i]->totals.fault_bytes
				: mw_site_own_growth(lines->sites[i]);
}

static void print_line(FILE *out, const struct lines *lines, size_t i, bool color)
{
	const struct mw_site_stats *site = lines->sites[i];
	const struct mw_site_totals *t = &site->totals;
	const struct mw_frame *leaf = mw_site_leaf(site);
	char text[WIDTH], size[MW_UNIT_BUF], back[MW_UNIT_BUF];

	if (!leaf)
		leaf = site->frames;
	fprintf(out, "  %-11s%10s  %s%s%s", i ? "" : "growth",
		mw_format_size(size, (uint64_t)bytes_of(lines, i)), color ? "\033[1m" : "",
		mw_frame_format(leaf, text, sizeof(text)), color ? "\033[0m" : "");
	if (lines->by_faults)
		fputs(", pages first touched", out);
	else
		fprintf(out, ", %.0f mapping%s", t->grown_calls, t->grown_calls > 1 ? "s" : "");
	if (!lines->by_faults && t->returned_bytes > 0)
		fprintf(out, ", %s returned", mw_format_size(back, (uint64_t)t->returned_bytes));
	fputc('\n', out);
}

void mw_growth_report__text(FILE *out, const struct mw_sites_view *view, bool color)
{
	struct lines lines = {.count = 0};

	/* Ranked by growth, the list of sites says the same already. */
	if (view->order != MW_SITES_BY_GROWTH)
		collect(view, &lines);
	for (size_t i = 0; i < lines.count; i++)
		print_line(out, &lines, i, color);
	for (size_t i = 0; i < view->growing_count && i < view->top; i++)
		fprintf(out, "  %-11s%s\n", i ? "" : "growing", view->growing[i].sentence);
}

static json_t *growing(const struct mw_suspect *s)
{
	return json_pack("{s:i,s:s,s:f,s:f,s:f}", "site", (int)s->site->id, "text", s->sentence,
			 "bytes_per_second", s->slope, "error", s->slope_error, "confidence",
			 s->confidence);
}

static json_t *growth(const struct lines *lines, size_t i)
{
	const struct mw_site_stats *site = lines->sites[i];
	const struct mw_site_totals *t = &site->totals;

	return json_pack("{s:i,s:s,s:o,s:o,s:o,s:o}", "site", (int)site->id, "by",
			 lines->by_faults ? "faults" : "mappings", "bytes",
			 mw_json_u64((uint64_t)bytes_of(lines, i)), "mappings",
			 mw_json_u64((uint64_t)llround(t->grown_calls)), "returned_bytes",
			 mw_json_u64((uint64_t)t->returned_bytes), "frames",
			 mw_site_json_frames(site));
}

int mw_growth_report__json(json_t *sites, const struct mw_sites_view *view)
{
	json_t *list = json_array(), *judged = json_array();
	struct lines lines;
	int failed = 0;

	collect(view, &lines);
	for (size_t i = 0; i < lines.count; i++)
		failed |= json_array_append_new(list, growth(&lines, i));
	for (size_t i = 0; i < view->growing_count; i++)
		failed |= json_array_append_new(judged, growing(&view->growing[i]));
	return failed | json_object_set_new(sites, "growth", list) |
	       json_object_set_new(sites, "growing", judged);
}

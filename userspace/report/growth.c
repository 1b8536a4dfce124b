// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/growth.h"
#include "report/growth.h"
#include "report/json.h"
#include "util/units.h"

enum { LINES_MAX = 100 };

/* Sites, and by what they are in the list. */
struct lines {
	const struct mw_label_groups *groups;
	const struct mw_site_stats *sites[LINES_MAX];
	size_t count;
	bool by_faults, interval;
};

static const struct mw_site_totals *totals_of(const struct lines *lines, size_t i)
{
	return lines->interval ? &lines->sites[i]->interval : &lines->sites[i]->totals;
}

static double bytes_of(const struct lines *lines, size_t i)
{
	return lines->by_faults ? totals_of(lines, i)->fault_bytes
				: mw_site_own_growth(lines->sites[i], lines->interval);
}

/*
 * A heap that lies in what was mapped before the watch grows without new mappings: then those that
 * touch its pages first.
 */
static void collect(const struct mw_sites_view *view, struct lines *lines)
{
	size_t max = view->top < LINES_MAX ? view->top : LINES_MAX;

	lines->groups = view->groups;
	lines->interval = view->interval;
	lines->count = mw_growth__top(view->sites, view->target, view->interval, lines->sites, max);
	lines->by_faults = view->own_heap && !lines->count;
	if (lines->by_faults)
		lines->count = mw_sites__top(view->sites, view->target, MW_SITES_BY_FAULTS,
					     lines->sites, max);
	/* They are ranked by all that they touched, be it before the interval. */
	for (size_t i = 0, n = lines->count; lines->by_faults && i < n; i++) {
		if (!i)
			lines->count = 0;
		if (bytes_of(lines, i) > 0)
			lines->sites[lines->count++] = lines->sites[i];
	}
}

static void print_line(FILE *out, const struct lines *lines, size_t i, bool color)
{
	const struct mw_site_stats *site = lines->sites[i];
	const struct mw_site_totals *t = totals_of(lines, i);
	const struct mw_label_group *group = mw_label_groups__of(lines->groups, site);
	char size[MW_UNIT_BUF], back[MW_UNIT_BUF];

	fprintf(out, "  %-11s%10s  %s%s%s", i ? "" : "growth",
		mw_format_size(size, (uint64_t)bytes_of(lines, i)), color ? "\033[1m" : "",
		group ? group->label : "?", color ? "\033[0m" : "");
	if (lines->by_faults)
		fputs(", pages first touched", out);
	else
		fprintf(out, ", %.0f mapping%s", t->grown_calls, t->grown_calls > 1 ? "s" : "");
	if (!lines->by_faults && t->returned_bytes > 0)
		fprintf(out, ", %s returned", mw_format_size(back, (uint64_t)t->returned_bytes));
	fputc('\n', out);
}

/* Bytes of a site that asks for ever more: in the interval, or since the watch began. */
static double grown(const struct mw_sites_view *view, const struct mw_suspect *s)
{
	const struct mw_site_totals *t = view->interval ? &s->site->interval : &s->site->totals;

	return t->grown_bytes > 0 ? t->grown_bytes - t->returned_bytes : t->fault_bytes;
}

/* What it says of the trend is of the whole time; of the interval is what stands before it. */
static void print_growing(FILE *out, const struct mw_sites_view *view, const struct mw_suspect *s,
			  const char *name)
{
	char size[MW_UNIT_BUF];

	if (view->interval)
		fprintf(out, "  %-11s%10s  since the watch began, %s\n", name,
			mw_format_size(size, (uint64_t)grown(view, s)), s->sentence);
	else
		fprintf(out, "  %-11s%s\n", name, s->sentence);
}

void mw_growth_report__text(FILE *out, const struct mw_sites_view *view, bool color)
{
	struct lines lines = {.count = 0};

	/* Ranked by growth, the list of sites says the same already. */
	if (view->order != MW_SITES_BY_GROWTH)
		collect(view, &lines);
	for (size_t i = 0; i < lines.count; i++)
		print_line(out, &lines, i, color);
	for (size_t i = 0, n = 0; i < view->growing_count && n < view->top; i++) {
		if (grown(view, &view->growing[i]) > 0)
			print_growing(out, view, &view->growing[i], n++ ? "" : "growing");
	}
}

const struct mw_suspect *mw_growth_report__first(const struct mw_sites_view *view)
{
	for (size_t i = 0; i < view->growing_count; i++) {
		if (grown(view, &view->growing[i]) > 0)
			return &view->growing[i];
	}
	return NULL;
}

static json_t *growing(const struct mw_sites_view *view, const struct mw_suspect *s)
{
	return json_pack("{s:i,s:s,s:o,s:f,s:f,s:f}", "site", (int)s->site->id, "text", s->sentence,
			 "bytes", mw_json_u64((uint64_t)grown(view, s)), "bytes_per_second",
			 s->slope, "error", s->slope_error, "confidence", s->confidence);
}

static json_t *growth(const struct lines *lines, size_t i)
{
	const struct mw_site_stats *site = lines->sites[i];
	const struct mw_site_totals *t = totals_of(lines, i);

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
	for (size_t i = 0; i < view->growing_count; i++) {
		if (grown(view, &view->growing[i]) > 0)
			failed |= json_array_append_new(judged, growing(view, &view->growing[i]));
	}
	return failed | json_object_set_new(sites, "growth", list) |
	       json_object_set_new(sites, "growing", judged);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>

#include "report/growth.h"
#include "report/json.h"
#include "report/sites.h"
#include "util/array.h"
#include "util/units.h"

enum { TOP_MAX = 1000, SUSPECTS_MAX = 32, WIDTH = 200, INDENT = 13 };

static const char *const order_names[] = {"outstanding", "growth", "allocs", "bytes", "faults"};

const char *mw_site_order_name(enum mw_site_order order)
{
	return order < MW_SITES_ORDERS ? order_names[order] : "?";
}

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{MW_SITE_TRUNCATED, "deeper than is looked at"},
	{MW_SITE_PARTIAL, "a Python frame could not be read"},
	{MW_SITE_FREED_CODE, "code was freed before it was looked at"},
	{MW_SITE_NATIVE_CUT, "native frames end early"},
	{MW_SITE_UNMATCHED, "the order of native and Python frames is not certain"},
};

/*
 * The sites to show: first the *RANKED ones that the order ranks. Where the order is by growth or
 * by what is outstanding, and fewer have any, those that allocate most fill up the list, or where
 * no allocation is seen those that touch most memory: by *REST.
 */
static size_t collect(const struct mw_sites_view *view, const struct mw_site_stats **out,
		      size_t *ranked, enum mw_site_order *rest)
{
	const struct mw_site_stats *more[TOP_MAX];
	size_t max = view->top < TOP_MAX ? view->top : TOP_MAX, n, m;

	n = mw_sites__top(view->sites, view->target, view->order, out, max);
	*ranked = n;
	*rest = MW_SITES_BY_BYTES;
	if (view->order != MW_SITES_BY_GROWTH && view->order != MW_SITES_BY_OUTSTANDING)
		return n;
	m = mw_sites__top(view->sites, view->target, *rest, more, max);
	if (!m && view->order == MW_SITES_BY_GROWTH) {
		*rest = MW_SITES_BY_FAULTS;
		m = mw_sites__top(view->sites, view->target, *rest, more, max);
	}
	for (size_t i = 0; i < m && n < max; i++) {
		size_t k = 0;

		while (k < *ranked && out[k] != more[i])
			k++;
		if (k == *ranked)
			out[n++] = more[i];
	}
	return n;
}

/* The quantity that ranks the site: "12.4 MiB ±0.8". */
static void print_amount(FILE *out, enum mw_site_order order, const struct mw_site_stats *site)
{
	double key = mw_site_key(site, order), error = mw_site_error(site);
	char size[MW_UNIT_BUF], more[MW_UNIT_BUF];

	if (order == MW_SITES_BY_ALLOCS) {
		fprintf(out, "%8s", mw_format_count(size, (uint64_t)key));
		return;
	}
	fprintf(out, "%10s", mw_format_size(size, (uint64_t)key));
	if (order == MW_SITES_BY_OUTSTANDING && error > 0)
		fprintf(out, " ±%s", mw_format_size(more, (uint64_t)error));
}

static void print_counts(FILE *out, const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	if (t->allocs > 0 && site->flags & MW_SITE_RATES_ONLY)
		fprintf(out, ", %s allocated", mw_format_count(a, (uint64_t)t->allocs));
	else if (t->allocs > 0)
		fprintf(out, ", %s allocated, %s freed", mw_format_count(a, (uint64_t)t->allocs),
			mw_format_count(b, (uint64_t)t->frees));
	if (t->grown_bytes > 0)
		fprintf(out, ", %s from the kernel", mw_format_size(a, (uint64_t)t->grown_bytes));
	if (t->fault_bytes > 0)
		fprintf(out, ", %s faulted in", mw_format_size(a, (uint64_t)t->fault_bytes));
}

static void print_site(FILE *out, const struct mw_sites_view *view, enum mw_site_order order,
		       const struct mw_site_stats *site, bool color)
{
	const struct mw_frame *leaf = mw_site_leaf(site);
	char text[WIDTH];

	if (!leaf)
		leaf = site->frames;
	print_amount(out, order, site);
	fprintf(out, "  %s%s%s", color ? "\033[1m" : "", mw_frame_format(leaf, text, sizeof(text)),
		color ? "\033[0m" : "");
	print_counts(out, site);
	fputc('\n', out);
	for (uint32_t i = 0; view->stacks && i < site->frame_count; i++)
		fprintf(out, "%*s%s\n", INDENT + 12, "",
			mw_frame_format(&site->frames[i], text, sizeof(text)));
	for (size_t i = 0; view->stacks && i < MW_ARRAY_SIZE(flag_names); i++) {
		if (site->flags & flag_names[i].flag)
			fprintf(out, "%*s(%s)\n", INDENT + 12, "", flag_names[i].name);
	}
}

void mw_sites_report__text(FILE *out, const struct mw_sites_view *view, bool color)
{
	const struct mw_site_stats *top[TOP_MAX];
	enum mw_site_order rest;
	size_t ranked, n = collect(view, top, &ranked, &rest);

	for (size_t i = 0; i < n; i++) {
		enum mw_site_order order = i < ranked ? view->order : rest;

		if (i && i != ranked)
			fprintf(out, "%*s", INDENT, "");
		else
			fprintf(out, "  %-11s", mw_site_order_name(order));
		print_site(out, view, order, top[i], color);
	}
	mw_growth_report__text(out, view, color);
	for (size_t i = 0; i < view->suspect_count && i < SUSPECTS_MAX; i++)
		fprintf(out, "  %-11s%s%s%s\n", i ? "" : "suspect", color ? "\033[31;1m" : "",
			view->suspects[i].sentence, color ? "\033[0m" : "");
}

static json_t *frame(const struct mw_frame *f)
{
	static const char *const kinds[] = {"python", "native", "note"};
	json_t *object = json_pack("{s:s,s:s,s:s}", "kind", kinds[f->kind], "function", f->function,
				   "file", f->file);

	json_object_set_new(object, "line", f->line ? mw_json_u64(f->line) : json_null());
	if (f->kind == MW_FRAME_NATIVE)
		json_object_set_new(object, "offset", mw_json_u64(f->offset));
	return object;
}

json_t *mw_site_json_frames(const struct mw_site_stats *site)
{
	json_t *frames = json_array();

	for (uint32_t i = 0; i < site->frame_count; i++)
		json_array_append_new(frames, frame(&site->frames[i]));
	return frames;
}

static json_t *rounded(double value)
{
	return mw_json_u64(value > 0 ? (uint64_t)llround(value) : 0);
}

/* Windows only see blocks that live shorter than a window, so their mean means nothing. */
static json_t *mean_lifetime(const struct mw_site_stats *s)
{
	const struct mw_site_totals *t = &s->totals;

	if (s->flags & MW_SITE_WINDOWS)
		return json_null();
	return json_real(t->frees > 0 ? t->lifetime_seconds / t->frees : 0);
}

static json_t *site(const struct mw_site_stats *s)
{
	const struct mw_site_totals *t = &s->totals;
	json_t *flags = json_array(), *object;

	for (size_t i = 0; i < MW_ARRAY_SIZE(flag_names); i++) {
		if (s->flags & flag_names[i].flag)
			json_array_append_new(flags, json_string(flag_names[i].name));
	}
	object = json_pack(
		"{s:i,s:o,s:o,s:{s:o,s:o},s:{s:o,s:o},s:{s:o,s:o},s:{s:o,s:o,s:o},s:o,s:o,s:o,s:o}",
		"id", (int)s->id, "frames", mw_site_json_frames(s), "incomplete", flags, "alloc",
		"calls", rounded(t->allocs), "bytes", rounded(t->alloc_bytes), "free", "calls",
		rounded(t->frees), "bytes", rounded(t->freed_bytes), "outstanding", "bytes",
		rounded(mw_site_outstanding(s)), "error_bytes", rounded(mw_site_error(s)), "growth",
		"calls", rounded(t->grown_calls), "bytes", rounded(t->grown_bytes),
		"returned_bytes", rounded(t->returned_bytes), "fault_bytes",
		rounded(t->fault_bytes), "temporaries", rounded(t->temporaries), "mean_lifetime",
		mean_lifetime(s), "samples", mw_json_u64(t->samples));
	return object;
}

json_t *mw_sites_report__json(const struct mw_sites_view *view)
{
	const struct mw_site_stats *top[TOP_MAX];
	json_t *sites = json_array(), *suspects = json_array(), *all;
	enum mw_site_order rest;
	size_t ranked, n = collect(view, top, &ranked, &rest);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(sites, site(top[i]));
	for (size_t i = 0; i < view->suspect_count && i < SUSPECTS_MAX; i++) {
		const struct mw_suspect *s = &view->suspects[i];

		json_array_append_new(suspects,
				      json_pack("{s:i,s:s,s:f,s:f,s:f,s:b,s:o,s:o,s:f}", "site",
						(int)s->site->id, "text", s->sentence,
						"bytes_per_second", s->slope, "error",
						s->slope_error, "confidence", s->confidence,
						"by_growth", s->by_growth, "born", rounded(s->born),
						"freed", rounded(s->freed), "age", s->age));
	}
	all = json_pack("{s:s,s:o,s:o,s:o}", "order", mw_site_order_name(view->order), "count",
			mw_json_u64(mw_sites__count(view->sites)), "top", sites, "suspects",
			suspects);
	if (all && mw_growth_report__json(all, view)) {
		json_decref(all);
		return NULL;
	}
	return all;
}

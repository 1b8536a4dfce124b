// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/words.h"
#include "report/growth.h"
#include "report/json.h"
#include "report/sites.h"
#include "util/array.h"
#include "util/units.h"

enum { TOP_MAX = 1000, SUSPECTS_MAX = 32, WIDTH = 200, INDENT = 13, TYPES_SHOWN = 3 };

static const char *const order_names[] = {"outstanding", "growth", "allocs", "bytes", "faults"};

const char *mw_site_order_name(enum mw_site_order order)
{
	return order < MW_SITES_ORDERS ? order_names[order] : "?";
}

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{MW_SITE_TRUNCATED, "deeper than the limit"},
	{MW_SITE_PARTIAL, "a Python frame could not be read"},
	{MW_SITE_FREED_CODE, "code was freed before its names were read"},
	{MW_SITE_NATIVE_CUT, "native frames end early"},
	{MW_SITE_UNMATCHED, "the order of native and Python frames is not certain"},
};

/* Stacks with one label are one row, unless their frames are shown or a program reads them. */
static size_t top_rows(const struct mw_sites_view *view, bool grouped, enum mw_site_order order,
		       const struct mw_site_stats **out, size_t max)
{
	const struct mw_label_group *groups[TOP_MAX];
	size_t n;

	if (!grouped || !view->groups)
		return mw_sites__top(view->sites, view->target, order, out, max);
	n = mw_label_groups__top(view->groups, order, groups, max);
	for (size_t i = 0; i < n; i++)
		out[i] = &groups[i]->total;
	return n;
}

/*
 * The sites to show: first the *RANKED ones that the order ranks. Where the order is by growth or
 * by what is outstanding, and fewer have any, those that allocate most fill up the list, or where
 * no allocation is seen those that touch most memory: by *REST.
 */
static size_t collect(const struct mw_sites_view *view, bool grouped,
		      const struct mw_site_stats **out, size_t *ranked, enum mw_site_order *rest)
{
	const struct mw_site_stats *more[TOP_MAX];
	size_t max = view->top < TOP_MAX ? view->top : TOP_MAX, n, m;

	n = top_rows(view, grouped, view->order, out, max);
	*ranked = n;
	*rest = MW_SITES_BY_BYTES;
	if (view->order != MW_SITES_BY_GROWTH && view->order != MW_SITES_BY_OUTSTANDING)
		return n;
	m = top_rows(view, grouped, *rest, more, max);
	if (!m && view->order == MW_SITES_BY_GROWTH) {
		*rest = MW_SITES_BY_FAULTS;
		m = top_rows(view, grouped, *rest, more, max);
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

static bool is_enough(const struct mw_sites_view *view, const struct mw_site_stats *site)
{
	if (site->flags & MW_SITE_UNSCALED)
		return false;
	if (site->flags & MW_SITE_STAY && !(site->flags & MW_SITE_PYTHON))
		return true;
	return site->flags & MW_SITE_PYTHON ? !view->python_too_little : !view->too_little;
}

const char *mw_sites_report__why_too_little(bool python, bool too_fast)
{
	if (python)
		return too_fast ? "it makes small objects too often to count them within the budget"
				: "small objects were watched for too few moments of its CPU time";
	return too_fast ? "it calls the allocator too often to tell its rate within the budget"
			: "probes were in for too few moments of its CPU time";
}

/* Looks at all blocks say what is kept, too, where enough of them were followed. */
static bool keeps_known(const struct mw_sites_view *view, const struct mw_site_stats *site)
{
	return is_enough(view, site) ||
	       (site->flags & MW_SITE_LIVE_KNOWN && mw_site_error(site) < site->totals.kept_bytes);
}

/* What the kernel gives is known however few allocations were seen. */
static bool is_known(const struct mw_sites_view *view, enum mw_site_order order,
		     const struct mw_site_stats *site)
{
	return is_enough(view, site) || order == MW_SITES_BY_GROWTH ||
	       order == MW_SITES_BY_FAULTS ||
	       (order == MW_SITES_BY_OUTSTANDING && keeps_known(view, site));
}

/* The quantity that ranks the site: "12.4 MiB ±0.8". */
static void print_amount(FILE *out, const struct mw_sites_view *view, enum mw_site_order order,
			 const struct mw_site_stats *site, int width)
{
	double key = mw_site_key(site, order), error = mw_site_error(site);
	char size[MW_UNIT_BUF], more[MW_UNIT_BUF];

	if (!is_known(view, order, site)) {
		fprintf(out, "%*s", width, "?");
		return;
	}
	if (order == MW_SITES_BY_ALLOCS) {
		fprintf(out, "%*s", width, mw_format_count(size, (uint64_t)key));
		return;
	}
	fprintf(out, "%*s", width, mw_format_size(size, (uint64_t)key));
	if (order == MW_SITES_BY_OUTSTANDING && error > 0 && error < key)
		fprintf(out, " ±%s", mw_format_size(more, (uint64_t)error));
}

static const struct mw_site_totals *totals_of(const struct mw_sites_view *view,
					      const struct mw_site_stats *site)
{
	return view->interval ? &site->interval : &site->totals;
}

static void print_counts(FILE *out, const struct mw_sites_view *view,
			 const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = totals_of(view, site);
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF], types[MW_TYPE_WORDS];

	if (t->allocs > 0 && !is_enough(view, site))
		fputs(", too little seen yet", out);
	else if (t->allocs > 0 && site->flags & MW_SITE_RATES_ONLY)
		fprintf(out, ", %s allocated", mw_format_count(a, (uint64_t)t->allocs));
	else if (t->allocs > 0)
		fprintf(out, ", %s allocated: %s kept, %s freed",
			mw_format_count(a, (uint64_t)t->allocs),
			mw_format_count(b, (uint64_t)t->kept),
			mw_format_count(c, (uint64_t)t->frees));
	if (t->allocs > 0 && t->unknown >= 1 && is_enough(view, site) &&
	    !(site->flags & MW_SITE_RATES_ONLY))
		fprintf(out, ", %s unknown", mw_format_count(a, (uint64_t)t->unknown));
	if (t->grown_bytes > 0)
		fprintf(out, ", %s from the kernel", mw_format_size(a, (uint64_t)t->grown_bytes));
	if (t->fault_bytes > 0)
		fprintf(out, ", %s faulted in", mw_format_size(a, (uint64_t)t->fault_bytes));
	if (site->types.count && is_enough(view, site))
		fprintf(out, "; kept %s",
			mw_type_counts__format(&site->types, TYPES_SHOWN, types, sizeof(types)));
}

static const char *label_of(const struct mw_sites_view *view, const struct mw_site_stats *site)
{
	const struct mw_label_group *group = mw_label_groups__of(view->groups, site);

	return group ? group->label : "?";
}

static void print_site(FILE *out, const struct mw_sites_view *view, enum mw_site_order order,
		       const struct mw_site_stats *site, bool color)
{
	char text[WIDTH];

	print_amount(out, view, order, site, 10);
	fprintf(out, "  %s%s%s", color ? "\033[1m" : "", label_of(view, site),
		color ? "\033[0m" : "");
	print_counts(out, view, site);
	fputc('\n', out);
	for (uint32_t i = 0; view->stacks && i < site->frame_count; i++)
		fprintf(out, "%*s%s\n", INDENT + 12, "",
			mw_frame_format(&site->frames[i], text, sizeof(text)));
	for (size_t i = 0; view->stacks && i < MW_ARRAY_SIZE(flag_names); i++) {
		if (site->flags & flag_names[i].flag)
			fprintf(out, "%*s(%s)\n", INDENT + 12, "", flag_names[i].name);
	}
}

static void print_outlook(FILE *out, const struct mw_sites_view *view)
{
	char text[160];

	if (!view->suspect_count && !view->own_heap && view->outlook &&
	    mw_outlook_format(text, sizeof(text), view->outlook, view->windows, view->watched))
		fprintf(out, "  %-11s%s\n", "so far", text);
}

void mw_sites_report__text(FILE *out, const struct mw_sites_view *view, bool color)
{
	const struct mw_site_stats *top[TOP_MAX];
	enum mw_site_order rest;
	size_t ranked, n = collect(view, !view->stacks, top, &ranked, &rest);

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
	print_outlook(out, view);
}

/* What ranks them, for people. */
static const char *const order_words[] = {"kept", "new from the kernel", "allocations", "allocated",
					  "touched"};

/* Without callers: "kept: 12.4 MiB app.py:13 remember". Only what is ranked by one order. */
static void print_brief(FILE *out, const struct mw_sites_view *view)
{
	const struct mw_site_stats *top[TOP_MAX];
	enum mw_site_order order;
	size_t ranked, shown = 0, n = collect(view, !view->stacks, top, &ranked, &order);

	if (ranked) {
		n = ranked;
		order = view->order;
	}
	for (size_t i = 0; i < n; i++) {
		const char *label = label_of(view, top[i]), *callers = strstr(label, " <- ");

		if (!is_known(view, order, top[i]))
			continue;
		if (mw_site_key(top[i], order) < 1)
			break;
		if (shown++)
			fputs("; ", out);
		else
			fprintf(out, "  %-11s%s: ", "sites", order_words[order]);
		print_amount(out, view, order, top[i], 0);
		fprintf(out, " %.*s", callers ? (int)(callers - label) : (int)strlen(label), label);
	}
	if (shown)
		fputc('\n', out);
	else if (n && !is_known(view, order, top[0]))
		fprintf(out, "  %-11stoo little seen yet: %s\n", "sites",
			top[0]->flags & MW_SITE_PYTHON
				? mw_sites_report__why_too_little(true, view->python_too_fast)
				: mw_sites_report__why_too_little(false, view->too_fast));
}

void mw_sites_report__brief(FILE *out, const struct mw_sites_view *view, bool color)
{
	const struct mw_suspect *growing = mw_growth_report__first(view);

	print_brief(out, view);
	if (view->suspect_count) {
		fprintf(out, "  %-11s%s%s%s", "suspect", color ? "\033[31;1m" : "",
			view->suspects[0].sentence, color ? "\033[0m" : "");
		if (view->suspect_count > 1)
			fprintf(out, " (and %zu more)", view->suspect_count - 1);
		fputc('\n', out);
	} else if (growing) {
		fprintf(out, "  %-11s%s\n", "growing", growing->sentence);
	} else {
		print_outlook(out, view);
	}
}

static json_t *outlook(const struct mw_sites_view *view)
{
	const struct mw_outlook *o = view->outlook;
	bool known = view->suspect_count > 0 || !o || o->state == MW_OUTLOOK_KNOWN;

	return json_pack("{s:o,s:s}", "seconds",
			 known			 ? json_real(0)
			 : o->seconds < INFINITY ? json_real(ceil(o->seconds))
						 : json_null(),
			 "why", mw_outlook_name(known ? MW_OUTLOOK_KNOWN : o->state));
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

static json_t *rounded_if(bool known, double value)
{
	return known ? rounded(value) : json_null();
}

/* Calls, bytes and one standard deviation of them. */
static json_t *amount(bool known, double calls, double bytes, double variance)
{
	return json_pack("{s:o,s:o,s:o}", "calls", rounded_if(known, calls), "bytes",
			 rounded_if(known, bytes), "error_bytes",
			 rounded_if(known, sqrt(fmax(variance, 0))));
}

static const char *layer_of(const struct mw_site_stats *s, const struct mw_site_totals *t)
{
	return s->flags & MW_SITE_PYTHON ? "python" : t->allocs > 0 ? "malloc" : "kernel";
}

/* The four words; they sum up also after they were rounded. */
static int put_liveness(json_t *object, const struct mw_sites_view *view,
			const struct mw_site_stats *s)
{
	const struct mw_site_totals *t = totals_of(view, s);
	bool known = !(s->flags & MW_SITE_RATES_ONLY), enough = is_enough(view, s);
	double kept = known ? round(t->kept) : 0, freed = known ? round(t->frees) : 0;
	double kept_bytes = known ? round(t->kept_bytes) : 0;
	double freed_bytes = known ? round(t->freed_bytes) : 0;
	double unknown = round(known ? t->unknown : t->allocs);
	double unknown_bytes = round(known ? t->unknown_bytes : t->alloc_bytes);

	return json_object_set_new(object, "layer", json_string(layer_of(s, t))) |
	       json_object_set_new(object, "allocated",
				   amount(enough, kept + freed + unknown,
					  kept_bytes + freed_bytes + unknown_bytes,
					  t->alloc_variance)) |
	       json_object_set_new(
		       object, "kept",
		       amount(keeps_known(view, s), kept, kept_bytes, t->live_variance)) |
	       json_object_set_new(object, "freed",
				   amount(enough, freed, freed_bytes, t->freed_variance)) |
	       json_object_set_new(object, "unknown",
				   amount(enough, unknown, unknown_bytes, t->unknown_variance)) |
	       json_object_set_new(object, "looked_seconds_ago",
				   view->walked_ago >= 0 ? json_real(view->walked_ago)
							 : json_null());
}

/* Of which types the objects are that are kept; empty: not looked yet, or no object of Python's. */
static json_t *types(const struct mw_site_stats *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->types.count; i++) {
		const struct mw_type_count *t = &s->types.list[i];

		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:o,s:o}", "type", t->type->name,
						"module", t->type->module, "count",
						rounded(t->count), "bytes", rounded(t->bytes)));
	}
	return list;
}

static json_t *site(const struct mw_sites_view *view, const struct mw_site_stats *s)
{
	const struct mw_site_totals *t = totals_of(view, s);
	json_t *flags = json_array(), *object;
	bool known = is_enough(view, s), holds = is_known(view, MW_SITES_BY_OUTSTANDING, s);

	for (size_t i = 0; i < MW_ARRAY_SIZE(flag_names); i++) {
		if (s->flags & flag_names[i].flag)
			json_array_append_new(flags, json_string(flag_names[i].name));
	}
	object = json_pack(
		"{s:i,s:s,s:o,s:o,s:{s:o,s:o},s:{s:o,s:o},s:{s:o,s:o},s:{s:o,s:o,s:o},s:o,s:o,s:o,s:o}",
		"id", (int)s->id, "label", label_of(view, s), "frames", mw_site_json_frames(s),
		"incomplete", flags, "alloc", "calls", rounded_if(known, t->allocs), "bytes",
		rounded_if(known, t->alloc_bytes), "free", "calls", rounded_if(known, t->frees),
		"bytes", rounded_if(known, t->freed_bytes), "outstanding", "bytes",
		rounded_if(holds, mw_site_outstanding(s)), "error_bytes",
		rounded_if(holds, mw_site_error(s)), "growth", "calls", rounded(t->grown_calls),
		"bytes", rounded(t->grown_bytes), "returned_bytes", rounded(t->returned_bytes),
		"fault_bytes", rounded(t->fault_bytes), "temporaries",
		rounded_if(known, t->temporaries), "mean_lifetime", mean_lifetime(s), "samples",
		mw_json_u64(t->samples));
	if (object && !put_liveness(object, view, s) &&
	    (!(s->flags & MW_SITE_PYTHON) || !json_object_set_new(object, "types", types(s))))
		return object;
	json_decref(object);
	return NULL;
}

/* The container that was seen to get longer at the line LABEL. */
static json_t *holder_at(const struct mw_sites_view *view, const char *label)
{
	const struct mw_grown_holder *h =
		view->looked ? mw_look_growth__added_at(view->looked, label) : NULL;

	return h ? json_pack("{s:s?,s:s,s:o}", "path", h->path[0] ? h->path : NULL, "type", h->type,
			     "length", mw_json_u64(h->length))
		 : json_null();
}

static json_t *suspect(const struct mw_sites_view *view, const struct mw_suspect *s)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:o,s:o,s:f,s:f,s:f,s:b,s:o,s:o,s:f}", "site",
			 (int)s->site->id, "label", s->label, "layer",
			 layer_of(s->site, &s->site->totals), "text", s->sentence, "holder",
			 holder_at(view, s->label), "types", types(s->site), "bytes_per_second",
			 s->slope, "error", s->slope_error, "confidence", s->confidence,
			 "by_growth", s->by_growth, "born", rounded(s->born), "freed",
			 rounded(s->freed), "age", s->age);
}

json_t *mw_sites_report__json(const struct mw_sites_view *view)
{
	const struct mw_site_stats *top[TOP_MAX];
	json_t *sites = json_array(), *suspects = json_array(), *all;
	enum mw_site_order rest;
	size_t ranked, n = collect(view, false, top, &ranked, &rest);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(sites, site(view, top[i]));
	for (size_t i = 0; i < view->suspect_count && i < SUSPECTS_MAX; i++)
		json_array_append_new(suspects, suspect(view, &view->suspects[i]));
	all = json_pack("{s:s,s:o,s:o,s:o}", "order", mw_site_order_name(view->order), "count",
			mw_json_u64(mw_sites__count(view->sites)), "top", sites, "suspects",
			suspects);
	if (all && (json_object_set_new(all, "suspects_by", outlook(view)) ||
		    mw_growth_report__json(all, view))) {
		json_decref(all);
		return NULL;
	}
	return all;
}

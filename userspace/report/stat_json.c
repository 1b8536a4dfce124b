// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "report/stat_report.h"
#include "probe/allocator.h"

static json_t *integer(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *cell(const char *count, struct mw_cell value)
{
	return json_pack("{s:o,s:o}", count, integer(value.count), "bytes", integer(value.bytes));
}

static json_t *sizes(const struct mw_counts *counts)
{
	json_t *list = json_array();

	for (unsigned int c = 0; c < MW_CLASSES; c++) {
		struct mw_cell sum = mw_counts__alloc_class(counts, c);
		uint64_t low, high;

		if (!sum.count && !counts->freed[c].count)
			continue;
		mw_class_bounds(c, &low, &high);
		json_array_append_new(list,
				      json_pack("{s:o,s:o,s:o,s:o,s:o}", "low", integer(low),
						"high", integer(high), "count", integer(sum.count),
						"bytes", integer(sum.bytes), "freed",
						integer(counts->freed[c].count)));
	}
	return list;
}

static json_t *placement(const struct mw_counts *counts)
{
	json_t *object = json_object();

	for (unsigned int p = 0; p < MW_PLACES; p++)
		json_object_set_new(object, mw_place_name(p),
				    cell("calls", mw_counts__alloc_at(counts, p)));
	return object;
}

static json_t *functions(const struct mw_counts *counts)
{
	json_t *object = json_object();

	for (unsigned int f = 1; f < MW_FUNCS; f++) {
		if (counts->calls[f])
			json_object_set_new(object, mw_func_name(f), integer(counts->calls[f]));
	}
	return object;
}

static json_t *lifetimes(const struct mw_counts *counts)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < 64; i++) {
		if (counts->lifetime[i])
			json_array_append_new(list, json_pack("{s:f,s:f,s:o}", "low",
							      i ? ldexp(1e-9, (int)i) : 0.0, "high",
							      ldexp(1e-9, (int)i + 1), "count",
							      integer(counts->lifetime[i])));
	}
	return list;
}

static json_t *lost(const struct mw_counts *counts)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < MW_LOSTS; i++)
		json_object_set_new(object, mw_lost_name(i), integer(counts->lost[i]));
	return object;
}

/* Those that the target has in itself and that were hit. */
static json_t *probes(const struct mw_counts *counts)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < MW_SDTS; i++) {
		if (counts->sdt[i].count)
			json_object_set_new(object, mw_sdt_name(i), cell("hits", counts->sdt[i]));
	}
	return object;
}

static double overhead_percent(const struct mw_sample *sample)
{
	double base = sample->cpu_ns ? (double)sample->cpu_ns : sample->elapsed * 1e9;
	double percent = base > 0 ? 100 * (double)sample->probe_ns / base : 0;

	if (sample->governed)
		return 100 * sample->cost;
	return percent > 100 ? 100 : percent;
}

/* What can be counted over a span of time, be it an interval or the whole watch. */
static int put_counts(json_t *object, const struct mw_sample *sample)
{
	const struct mw_counts *c = &sample->counts;
	const struct mw_vm_counts *vm = &c->vm;
	struct mw_cell alloc = mw_counts__alloc(c), freed = mw_counts__freed(c);
	json_t *part = json_pack(
		"{s:{s:o,s:o,s:o}, s:{s:o,s:o,s:o,s:o,s:o,s:o}, s:o, s:o, s:o, s:o, s:o,"
		" s:{s:o,s:o,s:o}, s:o, s:o, s:{s:o,s:o,s:o}, s:{s:o,s:o}, s:{s:o,s:o}}",
		"alloc", "calls", integer(alloc.count), "bytes", integer(alloc.bytes), "failed",
		integer(c->failed), "free", "calls", integer(mw_counts__free_calls(c)), "bytes",
		integer(freed.bytes), "null", integer(c->free_null), "unknown",
		integer(c->free_unknown), "internal", integer(c->free_internal), "by_realloc",
		integer(c->freed_by_realloc), "sizes", sizes(c), "placement", placement(c),
		"functions", functions(c), "lifetimes", lifetimes(c), "lost", lost(c), "brk",
		"calls", integer(vm->brk_calls), "grown_bytes", integer(vm->brk_grown),
		"shrunk_bytes", integer(vm->brk_shrunk), "mmap", cell("calls", vm->mmap), "munmap",
		cell("calls", vm->munmap), "mremap", "calls", integer(vm->mremap_calls),
		"grown_bytes", integer(vm->mremap_grown), "shrunk_bytes",
		integer(vm->mremap_shrunk), "madvise", "calls", integer(vm->madvise_calls),
		"freed_bytes", integer(vm->madvise_freed), "faults", "minor",
		integer(sample->min_flt), "major", integer(sample->maj_flt));
	int ret;

	if (!part)
		return -ENOMEM;
	ret = json_object_update(object, part);
	json_decref(part);
	if (!ret)
		ret = json_object_set_new(object, "probes", probes(c));
	if (!ret)
		ret = json_object_set_new(object, "interval", json_real(sample->elapsed)) |
		      json_object_set_new(object, "overhead_percent",
					  json_real(overhead_percent(sample)));
	return ret ? -ENOMEM : 0;
}

static json_t *event(const struct mw_event *what)
{
	static const char *const kinds[] = {"threshold", "fork", "exec", "exit", "allocator"};
	json_t *object = json_pack("{s:s,s:f,s:i}", "kind", kinds[what->kind], "elapsed",
				   what->elapsed, "pid", (int)what->pid);

	switch (what->kind) {
	case MW_EVENT_THRESHOLD:
		json_object_set_new(object, "old", integer(what->old_value));
		json_object_set_new(object, "new", integer(what->new_value));
		json_object_set_new(object, "size", integer(what->size));
		break;
	case MW_EVENT_FORK:
		json_object_set_new(object, "child", integer(what->new_value));
		break;
	case MW_EVENT_EXIT:
		json_object_set_new(object, "status", integer(what->size));
		break;
	case MW_EVENT_ALLOCATOR:
		json_object_set_new(object, "path", json_string(what->text));
		break;
	case MW_EVENT_EXEC:
		break;
	}
	return object;
}

/* What --max-overhead allowed, and what came of it. */
static json_t *governor(const struct mw_sample *now)
{
	json_t *errors = json_array();

	for (unsigned int c = 0; c < MW_CLASSES && !now->always; c++) {
		uint64_t low, high;

		if (!(now->seen[c] > 0))
			continue;
		mw_class_bounds(c, &low, &high);
		json_array_append_new(errors, json_pack("{s:o,s:o,s:f}", "low", integer(low),
							"high", integer(high), "error",
							mw_sample__class_error(now, c)));
	}
	return json_pack("{s:f,s:f,s:f,s:i,s:b,s:f,s:o}", "budget_percent", 100 * now->budget,
			 "cost_percent", 100 * now->cost, "duty_percent", 100 * now->duty,
			 "windows", (int)now->windows, "always", now->always, "error",
			 now->always ? 0.0 : now->error, "sizes", errors);
}

int mw_stat_report__json(FILE *out, const struct mw_stat_report *report)
{
	const struct mw_sample *now = report->total;
	json_t *doc, *total, *events;
	int ret;

	doc = json_pack("{s:f,s:i,s:s,s:s,s:o,s:o,s:b,s:{s:o,s:o}}", "time", now->time, "pid",
			(int)report->pid, "name", report->name, "mode",
			mw_mode_name(report->mode, now), "rss_bytes", integer(now->rss),
			"processes", integer(now->processes), "ended", now->ended, "outstanding",
			"count", integer(now->outstanding_count), "bytes",
			integer(now->outstanding_bytes));
	total = json_object();
	events = json_array();
	if (!doc || !total || !events)
		return -ENOMEM;
	json_object_set_new(doc, "mmap_threshold",
			    now->threshold_known ? integer(now->mmap_threshold) : json_null());
	json_object_set_new(doc, "trim_threshold",
			    now->threshold_known ? integer(now->trim_threshold) : json_null());
	json_object_set_new(doc, "threshold_dynamic",
			    now->threshold_known ? json_boolean(now->threshold_dynamic)
						 : json_null());
	ret = put_counts(doc, report->interval);
	if (!ret)
		ret = put_counts(total, now);
	for (size_t i = 0; i < report->event_count; i++)
		json_array_append_new(events, event(&report->events[i]));
	json_object_set_new(doc, "events", events);
	json_object_set_new(doc, "events_dropped", integer(report->events_dropped));
	json_object_set_new(doc, "total", total);
	if (now->governed)
		json_object_set_new(doc, "governor", governor(now));
	if (now->governed && !now->always)
		json_object_set_new(doc, "outstanding", json_null());
	if (report->sites.sites)
		json_object_set_new(doc, "sites", mw_sites_report__json(&report->sites));
	if (!ret && (json_dumpf(doc, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) ||
		     fputc('\n', out) == EOF || fflush(out)))
		ret = -EIO;
	json_decref(doc);
	return ret;
}

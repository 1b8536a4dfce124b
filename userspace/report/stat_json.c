// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "model/words.h"
#include "probe/allocator.h"
#include "report/json.h"
#include "report/looks.h"
#include "report/stat_report.h"
#include "util/array.h"

/* VALUE, or NULL when a part of it FAILED to be made: a document is whole or there is none. */
static json_t *whole(json_t *value, int failed)
{
	if (failed) {
		json_decref(value);
		return NULL;
	}
	return value;
}

static json_t *cell(const char *count, struct mw_cell value)
{
	return json_pack("{s:o,s:o}", count, mw_json_u64(value.count), "bytes",
			 mw_json_u64(value.bytes));
}

static json_t *sizes(const struct mw_counts *counts)
{
	json_t *list = json_array();
	int failed = 0;

	for (unsigned int c = 0; c < MW_CLASSES; c++) {
		struct mw_cell sum = mw_counts__alloc_class(counts, c);
		uint64_t low, high;

		if (!sum.count && !counts->freed[c].count)
			continue;
		mw_class_bounds(c, &low, &high);
		failed |= json_array_append_new(
			list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "low", mw_json_u64(low), "high",
					mw_json_u64(high), "count", mw_json_u64(sum.count), "bytes",
					mw_json_u64(sum.bytes), "freed",
					mw_json_u64(counts->freed[c].count)));
	}
	return whole(list, failed);
}

static json_t *placement(const struct mw_counts *counts)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int p = 0; p < MW_PLACES; p++)
		failed |= json_object_set_new(object, mw_place_name(p),
					      cell("calls", mw_counts__alloc_at(counts, p)));
	return whole(object, failed);
}

static json_t *functions(const struct mw_counts *counts)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int f = 1; f < MW_FUNCS; f++) {
		if (counts->calls[f])
			failed |= json_object_set_new(object, mw_func_name(f),
						      mw_json_u64(counts->calls[f]));
	}
	return whole(object, failed);
}

static json_t *lifetimes(const struct mw_counts *counts)
{
	json_t *list = json_array();
	int failed = 0;

	for (unsigned int i = 0; i < 64; i++) {
		if (counts->lifetime[i])
			failed |= json_array_append_new(
				list,
				json_pack("{s:f,s:f,s:o}", "low", i ? ldexp(1e-9, (int)i) : 0.0,
					  "high", ldexp(1e-9, (int)i + 1), "count",
					  mw_json_u64(counts->lifetime[i])));
	}
	return whole(list, failed);
}

static json_t *lost(const struct mw_counts *counts)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = 0; i < MW_LOSTS; i++)
		failed |=
			json_object_set_new(object, mw_lost_name(i), mw_json_u64(counts->lost[i]));
	return whole(object, failed);
}

/* Those that the target has in itself and that were hit. */
static json_t *probes(const struct mw_counts *counts)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = 0; i < MW_SDTS; i++) {
		if (counts->sdt[i].count)
			failed |= json_object_set_new(object, mw_sdt_name(i),
						      cell("hits", counts->sdt[i]));
	}
	return whole(object, failed);
}

static double overhead_percent(const struct mw_sample *sample)
{
	double base = sample->cpu_ns ? (double)sample->cpu_ns : sample->elapsed * 1e9;
	double percent = base > 0 ? 100 * (double)sample->probe_ns / base : 0;

	if (sample->governed)
		return 100 * sample->cost;
	return percent > 100 ? 100 : percent;
}

static const char *const by_probes[] = {"alloc",     "free",	  "sizes",
					"placement", "functions", "lifetimes"};

/* Adds what is counted over a span of time: an interval or the whole watch. 0 or not. */
static int put_counts(json_t *object, const struct mw_sample *sample)
{
	const struct mw_counts *c = &sample->counts;
	const struct mw_vm_counts *vm = &c->vm;
	struct mw_cell alloc = mw_counts__alloc(c), freed = mw_counts__freed(c);
	json_t *part = json_pack(
		"{s:{s:o,s:o,s:o}, s:{s:o,s:o,s:o,s:o,s:o,s:o,s:o}, s:o, s:o, s:o, s:o, s:o,"
		" s:{s:o,s:o,s:o}, s:o, s:o, s:{s:o,s:o,s:o}, s:{s:o,s:o}, s:{s:o,s:o}}",
		"alloc", "calls", mw_json_u64(alloc.count), "bytes", mw_json_u64(alloc.bytes),
		"failed", mw_json_u64(c->failed), "free", "calls",
		mw_json_u64(mw_counts__free_calls(c)), "bytes", mw_json_u64(freed.bytes), "null",
		mw_json_u64(c->free_null), "unknown", mw_json_u64(c->free_unknown), "internal",
		mw_json_u64(c->free_internal), "by_realloc", mw_json_u64(c->freed_by_realloc),
		"python", mw_json_u64(c->python_frees), "sizes", sizes(c), "placement",
		placement(c), "functions", functions(c), "lifetimes", lifetimes(c), "lost", lost(c),
		"brk", "calls", mw_json_u64(vm->brk_calls), "grown_bytes",
		mw_json_u64(vm->brk_grown), "shrunk_bytes", mw_json_u64(vm->brk_shrunk), "mmap",
		cell("calls", vm->mmap), "munmap", cell("calls", vm->munmap), "mremap", "calls",
		mw_json_u64(vm->mremap_calls), "grown_bytes", mw_json_u64(vm->mremap_grown),
		"shrunk_bytes", mw_json_u64(vm->mremap_shrunk), "madvise", "calls",
		mw_json_u64(vm->madvise_calls), "freed_bytes", mw_json_u64(vm->madvise_freed),
		"faults", "minor", mw_json_u64(sample->min_flt), "major",
		mw_json_u64(sample->maj_flt));
	int failed = json_object_update(object, part);

	json_decref(part);
	/* No number is better than one that says nothing. */
	for (size_t i = 0; sample->governed && !sample->enough && i < MW_ARRAY_SIZE(by_probes); i++)
		failed |= json_object_set_new(object, by_probes[i], json_null());
	return failed | json_object_set_new(object, "probes", probes(c)) |
	       json_object_set_new(object, "interval", json_real(sample->elapsed)) |
	       json_object_set_new(object, "overhead_percent", json_real(overhead_percent(sample)));
}

static json_t *threshold_cause(enum mw_threshold_cause cause)
{
	return cause == MW_MOVED_BY_FREE      ? json_string("free")
	       : cause == MW_MOVED_BY_MALLOPT ? json_string("mallopt")
					      : json_null();
}

static json_t *event(const struct mw_event *what)
{
	static const char *const kinds[] = {"threshold", "fork", "exec", "exit", "allocator"};
	json_t *object = json_pack("{s:s,s:f,s:i}", "kind", kinds[what->kind], "elapsed",
				   what->elapsed, "pid", (int)what->pid);
	int failed = 0;

	switch (what->kind) {
	case MW_EVENT_THRESHOLD:
		failed = json_object_set_new(object, "old", mw_json_u64(what->old_value)) |
			 json_object_set_new(object, "new", mw_json_u64(what->new_value)) |
			 json_object_set_new(object, "size", mw_json_u64(what->size)) |
			 json_object_set_new(object, "by", threshold_cause(what->cause));
		break;
	case MW_EVENT_FORK:
		failed = json_object_set_new(object, "child", mw_json_u64(what->new_value));
		break;
	case MW_EVENT_EXIT:
		failed = json_object_set_new(object, "status", mw_json_u64(what->size));
		break;
	case MW_EVENT_ALLOCATOR:
		failed = json_object_set_new(object, "path", json_string(what->text));
		break;
	case MW_EVENT_EXEC:
		break;
	}
	return whole(object, failed);
}

static json_t *events(const struct mw_event *list, size_t count)
{
	json_t *array = json_array();
	int failed = 0;

	for (size_t i = 0; i < count; i++)
		failed |= json_array_append_new(array, event(&list[i]));
	return whole(array, failed);
}

/* How much of what pools hand out is seen; null: not measured yet, or it can't be. */
static json_t *python_coverage(const struct mw_coverage *c)
{
	double error, share = mw_coverage__share(c, &error);

	if (!c->windows)
		return json_null();
	return json_pack("{s:i,s:f,s:f,s:f,s:o,s:o}", "windows", (int)c->windows, "allocated",
			 c->allocated, "seen", c->seen, "moved", c->moved, "share",
			 share < 0 ? json_null() : json_real(share), "error",
			 share < 0 ? json_null() : json_real(error));
}

/* What it costs memwhere to find out which sampled blocks are still allocated. */
static json_t *looks(const struct mw_sample *now)
{
	const struct mw_heap_looks *l = &now->looks;

	return json_pack("{s:o,s:f,s:f,s:o,s:o,s:o}", "count", mw_json_u64(l->count), "cpu_seconds",
			 l->cpu_seconds, "cpu_percent",
			 now->elapsed > 0 ? 100 * l->cpu_seconds / now->elapsed : 0.0, "bytes",
			 mw_json_u64(l->bytes), "whole_seconds",
			 l->whole_seconds >= 0 ? json_real(l->whole_seconds) : json_null(), "note",
			 *l->note ? json_string(l->note) : json_null());
}

/* What --max-overhead allowed, and what came of it. */
static json_t *governor(const struct mw_sample *now)
{
	static const char *const layers[] = {[MW_PYTHON_NONE] = "none",
					     [MW_PYTHON_SEEN] = "seen",
					     [MW_PYTHON_SAMPLED] = "sampled"};
	json_t *errors = json_array();
	int failed = 0;

	for (unsigned int c = 0; c < MW_CLASSES && now->enough && !now->always; c++) {
		uint64_t low, high;

		if (!(now->seen[c] > 0))
			continue;
		mw_class_bounds(c, &low, &high);
		failed |= json_array_append_new(errors,
						json_pack("{s:o,s:o,s:f}", "low", mw_json_u64(low),
							  "high", mw_json_u64(high), "error",
							  mw_sample__class_error(now, c)));
	}
	return json_pack(
		"{s:b,s:o,s:f,s:f,s:f,s:f,s:f,s:f,s:i,s:b,s:o,s:o,s:o,s:s,s:o}", "enough",
		now->enough, "at_least_per_cpu_second",
		now->enough || !(now->least > 0) ? json_null() : json_real(now->least), "coverage",
		now->coverage, "budget_percent", 100 * now->budget, "cost_percent", 100 * now->cost,
		"standing_percent", 100 * now->standing, "system_calls_seen",
		now->system_calls_seen, "duty_percent", 100 * now->coverage, "windows",
		(int)now->windows, "always", now->always, "error",
		now->enough ? json_real(now->always ? 0 : now->error) : json_null(), "sizes",
		whole(errors, failed), "looks", looks(now), "python", layers[now->python],
		"python_coverage", python_coverage(&now->python_coverage));
}

/* With a budget: what it allowed; what is outstanding is known only when probes are always in. */
static int put_governed(json_t *doc, const struct mw_sample *now)
{
	int failed = 0;

	if (now->governed)
		failed |= json_object_set_new(doc, "governor", governor(now));
	if (now->governed && !now->always)
		failed |= json_object_set_new(doc, "outstanding", json_null());
	return failed;
}

/* The heap that no probe reaches; null: there is none. */
static json_t *reach(const struct mw_sample *now)
{
	char text[160];

	if (!mw_reach_format(text, sizeof(text), now))
		return json_null();
	return json_pack("{s:b,s:s?,s:s}", "allocator", !now->out_of_reach, "runtime", now->runtime,
			 "text", text);
}

static int put_thresholds(json_t *doc, const struct mw_sample *now)
{
	bool known = now->threshold_known;

	return json_object_set_new(doc, "mmap_threshold",
				   known ? mw_json_u64(now->mmap_threshold) : json_null()) |
	       json_object_set_new(doc, "trim_threshold",
				   known ? mw_json_u64(now->trim_threshold) : json_null()) |
	       json_object_set_new(doc, "threshold_dynamic",
				   known ? json_boolean(now->threshold_dynamic) : json_null());
}

static json_t *document(const struct mw_stat_report *report, const struct mw_watch_target *target)
{
	const struct mw_sites_view sites = mw_stat_report__sites(report, target, true);
	const struct mw_sites_view all = mw_stat_report__sites(report, target, false);
	const struct mw_sample *now = &target->now;
	json_t *doc, *total = json_object();
	struct mw_sample interval;
	size_t more, shown = mw_stat_report__events(target, &more);
	int failed;

	doc = json_pack("{s:f,s:i,s:s,s:s,s:o,s:o,s:b,s:{s:o,s:o}}", "time", now->time, "pid",
			(int)target->pid, "name", target->name, "mode",
			mw_mode_name(report->mode, now), "rss_bytes", mw_json_u64(now->rss),
			"processes", mw_json_u64(now->processes), "ended", now->ended,
			"outstanding", "count", mw_json_u64(now->outstanding_count), "bytes",
			mw_json_u64(now->outstanding_bytes));
	mw_sample__difference(&interval, now, &target->last);
	failed = json_object_set_new(doc, "out_of_reach", reach(now)) | put_thresholds(doc, now) |
		 put_counts(doc, &interval) |
		 json_object_set_new(doc, "events", events(target->events, shown)) |
		 json_object_set_new(doc, "events_dropped", mw_json_u64(more)) |
		 put_counts(total, now) | json_object_set_new(doc, "total", total) |
		 put_governed(doc, now) |
		 json_object_set_new(doc, "growth", mw_looks_report__json(&target->looked));
	if (sites.sites)
		failed |= json_object_set_new(doc, "sites", mw_sites_report__json(&sites)) |
			  json_object_set_new(total, "sites", mw_sites_report__json(&all));
	return whole(doc, failed);
}

static int print_document(void *arg, const struct mw_watch_target *target)
{
	const struct mw_stat_report *report = arg;
	json_t *doc = document(report, target);

	if (!doc)
		return -ENOMEM;
	return mw_json_line(report->out, doc) || fflush(report->out) || ferror(report->out) ? -EIO
											    : 0;
}

struct mw_watch_sink mw_stat_report__json(struct mw_stat_report *report)
{
	return (struct mw_watch_sink){.sample = print_document, .arg = report};
}

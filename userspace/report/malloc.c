// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "report/json.h"
#include "report/malloc.h"
#include "util/units.h"

static json_t *cell(struct mw_ptmalloc_cell value)
{
	return json_pack("{s:o,s:o}", "count", mw_json_u64(value.count), "bytes",
			 mw_json_u64(value.bytes));
}

static json_t *arena_json(const struct mw_ptmalloc_arena *a)
{
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "kind",
			 a->main ? "main" : "thread", "address", mw_json_addr(a->addr),
			 "system_bytes", mw_json_u64(a->system_bytes), "in_use_bytes",
			 mw_json_u64(a->in_use_bytes), "free_bytes", mw_json_u64(a->free_bytes),
			 "top_bytes", mw_json_u64(a->top_bytes), "heaps", mw_json_u64(a->heaps),
			 "live", cell(a->live), "tcache", cell(a->tcache), "fastbins",
			 cell(a->fastbin), "bins", cell(a->bin), "overhead_bytes",
			 mw_json_u64(a->overhead_bytes), "gap_bytes", mw_json_u64(a->gap_bytes));
}

static const char *bin_kind(const struct mw_ptmalloc_bin *bin)
{
	return bin->index < 2 ? "unsorted" : bin->index < 64 ? "small" : "large";
}

static json_t *bins_json(const struct mw_ptmalloc_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->bin_count; i++) {
		const struct mw_ptmalloc_bin *b = &info->bins[i];

		json_array_append_new(list, json_pack("{s:I,s:s,s:o,s:o,s:o}", "arena",
						      (json_int_t)b->arena, "kind", bin_kind(b),
						      "smallest", mw_json_u64(b->smallest), "count",
						      mw_json_u64(b->free.count), "bytes",
						      mw_json_u64(b->free.bytes)));
	}
	return list;
}

static json_t *settings_json(const struct mw_ptmalloc_settings *s)
{
	if (!s->addr)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:b,s:o,s:o,s:o}", "mmap_threshold",
			 mw_json_u64(s->mmap_threshold), "trim_threshold",
			 mw_json_u64(s->trim_threshold), "top_pad", mw_json_u64(s->top_pad),
			 "dynamic", s->dynamic, "mmap_max", mw_json_u64(s->n_mmaps_max),
			 "arena_max", mw_json_u64(s->arena_max), "arena_test",
			 mw_json_u64(s->arena_test));
}

json_t *mw_malloc_json(const struct mw_ptmalloc_info *info, const char *target)
{
	json_t *arenas = json_array(), *problems = json_array(), *evidence = json_array();

	for (size_t i = 0; i < info->arena_count; i++)
		json_array_append_new(arenas, arena_json(&info->arenas[i]));
	for (size_t i = 0; i < info->problem_count; i++)
		json_array_append_new(problems, json_pack("{s:o,s:s}", "address",
							  mw_json_addr(info->problems[i].addr),
							  "message", info->problems[i].what));
	for (size_t i = 0; info->evidence[i]; i++)
		json_array_append_new(evidence, json_string(info->evidence[i]));
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "target", target,
			 "allocator", "glibc", "version", info->version, "arenas", arenas,
			 "mmapped", cell(info->mmapped), "settings", settings_json(&info->settings),
			 "tcaches", mw_json_u64(info->tcaches), "problems", problems,
			 "problem_count", mw_json_u64(info->problem_total), "evidence", evidence,
			 "bins", bins_json(info));
}

static void row(FILE *out, const char *name, uint64_t values[], size_t count)
{
	char buf[MW_UNIT_BUF];

	fprintf(out, "%-22s", name);
	for (size_t i = 0; i < count; i++)
		fprintf(out, " %10s", mw_format_size(buf, values[i]));
	fputc('\n', out);
}

enum { COLUMNS = 7 };

static void arenas_text(FILE *out, const struct mw_ptmalloc_info *info, bool color)
{
	uint64_t sum[COLUMNS] = {0};

	fprintf(out, "%s%-22s %10s %10s %10s %10s %10s %10s %10s%s\n", color ? "\033[1m" : "",
		"arena", "system", "live", "tcache", "fastbins", "bins", "top", "overhead",
		color ? "\033[0m" : "");
	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_ptmalloc_arena *a = &info->arenas[i];
		uint64_t values[COLUMNS] = {a->system_bytes,  a->live.bytes, a->tcache.bytes,
					    a->fastbin.bytes, a->bin.bytes,  a->top_bytes,
					    a->overhead_bytes};
		char name[32];

		for (size_t k = 0; k < COLUMNS; k++)
			sum[k] += values[k];
		snprintf(name, sizeof(name), "%s 0x%" PRIx64, a->main ? "main" : "thread", a->addr);
		row(out, name, values, COLUMNS);
	}
	if (info->mmapped.count) {
		uint64_t values[COLUMNS] = {info->mmapped.bytes, info->mmapped.bytes};
		char name[48], count[MW_UNIT_BUF];

		snprintf(name, sizeof(name), "%s mmapped chunk%s",
			 mw_format_count(count, info->mmapped.count),
			 info->mmapped.count == 1 ? "" : "s");
		row(out, name, values, 2);
		sum[0] += info->mmapped.bytes;
		sum[1] += info->mmapped.bytes;
	}
	row(out, "sum", sum, COLUMNS);
}

static void bins_text(FILE *out, const struct mw_ptmalloc_info *info)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	for (size_t i = 0; i < info->bin_count; i++) {
		const struct mw_ptmalloc_bin *bin = &info->bins[i];

		if (!i)
			fprintf(out, "\n%5s %-8s %10s %10s %10s\n", "arena", "bin", "chunks from",
				"count", "bytes");
		fprintf(out, "%5" PRIu32 " %-8s %11s %10" PRIu64 " %10s\n", bin->arena,
			bin_kind(bin), bin->smallest ? mw_format_size(a, bin->smallest) : "",
			bin->free.count, mw_format_size(b, bin->free.bytes));
	}
}

void mw_malloc_text(FILE *out, const struct mw_ptmalloc_info *info, const char *target, bool color,
		    bool verbose)
{
	const struct mw_ptmalloc_settings *s = &info->settings;
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF];

	fprintf(out, "%s: glibc %s malloc, %zu arena%s, %" PRIu64 " thread cache%s\n\n", target,
		info->version, info->arena_count, info->arena_count == 1 ? "" : "s", info->tcaches,
		info->tcaches == 1 ? "" : "s");
	arenas_text(out, info, color);
	if (verbose)
		bins_text(out, info);
	if (s->addr)
		fprintf(out,
			"\nmmap threshold %s (%s), trim threshold %s, top pad %s, mmapped at most %" PRIu64
			" chunks\n",
			mw_format_size(a, s->mmap_threshold),
			s->dynamic ? "moves by itself" : "fixed",
			mw_format_size(b, s->trim_threshold), mw_format_size(c, s->top_pad),
			s->n_mmaps_max);
	else
		fprintf(out, "\nsettings: unknown, mp_ was not found\n");
	for (size_t i = 0; i < info->problem_count; i++)
		fprintf(out, "%sproblem at 0x%" PRIx64 ": %s%s\n", color ? "\033[31m" : "",
			info->problems[i].addr, info->problems[i].what, color ? "\033[0m" : "");
	if (info->problem_total > info->problem_count)
		fprintf(out, "... and %" PRIu64 " more problems\n",
			info->problem_total - info->problem_count);
	for (size_t i = 0; verbose && info->evidence[i]; i++)
		fprintf(out, "evidence: %s\n", info->evidence[i]);
}

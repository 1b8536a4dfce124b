// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "report/json.h"
#include "report/malloc.h"
#include "report/problems.h"
#include "util/array.h"
#include "util/bar.h"
#include "util/units.h"

enum { BAR = 16, BIGGEST_SHOWN = 8 };

static json_t *sum_json(struct mw_heap_sum sum)
{
	return json_pack("{s:o,s:o}", "count", mw_json_u64(sum.count), "bytes",
			 mw_json_u64(sum.bytes));
}

/* Kinds of blocks in the order of the report; it leaves out those that the allocator lacks. */
static const struct {
	enum mw_block_kind kind;
	const char *key;    /* of an object with count and bytes in JSON, NULL: only its bytes */
	const char *column; /* in text, NULL: not shown */
} kinds[] = {
	{MW_BLOCK_LIVE, "live", "live"},
	{MW_BLOCK_TCACHE, "tcache", "tcache"},
	{MW_BLOCK_FASTBIN, "fastbins", "fastbins"},
	{MW_BLOCK_CACHE, "caches", "caches"},
	{MW_BLOCK_BIN, "bins", "bins"},
	{MW_BLOCK_PAGES, "pages", "pages"},
	{MW_BLOCK_DIRTY, "dirty", "dirty"},
	{MW_BLOCK_MUZZY, "muzzy", "muzzy"},
	{MW_BLOCK_TOP, NULL, "top"},
	{MW_BLOCK_RETAINED, "retained", "retained"},
	{MW_BLOCK_OVERHEAD, NULL, "overhead"},
};

static bool has_kind(const struct mw_heap_info *info, enum mw_block_kind kind)
{
	return info->kinds >> kind & 1;
}

static json_t *arena_json(const struct mw_heap_info *info, const struct mw_heap_arena *a)
{
	json_t *doc = json_pack(
		"{s:s,s:o,s:o,s:o,s:o}", "kind", mw_arena_kind_name(a->kind), "address",
		mw_json_addr(a->addr), "system_bytes", mw_json_u64(a->system_bytes), "in_use_bytes",
		mw_json_u64(a->in_use_bytes), "free_bytes", mw_json_u64(a->free_bytes));

	if (has_kind(info, MW_BLOCK_TOP))
		json_object_set_new(doc, "top_bytes", mw_json_u64(a->sums[MW_BLOCK_TOP].bytes));
	json_object_set_new(doc, "heaps", mw_json_u64(a->heaps));
	for (size_t i = 0; i < MW_ARRAY_SIZE(kinds); i++) {
		if (kinds[i].key && has_kind(info, kinds[i].kind))
			json_object_set_new(doc, kinds[i].key, sum_json(a->sums[kinds[i].kind]));
	}
	json_object_set_new(doc, "overhead_bytes", mw_json_u64(a->sums[MW_BLOCK_OVERHEAD].bytes));
	json_object_set_new(doc, "gap_bytes", mw_json_u64(a->sums[MW_BLOCK_UNKNOWN].bytes));
	return doc;
}

static json_t *bins_json(const struct mw_heap_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->bin_count; i++) {
		const struct mw_heap_bin *b = &info->bins[i];

		json_array_append_new(list, json_pack("{s:I,s:s,s:o,s:o,s:o}", "arena",
						      (json_int_t)b->arena, "kind", b->kind,
						      "smallest", mw_json_u64(b->smallest), "count",
						      mw_json_u64(b->free.count), "bytes",
						      mw_json_u64(b->free.bytes)));
	}
	return list;
}

static json_t *settings_json(const struct mw_heap_info *info)
{
	json_t *doc;

	if (!info->settings)
		return json_null();
	doc = json_object();
	for (size_t i = 0; i < info->setting_count; i++) {
		const struct mw_heap_setting *s = &info->settings[i];

		json_object_set_new(doc, s->key,
				    s->unit == MW_SETTING_FLAG ? json_boolean(s->value)
							       : mw_json_u64(s->value));
	}
	return doc;
}

static json_t *sizes_json(const struct mw_live_sizes *sizes)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < MW_LIVE_SIZES; i++) {
		const struct mw_live_size *s = &sizes->sizes[i];

		if (s->count)
			json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "low",
							      mw_json_u64(1ULL << i), "high",
							      mw_json_u64((2ULL << i) - 1), "count",
							      mw_json_u64(s->count), "bytes",
							      mw_json_u64(s->bytes), "python",
							      mw_json_u64(s->python)));
	}
	return list;
}

static json_t *biggest_json(const struct mw_live_sizes *sizes)
{
	json_t *list = json_array();
	char name[160];

	for (size_t i = 0; i < sizes->biggest_count; i++) {
		const struct mw_live_block *b = &sizes->biggest[i];

		if (b->type)
			mw_python_type_name(b->type, name, sizeof(name));
		json_array_append_new(
			list, json_pack("{s:o,s:o,s:o,s:o}", "address", mw_json_addr(b->addr),
					"bytes", mw_json_u64(b->bytes), "type",
					b->type ? json_string(name) : json_null(), "object",
					b->object ? mw_json_addr(b->object) : json_null()));
	}
	return list;
}

json_t *mw_malloc_json(const struct mw_heap_info *info, const struct mw_live_sizes *sizes,
		       const char *target)
{
	json_t *arenas = json_array(), *evidence = json_array(), *doc;

	for (size_t i = 0; i < info->arena_count; i++)
		json_array_append_new(arenas, arena_json(info, &info->arenas[i]));
	for (size_t i = 0; info->evidence[i]; i++)
		json_array_append_new(evidence, json_string(info->evidence[i]));
	doc = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "target", target, "allocator",
			info->allocator, "version", info->version, "arenas", arenas, "mmapped",
			sum_json(info->mmapped), "settings", settings_json(info), "tcaches",
			mw_json_u64(info->caches), "evidence", evidence, "bins", bins_json(info));
	json_object_set_new(doc, "live_sizes", sizes_json(sizes));
	json_object_set_new(doc, "biggest", biggest_json(sizes));
	mw_problems_add_json(doc, info->problems);
	return doc;
}

/* A line of the table: all bytes, then those of each kind. */
static void row(FILE *out, const struct mw_heap_info *info, const char *name, uint64_t system,
		const uint64_t bytes[MW_BLOCK_KINDS])
{
	char buf[MW_UNIT_BUF];

	fprintf(out, "%-22s %10s", name, mw_format_size(buf, system));
	for (size_t i = 0; i < MW_ARRAY_SIZE(kinds); i++) {
		if (has_kind(info, kinds[i].kind))
			fprintf(out, " %10s", mw_format_size(buf, bytes[kinds[i].kind]));
	}
	fputc('\n', out);
}

static void arenas_text(FILE *out, const struct mw_heap_info *info, bool color)
{
	uint64_t sum[MW_BLOCK_KINDS] = {0}, system = 0;

	fprintf(out, "%s%-22s %10s", color ? "\033[1m" : "", "arena", "system");
	for (size_t i = 0; i < MW_ARRAY_SIZE(kinds); i++) {
		if (has_kind(info, kinds[i].kind))
			fprintf(out, " %10s", kinds[i].column);
	}
	fprintf(out, "%s\n", color ? "\033[0m" : "");
	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_heap_arena *a = &info->arenas[i];
		uint64_t bytes[MW_BLOCK_KINDS];
		char name[32];

		for (size_t k = 0; k < MW_BLOCK_KINDS; k++) {
			bytes[k] = a->sums[k].bytes;
			sum[k] += bytes[k];
		}
		system += a->system_bytes;
		snprintf(name, sizeof(name), "%s 0x%" PRIx64, mw_arena_kind_name(a->kind), a->addr);
		row(out, info, name, a->system_bytes, bytes);
	}
	if (info->mmapped.count) {
		char name[48], count[MW_UNIT_BUF], size[MW_UNIT_BUF];

		snprintf(name, sizeof(name), "%s mmapped chunk%s",
			 mw_format_count(count, info->mmapped.count),
			 info->mmapped.count == 1 ? "" : "s");
		mw_format_size(size, info->mmapped.bytes);
		fprintf(out, "%-22s %10s %10s\n", name, size, size);
		system += info->mmapped.bytes;
		sum[MW_BLOCK_LIVE] += info->mmapped.bytes;
	}
	row(out, info, "sum", system, sum);
}

static void bins_text(FILE *out, const struct mw_heap_info *info)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	for (size_t i = 0; i < info->bin_count; i++) {
		const struct mw_heap_bin *bin = &info->bins[i];

		if (!i)
			fprintf(out, "\n%5s %-8s %10s %10s %10s\n", "arena", "bin", "chunks from",
				"count", "bytes");
		fprintf(out, "%5" PRIu32 " %-8s %11s %10" PRIu64 " %10s\n", bin->arena, bin->kind,
			bin->smallest ? mw_format_size(a, bin->smallest) : "", bin->free.count,
			mw_format_size(b, bin->free.bytes));
	}
}

static void settings_text(FILE *out, const struct mw_heap_info *info)
{
	const char *before = "\n";
	char size[MW_UNIT_BUF];

	if (!info->settings) {
		fprintf(out, "\nsettings: unknown, %s\n", info->no_settings);
		return;
	}
	for (size_t i = 0; i < info->setting_count; i++) {
		const struct mw_heap_setting *s = &info->settings[i];

		if (!s->label)
			continue;
		if (s->unit == MW_SETTING_BYTES)
			mw_format_size(size, s->value);
		else
			snprintf(size, sizeof(size), "%" PRIu64, s->value);
		fprintf(out, "%s%s %s%s", before, s->label, size, s->note);
		before = ", ";
	}
	fputc('\n', out);
}

static void sizes_text(const struct mw_out *out, const struct mw_live_sizes *sizes)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF], d[MW_UNIT_BUF], bar[MW_BAR_BUF];
	uint64_t most = 1;

	for (unsigned int i = 0; i < MW_LIVE_SIZES; i++)
		most = sizes->sizes[i].bytes > most ? sizes->sizes[i].bytes : most;
	fprintf(out->file, "\n%s%10s %10s %10s %10s%s\n", out->color ? "\033[1m" : "", "live from",
		"blocks", "Python's", "bytes", out->color ? "\033[0m" : "");
	for (unsigned int i = 0; i < MW_LIVE_SIZES; i++) {
		const struct mw_live_size *s = &sizes->sizes[i];

		if (s->count)
			fprintf(out->file, "%10s %10s %10s %10s  %s\n",
				mw_format_size(a, 1ULL << i), mw_format_count(b, s->count),
				s->python ? mw_format_count(c, s->python) : "",
				mw_format_size(d, s->bytes),
				mw_bar(bar, (double)s->bytes / (double)most, BAR, out->utf8));
	}
}

/* The largest live blocks: whose they are, and where. */
static void biggest_text(const struct mw_out *out, const struct mw_live_sizes *sizes)
{
	char size[MW_UNIT_BUF], name[160];

	for (size_t i = 0; i < sizes->biggest_count && (i < BIGGEST_SHOWN || out->verbose); i++) {
		const struct mw_live_block *b = &sizes->biggest[i];

		if (!i)
			fprintf(out->file, "\nlargest live blocks\n");
		fprintf(out->file, "%10s at 0x%" PRIx64, mw_format_size(size, b->bytes), b->addr);
		if (b->type) {
			mw_python_type_name(b->type, name, sizeof(name));
			fprintf(out->file, ", %s", name);
		}
		if (b->object && b->object != b->addr)
			fprintf(out->file, " at 0x%" PRIx64, b->object);
		fputc('\n', out->file);
	}
}

void mw_malloc_text(const struct mw_out *out, const struct mw_heap_info *info,
		    const struct mw_live_sizes *sizes, const char *target)
{
	FILE *file = out->file;

	fprintf(file, "%s: %s %s malloc, %zu arena%s, %" PRIu64 " thread cache%s\n\n", target,
		info->allocator, info->version, info->arena_count,
		info->arena_count == 1 ? "" : "s", info->caches, info->caches == 1 ? "" : "s");
	arenas_text(file, info, out->color);
	sizes_text(out, sizes);
	biggest_text(out, sizes);
	if (out->verbose)
		bins_text(file, info);
	settings_text(file, info);
	mw_problems_text(file, info->problems, out->color);
	for (size_t i = 0; out->verbose && info->evidence[i]; i++)
		fprintf(file, "evidence: %s\n", info->evidence[i]);
}
